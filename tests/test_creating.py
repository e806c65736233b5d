"""Creators make clones, domains and experts, and nobody else's change with them."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import fresh_database
from tests.serving import Answer, Gateway, serving

AI_EDUCATION = "domain_019a48f1d6807bcc8a89fc32022f1bae"
SLEEP_HEALTH = "domain_019a48f1d68074e1a7a3155d7a1c031e"
MAYAS_DRAFT = "clone_01a0e1e0c8007177be63515062abd113"
JONAS_DRAFT = "clone_01a0e70724007317a050e89072ba8e85"
FEEDBACK_COACH = "expert_019a48f1d68073fe8d4d2a03664473ce"
LESSON_DESIGNER = "expert_019a48f1d68077739b070a9834db0c12"
NO_EXPERT = "expert_00000000000000000000000000000001"

SHOWN = {
    "clone": "id name bio basePrice temperature maxTokens systemPrompt memoryType isPublished isActive publishedAt"
    " creator { fullName role } domain { name } experts { nodes { name } } viewerCanEdit",
    "domain": "id name owner { fullName } experts { nodes { name } } documents { totalCount } viewerCanEdit",
    "expert": "id name context domain { name } owner { fullName } viewerCanEdit",
}


@pytest.fixture(scope="module")
def creating(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over demo data that the tests of this file may change."""
    with fresh_database(server_url, template) as url, serving(url) as gateway:
        yield gateway


def send(gateway: Gateway, mutation: str, *, as_: str | None = "maya", **given: Any) -> Answer:
    entity = next(name for name in SHOWN if name in mutation.lower() or mutation == "assignExperts")
    type_ = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = f"""mutation($input: {type_}!) {{ {mutation}(input: $input) {{
        {entity} {{ {SHOWN[entity]} }} userErrors {{ code path }} }} }}"""
    if mutation.startswith("create"):
        given.setdefault("idempotencyKey", str(uuid4()))
    return gateway.ask(query, as_=as_, input=given)


def made(answer: Answer) -> Any:
    """The row that a mutation gave."""
    ((row, errors),) = [tuple(payload.values()) for payload in answer.data.values()]
    assert errors == []
    return row


def refused(answer: Answer) -> Any:
    """The codes and paths of the user errors of a mutation."""
    ((row, errors),) = [tuple(payload.values()) for payload in answer.data.values()]
    assert row is None
    return [(error["code"], error["path"][1:]) for error in errors]


def test_the_first_clone_makes_its_creator_a_creator_at_once(creating: Gateway) -> None:
    clone = made(send(creating, "createClone", as_="noor", name="Homework Listener", systemPrompt="Listen first."))

    changed = made(send(creating, "publishClone", as_="noor", id=clone["id"]))

    assert clone["creator"] == {"fullName": "Noor Haddad", "role": "CREATOR"}
    assert clone["systemPrompt"] == "Listen first."
    assert clone["viewerCanEdit"]
    assert changed["isPublished"]


def test_a_new_clone_is_a_draft_with_the_usual_settings(creating: Gateway) -> None:
    clone = made(send(creating, "createClone", name="Quiz Maker", domainId=AI_EDUCATION, basePrice="0.75"))
    strangers = creating.ask("query($id: ID!) { clone(id: $id) { name } }", as_="aiko", id=clone["id"])

    assert (clone["isPublished"], clone["isActive"], clone["publishedAt"]) == (False, True, None)
    assert (clone["temperature"], clone["maxTokens"], clone["memoryType"]) == (0.7, 1024, "EXPERT")
    assert (clone["basePrice"], clone["domain"]) == ("0.75", {"name": "AI education"})
    assert strangers.data["clone"] is None


def test_a_clone_that_is_created_twice_under_one_key_is_one_clone(creating: Gateway) -> None:
    key = str(uuid4())

    first, second = (made(send(creating, "createClone", name="Once", idempotencyKey=key)) for _ in range(2))
    other = send(creating, "createClone", name="Twice", idempotencyKey=key)

    assert first == second
    assert refused(other) == [("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])]


def test_a_clone_is_published_unpublished_and_archived(creating: Gateway) -> None:
    states = [
        (clone["isPublished"], clone["isActive"])
        for clone in (
            made(send(creating, f"{verb}Clone", id=MAYAS_DRAFT)) for verb in ("publish", "unpublish", "archive")
        )
    ]
    again = made(send(creating, "publishClone", id=MAYAS_DRAFT))

    assert states == [(True, True), (False, True), (False, False)]
    assert (again["isPublished"], again["isActive"]) == (True, True)


def test_exactly_the_assigned_experts_stand_behind_a_clone(creating: Gateway) -> None:
    two = made(send(creating, "assignExperts", id=MAYAS_DRAFT, expertIds=[FEEDBACK_COACH, LESSON_DESIGNER]))
    unknown = send(creating, "assignExperts", id=MAYAS_DRAFT, expertIds=[NO_EXPERT])
    none = made(send(creating, "assignExperts", id=MAYAS_DRAFT, expertIds=[]))

    assert [expert["name"] for expert in two["experts"]["nodes"]] == ["Feedback coach", "Lesson designer"]
    assert refused(unknown) == [("NOT_FOUND", ["expertIds"])]
    assert none["experts"]["nodes"] == []


def test_a_clone_moves_to_another_domain_and_out_of_all(creating: Gateway) -> None:
    moved = made(send(creating, "updateClone", id=MAYAS_DRAFT, domainId=SLEEP_HEALTH, memoryType="CLIENT"))
    alone = made(send(creating, "updateClone", id=MAYAS_DRAFT, domainId=None))
    unknown = send(creating, "updateClone", id=MAYAS_DRAFT, domainId="domain_00000000000000000000000000000001")

    assert (moved["domain"], moved["memoryType"]) == ({"name": "Sleep health"}, "CLIENT")
    assert alone["domain"] is None
    assert refused(unknown) == [("NOT_FOUND", ["domainId"])]


def test_a_domain_and_its_expert_are_made_and_renamed_with_all_that_hangs_on_them(creating: Gateway) -> None:
    domain = made(send(creating, "createDomain", name=" Reading aloud "))
    expert = made(send(creating, "createExpert", domainId=domain["id"], name="Story teller", context="Reads slowly."))

    renamed = made(send(creating, "renameDomain", id=domain["id"], name="Reading together"))
    changed = made(send(creating, "updateExpert", id=expert["id"], name="Story reader"))

    assert (domain["name"], domain["owner"]) == ("Reading aloud", {"fullName": "Maya Lindqvist"})
    assert expert["domain"] == {"name": "Reading aloud"}
    assert [each["name"] for each in renamed["experts"]["nodes"]] == ["Story teller"]
    assert (changed["name"], changed["context"]) == ("Story reader", "Reads slowly.")


@pytest.mark.parametrize(
    ("mutation", "given", "path"),
    [
        ("createDomain", {"name": "AI education"}, "name"),
        ("renameDomain", {"id": AI_EDUCATION, "name": "Sleep health"}, "name"),
        ("createExpert", {"domainId": AI_EDUCATION, "name": "Chart critic", "context": "x"}, "name"),
        ("updateExpert", {"id": FEEDBACK_COACH, "name": "Chart critic"}, "name"),
    ],
)
def test_a_name_that_is_taken_is_a_user_error(
    creating: Gateway, mutation: str, given: dict[str, str], path: str
) -> None:
    assert refused(send(creating, mutation, **given)) == [("NAME_TAKEN", [path])]


@pytest.mark.parametrize(
    ("mutation", "given"),
    [
        ("publishClone", {"id": JONAS_DRAFT}),
        ("unpublishClone", {"id": JONAS_DRAFT}),
        ("archiveClone", {"id": JONAS_DRAFT}),
        ("assignExperts", {"id": JONAS_DRAFT, "expertIds": []}),
        ("renameDomain", {"id": SLEEP_HEALTH, "name": "Mine"}),
        ("updateExpert", {"id": FEEDBACK_COACH, "context": "Mine"}),
        ("createExpert", {"domainId": AI_EDUCATION, "name": "Mine", "context": "Mine"}),
    ],
)
@pytest.mark.parametrize("person", ["helena", "aiko"])
def test_what_belongs_to_others_cannot_be_found_to_be_changed(
    creating: Gateway, mutation: str, given: dict[str, Any], person: str
) -> None:
    (problem,) = refused(send(creating, mutation, as_=person, **given))

    assert problem[0] == "NOT_FOUND"


@pytest.mark.parametrize("mutation", ["createClone", "createDomain"])
def test_who_has_not_signed_in_creates_nothing(creating: Gateway, mutation: str) -> None:
    answer = send(creating, mutation, as_=None, name="Nobody's")

    assert answer.codes == ["FORBIDDEN"]


@pytest.mark.parametrize(
    ("mutation", "given", "path"),
    [
        ("createClone", {"name": " "}, "name"),
        ("createClone", {"name": "x", "basePrice": "-1"}, "basePrice"),
        ("createClone", {"name": "x", "memoryType": "UNKNOWN"}, "memoryType"),
        ("createClone", {"name": "x", "temperature": 3}, "temperature"),
        ("createDomain", {"name": ""}, "name"),
        ("createDomain", {"name": "x" * 201}, "name"),
        ("updateExpert", {"id": FEEDBACK_COACH, "context": ""}, "context"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_its_place(
    creating: Gateway, mutation: str, given: dict[str, Any], path: str
) -> None:
    assert refused(send(creating, mutation, **given)) == [("INVALID_INPUT", [path])]
