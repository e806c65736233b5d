"""An assistant of the retired Assistants API gets a successor; what nobody can know is asked for, and not invented."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.money import bank, grant, key_of, new_clone, sql, start
from tests.provisioning import ask, document, refused
from tests.scripted import Scripted
from tests.serving import CAST, Gateway
from tests.test_chat import replied, say

LEGACY = """
    INSERT INTO assistants (assistant_id, expert_name, memory_type, client_name, vector_id, owner_id)
    SELECT 'asst_' || $2::text, expert.name, 'client', 'Maya', (
        SELECT vector_id FROM vector_stores WHERE owner_id = $1 ORDER BY created_at, id LIMIT 1
    ), $1
    FROM experts AS expert WHERE owner_id = $1 AND name = coalesce($3, name) ORDER BY name LIMIT 1
    RETURNING id, assistant_id, expert_name
"""
ASSISTANT = """
    query($id: ID!) { assistant(id: $id) {
        isLegacy memoryType clientName expert { name } vectorStore { vectorId } owner { fullName }
        clones(first: 9) { nodes { id } } configs(first: 9) { totalCount }
        config { version model instructions vectorStoreIds temperature maxOutputTokens }
    } }
"""
MODEL = "gpt-4o"


@pytest.fixture(scope="module")
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def gateway(server_url: str, template: str, scripted: Scripted) -> Iterator[Gateway]:
    with bank(server_url, template, ai=scripted, worker=True) as running:
        grant(running, "aiko", 10_000)
        yield running


def legacy(gateway: Gateway, *clones: str, expert: str | None = None) -> str:
    """The id of a retired assistant of Maya's that answers for these clones."""
    (row,) = sql(gateway.database_url, LEGACY, CAST["maya"].id, uuid4().hex, expert)
    for clone in clones:
        sql(
            gateway.database_url,
            "UPDATE clones SET rag_assistant_id = $2 WHERE id = $1",
            key_of(clone),
            row["assistant_id"],
        )
    return f"assistant_{UUID(str(row['id'])).hex}"


def shown(gateway: Gateway, id_: str) -> Any:
    """An assistant, as its owner sees it."""
    return gateway.ask(ASSISTANT, as_="maya", id=id_).data["assistant"]


def migrated(gateway: Gateway, id_: str, as_: str = "maya", **given: Any) -> str:
    """The id of the assistant that took the place of another."""
    payload = ask(gateway, "migrateAssistant", as_, id=id_, **given)
    assert payload["userErrors"] == []
    successor: str = payload["assistant"]["id"]
    return successor


def context(gateway: Gateway, name: str) -> str:
    """What an expert is told."""
    (row,) = sql(gateway.database_url, "SELECT context FROM experts WHERE name = $1", name)
    text: str = row["context"]
    return text


def number_of_assistants(gateway: Gateway) -> int:
    (row,) = sql(gateway.database_url, "SELECT count(*) AS number FROM assistants")
    number: int = row["number"]
    return number


def test_the_successor_has_the_same_expert_and_store_and_the_clone_goes_with_it(gateway: Gateway) -> None:
    clone = new_clone(gateway)
    ask(gateway, "updateClone", id=clone, systemPrompt="You are brief.", temperature=0.25, maxTokens=300)
    old = legacy(gateway, clone)
    before = shown(gateway, old)

    new = migrated(gateway, old, model=MODEL)

    after, store = shown(gateway, new), before["vectorStore"]["vectorId"]
    assert before["isLegacy"]
    assert not after["isLegacy"]
    for name in ("memoryType", "clientName", "expert", "vectorStore", "owner", "clones"):
        assert after[name] == before[name]
    assert after["config"] == {
        "version": 1,
        "model": MODEL,
        "instructions": "You are brief.",
        "vectorStoreIds": [store],
        "temperature": 0.25,
        "maxOutputTokens": 300,
    }
    assert shown(gateway, old) == {**before, "clones": {"nodes": []}}


def test_the_clone_answers_with_the_successor(gateway: Gateway, scripted: Scripted) -> None:
    clone = new_clone(gateway, "0")
    old = legacy(gateway, clone)
    session = start(gateway, clone=clone)
    replied(gateway, say(gateway, session, content="Before?"))
    before = scripted.asked[-1]

    migrated(gateway, old, model=MODEL, instructions="Be kind.")
    replied(gateway, say(gateway, session, content="And now?"))
    after = scripted.asked[-1]

    assert (before.model, after.model) == (None, MODEL)
    assert (before.instructions == "Be kind.", after.instructions) == (False, "Be kind.")


def test_what_was_said_comes_before_what_the_clone_is_told(gateway: Gateway) -> None:
    clone = new_clone(gateway)
    ask(gateway, "updateClone", id=clone, systemPrompt="You are brief.", temperature=0.25)
    given: dict[str, Any] = {"model": MODEL, "instructions": "Be kind.", "temperature": 0.0, "maxOutputTokens": 10}

    config = shown(gateway, migrated(gateway, legacy(gateway, clone), **given))["config"]

    assert {name: config[name] for name in given} == given


@pytest.mark.parametrize("number", [0, 2])
def test_an_assistant_of_no_clone_or_several_is_told_what_its_expert_is(gateway: Gateway, number: int) -> None:
    clones = sorted(new_clone(gateway) for _ in range(number))
    old = legacy(gateway, *clones)

    new = shown(gateway, migrated(gateway, old, model=MODEL))

    assert new["config"]["instructions"] == context(gateway, new["expert"]["name"])
    assert sorted(each["id"] for each in new["clones"]["nodes"]) == clones


def test_the_model_is_asked_for_and_nothing_is_made(gateway: Gateway) -> None:
    old = legacy(gateway)
    before = number_of_assistants(gateway)
    query = document("migrateAssistant")[0].replace("code message", "code message ... on NeedsInput { fields }")

    payload = gateway.ask(query, as_="maya", input={"id": old}).data["done"]

    (error,) = payload["userErrors"]
    assert (error["code"], error["fields"], error["path"]) == ("NEEDS_INPUT", ["model"], ["input", "model"])
    assert payload["assistant"] is None
    assert number_of_assistants(gateway) == before


def test_instructions_that_nobody_has_are_asked_for(gateway: Gateway) -> None:
    name = f"Quiet {uuid4()}"
    sql(
        gateway.database_url,
        "INSERT INTO experts (name, domain, context, owner_id) SELECT $2, domain, ' ', $1 FROM experts LIMIT 1",
        CAST["maya"].id,
        name,
    )
    old = legacy(gateway, expert=name)

    error = refused(gateway, "migrateAssistant", id=old, model=MODEL)
    new = migrated(gateway, old, model=MODEL, instructions="Be kind.")

    assert error == ("NEEDS_INPUT", ["input", "instructions"])
    assert shown(gateway, new)["config"]["instructions"] == "Be kind."


def test_who_asks_again_gets_the_same_successor(gateway: Gateway) -> None:
    clone = new_clone(gateway)
    ask(gateway, "updateClone", id=clone, systemPrompt="You are brief.")
    old = legacy(gateway, clone)
    first = migrated(gateway, old, model=MODEL)

    same = migrated(gateway, old, model=MODEL)
    versions = shown(gateway, first)["configs"]["totalCount"]
    other = migrated(gateway, old, model="another-model")

    config = shown(gateway, first)["config"]
    assert first == same == other
    assert versions == 1
    assert (config["version"], config["model"], config["instructions"]) == (2, "another-model", "You are brief.")


def test_an_assistant_that_is_not_retired_needs_no_migration(gateway: Gateway) -> None:
    new = migrated(gateway, legacy(gateway), model=MODEL)

    assert refused(gateway, "migrateAssistant", id=new, model=MODEL) == ("INVALID_INPUT", ["input", "id"])


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"model": " "}, "model"),
        ({"instructions": ""}, "instructions"),
        ({"instructions": "x" * 100_001}, "instructions"),
        ({"temperature": 2.5}, "temperature"),
        ({"maxOutputTokens": 0}, "maxOutputTokens"),
    ],
    ids=["no model", "no instructions", "long", "hot", "silent"],
)
def test_what_cannot_be_is_refused_with_its_place(gateway: Gateway, given: dict[str, Any], path: str) -> None:
    error = refused(gateway, "migrateAssistant", id=legacy(gateway), **{"model": MODEL, **given})

    assert error == ("INVALID_INPUT", ["input", path])


def test_every_retired_assistant_of_the_demo_can_be_migrated_by_an_admin(gateway: Gateway) -> None:
    found = sql(gateway.database_url, "SELECT id FROM assistants WHERE assistant_id LIKE 'asst\\_%' ORDER BY id")

    for row in found:
        migrated(gateway, f"assistant_{row['id'].hex}", "grace", model=MODEL, instructions="Be kind.")

    left = sql(gateway.database_url, "SELECT FROM clones WHERE rag_assistant_id LIKE 'asst\\_%'")
    assert found
    assert left == []
