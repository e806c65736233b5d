"""What cannot be provisioned is refused with its place, and who may not provision can do nothing."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from db import Scope
from tests.money import service_headers, sql
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    ask,
    document,
    done,
    ended,
    new_clone,
    new_document,
    new_domain,
    new_expert,
    operation,
    quick_provisioning,
    refused,
)
from tests.serving import Gateway

NOBODYS = "00000000000000000000000000000000"


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def gateway(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, tmp_path_factory.mktemp("storage"), fake) as running:
        yield running


@pytest.fixture(scope="module")
def mayas(gateway: Gateway) -> dict[str, str]:
    """Things of Maya's, by what they are; the operation is one that has come to its end."""
    domain = new_domain(gateway, f"Basics {uuid4().hex}")
    clone = new_clone(gateway, "Recall makes learning last.")
    return {
        "domain": domain,
        "expert": new_expert(gateway, domain),
        "clone": clone,
        "document": new_document(gateway, domain, f"Hers {uuid4().hex}"),
        "operation": done(gateway, "provisionClone", cloneId=clone)["id"],
        "assistant": legacy_assistant(gateway),
    }


def legacy_assistant(gateway: Gateway) -> str:
    """The id of an assistant of Maya's from the retired API."""
    (row,) = sql(
        gateway.database_url,
        """INSERT INTO assistants (assistant_id, expert_name, memory_type, owner_id)
        SELECT 'asst_of_maya', name, 'expert', owner_id FROM experts
        WHERE owner_id = (SELECT id FROM user_profiles WHERE email = 'maya@example.com') LIMIT 1 RETURNING id""",
    )
    return f"assistant_{row['id'].hex}"


MUTATIONS: dict[str, Any] = {
    "provisionVectorStore of a domain": lambda its: {"owner": {"domain": its["domain"]}},
    "provisionVectorStore of an expert": lambda its: {"owner": {"expert": its["expert"]}},
    "provisionVectorStore of a client": lambda its: {"owner": {"client": {"domainId": its["domain"], "name": "Ada"}}},
    "provisionVectorStore of a clone": lambda its: {"owner": {"clone": its["clone"]}},
    "provisionAssistant of an expert": lambda its: {"expertId": its["expert"]},
    "provisionClone of a clone": lambda its: {"cloneId": its["clone"]},
    "syncKnowledge of a clone": lambda its: {"owner": {"clone": its["clone"]}},
    "retryOperation of an operation": lambda its: {"id": its["operation"]},
    "cancelOperation of an operation": lambda its: {"id": its["operation"]},
    "migrateAssistant of an assistant": lambda its: {"id": its["assistant"], "model": "a-model"},
    "deprovisionVectorStore of a clone": lambda its: {"owner": {"clone": its["clone"]}},
}
"""What each mutation is given, by what it is about."""


def place(value: Any) -> list[str]:
    """Where in an input the id of the thing is that somebody else owns."""
    name = next(iter(value))
    inner = value[name]
    return ["input", name, next(iter(inner))] if isinstance(inner, dict) else ["input", name]


@pytest.mark.parametrize("person", ["aiko", "jonas"])
@pytest.mark.parametrize("case", MUTATIONS)
def test_things_of_others_cannot_be_found_to_be_provisioned(
    gateway: Gateway, mayas: dict[str, str], case: str, person: str
) -> None:
    given = MUTATIONS[case](mayas)

    assert refused(gateway, case.split(maxsplit=1)[0], person, **given) == ("NOT_FOUND", place(given))


@pytest.mark.parametrize("case", [*MUTATIONS, "repairDrift of nothing"])
def test_nobody_and_services_of_any_scope_provision_nothing(gateway: Gateway, mayas: dict[str, str], case: str) -> None:
    query = document(case.split(maxsplit=1)[0])[0]
    body: dict[str, Any] = {"query": query, "variables": {}}
    if case in MUTATIONS:
        body["variables"]["input"] = MUTATIONS[case](mayas)
    headers = [{}, service_headers(gateway.database_url), service_headers(gateway.database_url, *Scope)]

    answers = [gateway.client.post("/graphql", json=body, headers=each).json() for each in headers]

    assert [answer["errors"][0]["extensions"]["code"] for answer in answers] == ["FORBIDDEN"] * 3
    assert not any(answer.get("data", {}).get("done") for answer in answers)


def test_a_service_that_reads_sees_what_is_being_done(gateway: Gateway, mayas: dict[str, str]) -> None:
    query = "query($id: ID!) { operation(id: $id) { id } }"
    body = {"query": query, "variables": {"id": mayas["operation"]}}

    answer = gateway.client.post("/graphql", json=body, headers=service_headers(gateway.database_url)).json()

    assert answer["data"]["operation"] == {"id": mayas["operation"]}


@pytest.mark.parametrize("case", MUTATIONS)
def test_admins_provision_for_everybody_and_the_owner_sees_it(
    gateway: Gateway, mayas: dict[str, str], case: str
) -> None:
    mutation, given = case.split(maxsplit=1)[0], MUTATIONS[case](mayas)
    if mutation == "deprovisionVectorStore":
        ask(gateway, "provisionClone", "grace", cloneId=mayas["clone"])
    for id_ in [each["id"] for each in sql(gateway.database_url, "SELECT id FROM operations WHERE ended_at IS NULL")]:
        ended(gateway, f"operation_{id_.hex}")

    payload = ask(gateway, mutation, "grace", **given)
    if mutation == "migrateAssistant":
        assert payload == {"assistant": payload["assistant"], "userErrors": []}
        return
    assert payload["userErrors"] == []
    assert ended(gateway, payload["operation"]["id"])["status"] in ("READY", "DELETED")
    if "clone" in case:
        assert operation(gateway, payload["operation"]["id"], as_="maya")


def test_a_clone_is_asked_for_what_nobody_can_know(gateway: Gateway) -> None:
    bare = ask(gateway, "createClone", name="Bare")["clone"]["id"]
    without_expert = ask(gateway, "createClone", name="Alone", domainId=new_domain(gateway))["clone"]["id"]
    query = document("provisionClone")[0].replace("code message", "code message ... on NeedsInput { fields }")

    errors = [
        gateway.ask(query, as_="maya", input={"cloneId": clone}).data["done"]["userErrors"]
        for clone in (bare, without_expert)
    ]

    shown = [(each["code"], each["fields"], each["path"], each["message"]) for (each,) in errors]
    needed = "NEEDS_INPUT", ["cloneId"], ["input", "cloneId"]
    assert shown == [
        (*needed, "A vector store belongs to a domain. Give the clone one with updateClone."),
        (*needed, "An assistant answers for an expert. Give the clone one with assignExperts."),
    ]


def test_a_clone_without_an_expert_can_have_a_store(gateway: Gateway) -> None:
    clone = ask(gateway, "createClone", name="Alone", domainId=new_domain(gateway))["clone"]["id"]

    assert done(gateway, "provisionVectorStore", owner={"clone": clone})["status"] == "READY"


WRONG: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "a model without a name": ("provisionAssistant", {"model": " "}, "INVALID_INPUT", ["model"]),
    "a model of a long name": ("provisionAssistant", {"model": "m" * 101}, "INVALID_INPUT", ["model"]),
    "too cold": ("provisionAssistant", {"temperature": -0.1}, "INVALID_INPUT", ["temperature"]),
    "too hot": ("provisionAssistant", {"temperature": 2.1}, "INVALID_INPUT", ["temperature"]),
    "no words": ("provisionAssistant", {"maxOutputTokens": 0}, "INVALID_INPUT", ["maxOutputTokens"]),
    "too many words": ("provisionAssistant", {"maxOutputTokens": 128_001}, "INVALID_INPUT", ["maxOutputTokens"]),
    "a document that there is not": (
        "provisionAssistant",
        {"documentIds": [f"document_{NOBODYS}"]},
        "NOT_FOUND",
        ["documentIds"],
    ),
    "too many documents": (
        "provisionAssistant",
        {"documentIds": [f"document_{number:032x}" for number in range(2_001)]},
        "INVALID_INPUT",
        ["documentIds"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_with_its_place(gateway: Gateway, mayas: dict[str, str], case: str) -> None:
    mutation, given, code, path = WRONG[case]

    assert refused(gateway, mutation, expertId=mayas["expert"], **given) == (code, ["input", *path])


def test_a_domain_is_given_no_documents_but_its_own(gateway: Gateway, mayas: dict[str, str]) -> None:
    given: dict[str, Any] = {"owner": {"domain": mayas["domain"]}, "documentIds": [mayas["document"]]}

    assert refused(gateway, "provisionVectorStore", **given) == ("INVALID_INPUT", ["input", "documentIds"])


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "nul\0"], ids=["empty", "blank", "long", "nul"])
def test_a_client_has_a_name(gateway: Gateway, mayas: dict[str, str], name: str) -> None:
    owner = {"client": {"domainId": mayas["domain"], "name": name}}

    assert refused(gateway, "provisionVectorStore", owner=owner) == ("INVALID_INPUT", ["input", "owner", "client"])


def test_documents_that_one_does_not_see_are_not_put_into_stores(gateway: Gateway) -> None:
    domain = new_domain(gateway, as_="jonas")
    expert = new_expert(gateway, domain, as_="jonas")
    hidden = new_document(gateway, new_domain(gateway), f"Hidden {uuid4().hex}", is_default=False)

    given: dict[str, Any] = {"owner": {"expert": expert}, "documentIds": [hidden]}

    assert refused(gateway, "provisionVectorStore", "jonas", **given) == ("NOT_FOUND", ["input", "documentIds"])


@pytest.mark.parametrize("mutation", ["syncKnowledge", "deprovisionVectorStore"])
def test_where_there_is_no_store_there_is_nothing_to_do(gateway: Gateway, mutation: str) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")

    assert refused(gateway, mutation, owner={"clone": clone}) == ("NOT_FOUND", ["input", "owner", "clone"])


@pytest.mark.parametrize(
    "owner",
    [
        {},
        {"clone": f"clone_{NOBODYS}", "domain": f"domain_{NOBODYS}"},
        {"clone": None},
        {"clone": f"domain_{NOBODYS}"},
        {"expert": "nonsense"},
    ],
    ids=["none", "two", "null", "of another kind", "nonsense"],
)
def test_an_owner_is_exactly_one_thing_of_its_kind(gateway: Gateway, owner: dict[str, Any]) -> None:
    answer = gateway.ask(document("provisionVectorStore")[0], as_="maya", input={"owner": owner})

    assert answer.codes == ["BAD_USER_INPUT"]


def test_of_what_is_refused_no_operation_is_left(gateway: Gateway) -> None:
    clone = ask(gateway, "createClone", name="Bare")["clone"]["id"]
    before = sql(gateway.database_url, "SELECT count(*) FROM operations")

    refused(gateway, "provisionClone", cloneId=clone)
    refused(gateway, "provisionClone", cloneId=f"clone_{NOBODYS}")

    assert sql(gateway.database_url, "SELECT count(*) FROM operations") == before
