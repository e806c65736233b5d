"""What can be changed, by whom, and how one is told why not."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import OperationType

from db import demo
from gateway.explorer import Example, examples
from tests.conftest import fresh_database
from tests.serving import Answer, Gateway, serving
from tests.test_examples import AT_PROVIDER, KEYS, NOT_HERE

UPDATE = """
    mutation($input: UpdateCloneInput!) {
      updateClone(input: $input) {
        clone { name bio category expertiseAreas basePrice personalityTraits communicationStyle systemPrompt temperature
          maxTokens isPublished isActive publishedAt updatedAt }
        userErrors { __typename code message path }
      }
    }
"""
MAYAS = "clone_019d47d78580733e8c814fd095704e36"
MAYAS_DRAFT = "clone_01a0e1e0c8007177be63515062abd113"
JONAS_PUBLIC = "clone_019cbb4b4c007085abbd5352fe92d1ef"
JONAS_DRAFT = "clone_01a0e70724007317a050e89072ba8e85"
NOBODYS = "clone_00000000000000000000000000000001"

EXAMPLES = [
    example
    for example in examples()
    if example.operation is OperationType.MUTATION
    and example.fields not in {("uploadDocument",), *NOT_HERE, *AT_PROVIDER}
    and not example.name.startswith("delete")
]
"""The upload is tested with a file, and what is deleted is deleted once."""


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over demo data that the tests of this file may change."""
    with fresh_database(server_url, template) as url, serving(url) as gateway:
        asyncio.run(demo.go_on(url))
        yield gateway


def update(gateway: Gateway, id_: str = MAYAS, *, as_: str | None = "maya", **changes: Any) -> Answer:
    return gateway.ask(UPDATE, as_=as_, input={"id": id_, **changes})


def clone_after(answer: Answer) -> Any:
    assert answer.data["updateClone"]["userErrors"] == []
    return answer.data["updateClone"]["clone"]


def problems(answer: Answer) -> Any:
    assert answer.data["updateClone"]["clone"] is None
    return answer.data["updateClone"]["userErrors"]


def test_a_creator_changes_an_own_clone_and_reads_it_back(changing: Gateway) -> None:
    changes: dict[str, Any] = {
        "name": "Learning That Stays",
        "bio": "I plan lessons from the end.",
        "category": "Schools",
        "expertiseAreas": ["recall", "feedback"],
        "basePrice": "2.75000001",
        "personalityTraits": {"warm": True, "dry": ["a", None]},
        "communicationStyle": {},
        "systemPrompt": "Ask first.",
        "temperature": 0,
        "maxTokens": 2048,
        "isActive": False,
    }

    shown = clone_after(update(changing, **changes))
    later = changing.ask("query($id: ID!) { clone(id: $id) { name systemPrompt } }", as_="maya", id=MAYAS)

    assert {name: shown[name] for name in changes} == changes
    assert later.data["clone"] == {"name": "Learning That Stays", "systemPrompt": "Ask first."}


def test_what_is_left_out_stays_and_null_empties(changing: Gateway) -> None:
    before = clone_after(update(changing, bio="A bio.", category="Schools"))

    after = clone_after(update(changing, category=None))

    assert after["category"] is None
    assert {**after, "category": 0, "updatedAt": 0} == {**before, "category": 0, "updatedAt": 0}


def test_nothing_to_change_changes_nothing(changing: Gateway) -> None:
    before = clone_after(update(changing, bio="A bio."))

    assert clone_after(update(changing)) == before


def test_a_clone_keeps_the_time_when_it_was_first_published(changing: Gateway) -> None:
    first = clone_after(update(changing, MAYAS_DRAFT, isPublished=True))["publishedAt"]

    clone_after(update(changing, MAYAS_DRAFT, isPublished=False))
    again = clone_after(update(changing, MAYAS_DRAFT, isPublished=True))

    assert first is not None
    assert again["publishedAt"] == first


def test_an_admin_changes_any_clone(changing: Gateway) -> None:
    assert clone_after(update(changing, JONAS_DRAFT, as_="grace", bio="Looked at."))["bio"] == "Looked at."


@pytest.mark.parametrize("person", ["maya", "luca"])
def test_hidden_missing_and_other_peoples_clones_are_refused_alike(changing: Gateway, person: str) -> None:
    others = (JONAS_PUBLIC, JONAS_DRAFT, NOBODYS)
    refusals = [problems(update(changing, id_, as_=person, bio="Mine!")) for id_ in others]

    assert refusals[0] == refusals[1] == refusals[2]
    assert [(each["__typename"], each["code"], each["path"]) for each in refusals[0]] == [
        ("NotFound", "NOT_FOUND", ["input", "id"])
    ]


def test_who_has_not_signed_in_is_told_so(changing: Gateway) -> None:
    answer = update(changing, as_=None, bio="Mine!")

    assert answer.codes == ["FORBIDDEN"]
    assert answer.body["data"] == {"updateClone": None}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"isPublished": None}, "isPublished"),
        ({"bio": "a\0b"}, "bio"),
        ({"basePrice": "-0.01"}, "basePrice"),
        ({"basePrice": "NaN"}, "basePrice"),
        ({"basePrice": "1e999999"}, "basePrice"),
        ({"basePrice": "0.000000001"}, "basePrice"),
        ({"temperature": 2.01}, "temperature"),
        ({"maxTokens": 0}, "maxTokens"),
        ({"personalityTraits": ["warm"]}, "personalityTraits"),
        ({"communicationStyle": "short"}, "communicationStyle"),
        ({"expertiseAreas": ["law", ""]}, "expertiseAreas"),
        ({"expertiseAreas": ["law"] * 51}, "expertiseAreas"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_a_user_error(changing: Gateway, changes: dict[str, Any], path: str) -> None:
    (problem,) = problems(update(changing, **changes))

    assert (problem["__typename"], problem["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert problem["path"][:2] == ["input", path]


def test_all_values_that_cannot_be_are_told_at_once_and_nothing_is_changed(changing: Gateway) -> None:
    before = clone_after(update(changing, bio="As it was."))

    told = problems(update(changing, bio="As it shall be.", name="", temperature=-1))

    assert [each["path"] for each in told] == [["input", "name"], ["input", "temperature"]]
    assert clone_after(update(changing)) == before


def test_what_no_column_can_hold_is_bad_input(changing: Gateway) -> None:
    assert update(changing, personalityTraits={"a": "\0"}).codes == ["BAD_USER_INPUT"]
    assert update(changing, "session_00000000000000000000000000000001", bio="").codes == ["BAD_USER_INPUT"]


def test_mutations_of_one_operation_run_one_after_the_other_and_each_stands(changing: Gateway) -> None:
    answer = changing.ask(
        """
        mutation($id: ID!, $other: ID!) {
          first: updateClone(input: { id: $id, bio: "1" }) { clone { bio maxTokens } }
          second: updateClone(input: { id: $id, maxTokens: 7 }) { clone { bio maxTokens } }
          third: updateClone(input: { id: $other, bio: "3" }) { clone { bio } userErrors { code } }
          fourth: updateClone(input: { id: $id, bio: "4" }) { clone { bio maxTokens } }
        }
        """,
        as_="maya",
        id=MAYAS,
        other=JONAS_PUBLIC,
    )

    assert answer.data["first"]["clone"]["bio"] == "1"
    assert answer.data["second"]["clone"] == {"bio": "1", "maxTokens": 7}
    assert answer.data["third"] == {"clone": None, "userErrors": [{"code": "NOT_FOUND"}]}
    assert answer.data["fourth"]["clone"] == {"bio": "4", "maxTokens": 7}


def test_an_answer_is_read_where_it_was_written(changing: Gateway, own_database: str) -> None:
    with serving(changing.database_url, read_url=own_database) as gateway:
        answer = update(gateway, bio="Not on the replica yet.")
        later = gateway.ask("query($id: ID!) { clone(id: $id) { bio } }", id=MAYAS)

    assert clone_after(answer)["bio"] == "Not on the replica yet."
    assert later.data["clone"]["bio"] != "Not on the replica yet."


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_of_a_mutation_can_be_run_again(changing: Gateway, example: Example) -> None:
    variables = example.variables or {}
    for _ in range(2):
        answer = changing.ask(example.query, as_=KEYS[example.as_ or ""], **variables)

        for payload in answer.data.values():
            assert payload["userErrors"] == []
