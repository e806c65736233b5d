"""Provisioning brings what the creator wants to the provider, once: for a clone, a domain, an expert, a client."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from resolvers.provisioning.openai_models import DEFAULT_MODEL
from tests.money import key_of, sql
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    ask,
    begin,
    done,
    ended,
    kept,
    new_clone,
    new_document,
    new_domain,
    new_expert,
    provision,
    quick_provisioning,
    referred,
    titles,
)
from tests.serving import Gateway

CLONE = """
    query($id: ID!) { clone(id: $id) {
        openaiFileIds domain { name } experts { nodes { name } }
        knowledge(first: 100) { nodes { title processingStatus } }
        vectorStore { vectorId ownerKind provider fileIds domain { name } owner { fullName } }
        assistant { assistantId isLegacy memoryType expert { name } vectorStore { vectorId }
            config { version model instructions vectorStoreIds temperature maxOutputTokens } }
    } }
"""
OPERATION = """
    query($id: ID!) { operation(id: $id) {
        kind title attempts requestedBy { id } clone { id } domain { id } expert { id }
        steps(first: 100) { nodes { kind title status } }
        vectorStore { vectorId ownerKind clientName expert { id } domain { id } fileIds }
        assistant { expert { id } config { version model instructions vectorStoreIds temperature maxOutputTokens } }
    } }
"""


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def gateway(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, tmp_path_factory.mktemp("storage"), fake) as running:
        yield running


def shown(gateway: Gateway, id_: str) -> Any:
    """An operation with what came of it."""
    return gateway.ask(OPERATION, as_="grace", id=id_).data["operation"]


def provisioned(gateway: Gateway, mutation: str, **values: Any) -> Any:
    """The operation of a mutation, at its good end, with what came of it."""
    found = done(gateway, mutation, **values)
    assert (found["status"], found["error"]) == ("READY", None)
    return shown(gateway, found["id"])


def test_a_creator_presses_one_button_and_the_clone_has_all_it_needs(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.")
    ask(gateway, "addQaPair", cloneId=clone, question="What if I forget?", answer="Then you learn it twice.")
    ask(gateway, "updateClone", id=clone, systemPrompt="You are brief.", temperature=0.25, maxTokens=300)

    operation = provision(gateway, clone)
    found = gateway.ask(CLONE, as_="maya", id=clone).data["clone"]

    assert (operation["status"], operation["progress"], operation["error"]) == ("READY", 1, None)
    assert {step["status"] for step in operation["steps"]["nodes"]} == {"DONE"}
    assert sorted(step["kind"] for step in operation["steps"]["nodes"]) == ["ASSISTANT", *["FILE"] * 3, "STORE"]
    assert operation["assistant"]["assistantId"] == found["assistant"]["assistantId"]
    vector_id = operation["vectorStore"]["vectorId"]
    store, assistant = found["vectorStore"], found["assistant"]
    assert (store["vectorId"], store["ownerKind"], store["provider"]) == (vector_id, "CLIENT", "openai")
    assert (store["domain"], store["owner"]["fullName"]) == (found["domain"], "Maya Lindqvist")
    assert set(store["fileIds"]) == set(found["openaiFileIds"]) == set(fake.stores[vector_id].members)
    assert [each["processingStatus"] for each in found["knowledge"]["nodes"]] == ["COMPLETED", "COMPLETED"]
    config = assistant["config"]
    assert (assistant["isLegacy"], assistant["memoryType"]) == (False, "EXPERT")
    assert [assistant["expert"]] == found["experts"]["nodes"]
    assert (config["version"], config["model"], config["vectorStoreIds"]) == (1, DEFAULT_MODEL, [vector_id])
    assert (config["temperature"], config["maxOutputTokens"]) == (0.25, 300)
    assert config["instructions"].startswith("You are brief.\n\n")
    assert titles(fake, vector_id) == {"Note-0.txt", "Note-1.txt", "Questions-and-answers.md"}
    assert fake.live() == kept(gateway) == referred(gateway)


def test_what_is_at_the_provider_says_whose_it_is_and_what_it_is_for(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.", name="Zoë's clone")

    operation = provision(gateway, clone)

    store = fake.stores[operation["vectorStore"]["vectorId"]]
    (file,) = (fake.files[each] for each in store.members)
    assert store.name == "Zoë's clone"
    assert store.metadata["instance"] == "clonegraph"
    assert store.metadata["owner"] == f"clone:{key_of(clone)}:store"
    assert store.metadata["name"].startswith("clonegraph.")
    assert file.name.startswith("clonegraph.")
    assert file.text == "Recall makes learning last."


def test_who_presses_the_button_again_has_nothing_made_again(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    first = provision(gateway, clone)
    there, changes = fake.live(), len([call for call in fake.calls if call.method != "GET"])

    second = provision(gateway, clone)
    config = gateway.ask(CLONE, as_="maya", id=clone).data["clone"]["assistant"]["config"]

    assert second["id"] != first["id"]
    assert (second["status"], second["vectorStore"], second["assistant"]) == (
        "READY",
        first["vectorStore"],
        first["assistant"],
    )
    assert (fake.live(), len([call for call in fake.calls if call.method != "GET"])) == (there, changes)
    assert config["version"] == 1


def test_a_clone_that_knows_nothing_yet_gets_a_store_to_be_filled(gateway: Gateway, fake: FakeProvider) -> None:
    operation = provision(gateway, new_clone(gateway))

    assert (operation["status"], operation["progress"]) == ("READY", 1)
    assert fake.held(operation["vectorStore"]["vectorId"]) == set()


def test_a_clone_knows_the_documents_that_it_is_given_beside_its_own_knowledge(
    gateway: Gateway, fake: FakeProvider
) -> None:
    titles_of = [f"{title} {uuid4().hex}" for title in ("Maps", "Dates", "Names")]
    domain = new_domain(gateway)
    maps, dates, names = (new_document(gateway, domain, title) for title in titles_of)
    clone = new_clone(gateway, "Recall makes learning last.")

    first = provision(gateway, clone, documentIds=[maps, dates])
    held = titles(fake, first["vectorStore"]["vectorId"])
    again = provision(gateway, clone)
    held_again = titles(fake, again["vectorStore"]["vectorId"])
    others = provision(gateway, clone, documentIds=[dates, names])
    held_by_others = titles(fake, others["vectorStore"]["vectorId"])
    none = provision(gateway, clone, documentIds=[])

    endings = [f"{title.replace(' ', '-')}.md" for title in titles_of]
    assert held == held_again == {"Note-0.txt", *endings[:2]}
    assert held_by_others == {"Note-0.txt", *endings[1:]}
    assert titles(fake, none["vectorStore"]["vectorId"]) == {"Note-0.txt"}
    assert {each["status"] for each in (first, again, others, none)} == {"READY"}
    assert not [file for file in fake.files.values() if file.name.endswith(tuple(endings))]


def test_the_store_of_a_domain_holds_its_default_documents(gateway: Gateway, fake: FakeProvider) -> None:
    wanted = f"Wanted {uuid4().hex}"
    domain = new_domain(gateway, wanted)
    new_document(gateway, domain, f"Unwanted {uuid4().hex}", is_default=False)

    found = provisioned(gateway, "provisionVectorStore", owner={"domain": domain})

    store = found["vectorStore"]
    assert (found["kind"], found["domain"]["id"], found["clone"], found["assistant"]) == (
        "PROVISION_STORE",
        domain,
        None,
        None,
    )
    assert (store["ownerKind"], store["domain"]["id"], store["expert"]) == ("DOMAIN", domain, None)
    assert titles(fake, store["vectorId"]) == {f"{wanted.replace(' ', '-')}.md"}
    assert set(store["fileIds"]) == set(fake.stores[store["vectorId"]].members)


def test_the_store_of_an_expert_begins_with_the_default_documents_and_holds_what_it_is_given(
    gateway: Gateway, fake: FakeProvider
) -> None:
    title, other = f"Basics {uuid4().hex}", f"Special {uuid4().hex}"
    domain = new_domain(gateway, title)
    special = new_document(gateway, domain, other, is_default=False)
    expert = new_expert(gateway, domain)

    first = provisioned(gateway, "provisionVectorStore", owner={"expert": expert})
    held = titles(fake, first["vectorStore"]["vectorId"])
    second = provisioned(gateway, "provisionVectorStore", owner={"expert": expert}, documentIds=[special])

    store = second["vectorStore"]
    assert (store["ownerKind"], store["expert"]["id"], second["expert"]["id"]) == ("EXPERT", expert, expert)
    assert store["vectorId"] == first["vectorStore"]["vectorId"]
    assert held == {f"{title.replace(' ', '-')}.md"}
    assert titles(fake, store["vectorId"]) == {f"{other.replace(' ', '-')}.md"}


def test_the_store_of_a_client_holds_the_documents_about_the_client(gateway: Gateway, fake: FakeProvider) -> None:
    about, other = f"Letters {uuid4().hex}", f"Rules {uuid4().hex}"
    domain = new_domain(gateway)
    letters, _ = (new_document(gateway, domain, title) for title in (about, other))
    sql(gateway.database_url, "UPDATE documents SET client_name = 'Ada, & sons' WHERE id = $1", key_of(letters))

    owner = {"client": {"domainId": domain, "name": " Ada, & sons "}}
    found = provisioned(gateway, "provisionVectorStore", owner=owner)

    store = found["vectorStore"]
    assert (store["ownerKind"], store["clientName"], store["domain"]["id"]) == ("CLIENT", "Ada, & sons", domain)
    assert titles(fake, store["vectorId"]) == {f"{about.replace(' ', '-')}.md"}


def test_an_expert_gets_an_assistant_as_it_was_asked_for(gateway: Gateway, fake: FakeProvider) -> None:
    domain = new_domain(gateway, f"Basics {uuid4().hex}")
    expert = new_expert(gateway, domain, "You know the basics.")
    given = {"model": "a-model", "temperature": 0.5, "maxOutputTokens": 200}

    first = provisioned(gateway, "provisionAssistant", expertId=expert, **given)
    same = provisioned(gateway, "provisionAssistant", expertId=expert)
    changed = provisioned(gateway, "provisionAssistant", expertId=expert, temperature=0.0)

    vector_id = first["vectorStore"]["vectorId"]
    expected = {
        "version": 1,
        "model": "a-model",
        "instructions": "You know the basics.",
        "vectorStoreIds": [vector_id],
        "temperature": 0.5,
        "maxOutputTokens": 200,
    }
    assert first["assistant"] == {"expert": {"id": expert}, "config": expected}
    assert same["assistant"]["config"] == expected
    assert changed["assistant"]["config"] == {**expected, "version": 2, "temperature": 0.0}
    assert len(fake.held(vector_id)) == 1


def test_of_two_clones_of_one_creator_each_has_what_it_knows(gateway: Gateway, fake: FakeProvider) -> None:
    clones = [new_clone(gateway, text, name=text) for text in ("Recall.", "Spacing.")]

    begun = [begin(gateway, "provisionClone", cloneId=clone) for clone in clones]
    stores = [ended(gateway, id_)["vectorStore"]["vectorId"] for id_ in begun]

    texts = [{fake.files[each].text for each in fake.stores[store].members} for store in stores]
    assert texts == [{"Recall."}, {"Spacing."}]
