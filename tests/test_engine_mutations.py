"""What changes something: it is answered as graphql-core does it, and done once, whatever is wrong with its answer.

Each engine has a database of its own, equal to the other's at the start.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from gateway.engine.way import Way
from tests.conftest import execute, fresh_database
from tests.engines import Engines, engines
from tests.serving import Gateway
from tests.sockets import MAYAS, MAYAS_DRAFT, PATIENCE, open_stream

JONAS_DRAFT = "clone_01a0e70724007317a050e89072ba8e85"
AI_EDUCATION = "domain_019a48f1d6807bcc8a89fc32022f1bae"
KEEP_ACTS = [
    "CREATE TABLE acts (at timestamptz DEFAULT clock_timestamp())",
    """CREATE FUNCTION keep_act() RETURNS trigger LANGUAGE plpgsql
       AS 'BEGIN INSERT INTO acts VALUES (default); RETURN NULL; END'""",
    "CREATE TRIGGER keep_act AFTER UPDATE ON clones FOR EACH ROW EXECUTE FUNCTION keep_act()",
]
"""A row for each change of a clone."""


@pytest.fixture(scope="module")
def both(server_url: str, template: str) -> Iterator[Engines]:
    with ExitStack() as stack:
        one, other = (stack.enter_context(fresh_database(server_url, template)) for _ in range(2))
        for statement in KEEP_ACTS:
            for url in (one, other):
                asyncio.run(execute(url, statement))
        yield stack.enter_context(engines(one, other))


def acts(both: Engines) -> list[int]:
    """How often a clone was changed since one last looked, on each side."""
    return [
        len(asyncio.run(execute(gateway.database_url, "DELETE FROM acts RETURNING at")))
        for gateway in (both.planning, both.core)
    ]


def test_mutations_happen_one_after_the_other_and_each_is_told_as_it_was_then(both: Engines) -> None:
    acts(both)

    found = both.ask(
        """mutation M($id: ID!, $other: ID!, $bio: String! = "1") {
          first: updateClone(input: { id: $id, bio: $bio }) { clone { ...F } }
          refused: updateClone(input: { id: $other, bio: "2" }) { ...P userErrors { ... on NotFound { code path } } }
          second: updateClone(input: { id: $id, maxTokens: 7 }) { ...P clone { creator { clones(first: 30) { nodes {
            ...F } } } } }
          last: updateClone(input: { id: $id, bio: "4" }) { clone { ...F } __typename }
        }
        fragment P on UpdateClonePayload { userErrors { __typename message } clone { maxTokens ...F } kind: __typename }
        fragment F on Clone { bio maxTokens }""",
        as_="maya",
        id=MAYAS,
        other=JONAS_DRAFT,
    ).data

    assert [found[name]["clone"] for name in ("first", "refused", "last")] == [
        {"bio": "1", "maxTokens": found["first"]["clone"]["maxTokens"]},
        None,
        {"bio": "4", "maxTokens": 7},
    ]
    assert {"bio": "1", "maxTokens": 7} in found["second"]["clone"]["creator"]["clones"]["nodes"]
    assert acts(both) == [3, 3]


def test_a_mutation_that_several_nodes_select_is_done_once(both: Engines) -> None:
    query = """mutation M($id: ID!, $yes: Boolean!) { updateClone(input: { id: $id, bio: "B" }) { clone { id } }
        ...F updateClone(input: { id: $id, bio: "B" }) @include(if: $yes) { clone { bio } }
        a: updateClone(input: { id: $id, bio: "A" }) @skip(if: $yes) { clone { bio } } }
        fragment F on Mutation { updateClone(input: { id: $id, bio: "B" }) { userErrors { code } clone { name } } }"""
    acts(both)

    counts = []
    for yes in (True, False):
        assert both.ask(query, as_="maya", id=MAYAS, yes=yes).data["updateClone"]["userErrors"] == []
        counts.append(acts(both))

    assert counts == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("selection", "codes"),
    [
        ("clone { sessions(first: -1) { nodes { id } } }", ["BAD_USER_INPUT"]),
        ("clone { e: experts { few: count(limit: -1) { value } } name }", ["BAD_USER_INPUT"]),
        ('clone { domain { clones(after: "x") { nodes { id } } } } userErrors { code }', ["BAD_USER_INPUT"]),
        ("clone { id } __typename", []),
    ],
    ids=["a page", "a count", "a cursor", "nothing"],
)
def test_what_is_wrong_with_its_answer_does_not_do_a_mutation_twice(
    both: Engines, selection: str, codes: list[str]
) -> None:
    query = f"""mutation M($id: ID!, $draft: ID!) {{
        a: updateClone(input: {{ id: $id, bio: "a" }}) {{ clone {{ bio }} }}
        b: updateClone(input: {{ id: $draft, bio: "b" }}) {{ {selection} }}
        c: updateClone(input: {{ id: $id, bio: "c" }}) {{ clone {{ bio }} }} }}"""
    acts(both)

    found = both.ask(query, as_="maya", id=MAYAS, draft=MAYAS_DRAFT)

    assert found.codes == codes
    assert found.way is (Way.ANOMALY if codes else Way.PLAN)
    assert [found.answer.body["data"][key]["clone"] for key in "ac"] == [{"bio": "a"}, {"bio": "c"}]
    assert acts(both) == [3, 3]


def test_an_act_that_fails_is_tried_once_and_the_others_are_done(both: Engines) -> None:
    query = """mutation M($id: ID!, $key: UUID!, $who: ID!) {
        a: updateClone(input: { id: $id, bio: "a" }) { clone { bio } }
        b: topUpCredits(input: { idempotencyKey: $key, userId: $who, amount: 1, reason: "?" }) { userErrors { code } }
        c: updateClone(input: { id: "x", bio: "a" }) { clone { bio } }
        d: updateClone(input: { id: $id, bio: "d" }) { clone { bio } } }"""
    acts(both)

    found = both.ask(query, as_="maya", id=MAYAS, key=str(uuid4()), who="user_019a0000000070008000000000000001")

    assert sorted(found.codes) == ["BAD_USER_INPUT", "FORBIDDEN"]
    assert found.answer.body["data"]["d"] == {"clone": {"bio": "d"}}
    assert acts(both) == [2, 2]


def test_a_deletion_is_done_once_though_an_error_comes_after_it(both: Engines) -> None:
    query = """mutation M($a: ID!, $b: ID!) {
        deleteQaPair(input: { id: $a }) { deletedId userErrors { __typename code } }
        again: deleteQaPair(input: { id: $a }) { deletedId userErrors { __typename code } }
        updateClone(input: { id: $b, bio: "b" }) { clone { sessions(last: 101) { nodes { id } } } } }"""
    pairs = "query Q($id: ID!) { clone(id: $id) { qaPairs(first: 1) { nodes { id } totalCount } } }"
    before = both.ask(pairs, as_="maya", id=MAYAS).data["clone"]["qaPairs"]
    (pair,) = before["nodes"]

    found = both.ask(query, as_="maya", a=pair["id"], b=MAYAS)

    assert found.way is Way.ANOMALY
    assert found.answer.body["data"]["deleteQaPair"] == {"deletedId": pair["id"], "userErrors": []}
    assert found.answer.body["data"]["again"]["userErrors"] == [{"__typename": "NotFound", "code": "NOT_FOUND"}]
    after = both.ask(pairs, as_="maya", id=MAYAS).data["clone"]["qaPairs"]
    assert after["totalCount"] == before["totalCount"] - 1


def test_user_errors_of_each_kind_have_the_fields_of_their_own(both: Engines) -> None:
    found = both.ask(
        """mutation M($id: ID!, $domain: ID!, $key: UUID!) {
          none: updateClone(input: { id: $id, name: " ", temperature: 9 }) { userErrors { ...E } clone { id } }
          taken: createDomain(input: { idempotencyKey: $key, name: "AI education" }) { userErrors { ...E } }
          used: deleteDomain(input: { id: $domain }) { userErrors { ...E } deletedId domain { name } }
        }
        fragment E on UserError { path code ... on NameTaken { suggestion } ... on InUse { obstacles { count what }
          code } __typename ...I } fragment I on InvalidInput { message }""",
        as_="maya",
        id=MAYAS,
        domain=AI_EDUCATION,
        key=str(uuid4()),
    ).data

    assert [[error["__typename"] for error in found[key]["userErrors"]] for key in ("none", "taken", "used")] == [
        ["InvalidInput", "InvalidInput"],
        ["NameTaken"],
        ["InUse"],
    ]


def test_who_creates_a_first_clone_reads_what_is_private_in_the_answer(both: Engines) -> None:
    query = """mutation M($key: UUID!) { createClone(input: { idempotencyKey: $key, name: "A first one", basePrice: 1,
        bio: "Hello", systemPrompt: "Ask first." }) { clone { name systemPrompt creator { role email } } userErrors {
        message } } }"""

    first, again = (both.ask(query, as_="noor", key=key) for key in ["00000000-0000-7000-8000-000000000001"] * 2)

    assert first.answer.data["createClone"]["clone"]["systemPrompt"] == "Ask first."
    assert again.answer.data == first.answer.data


def told_to(both: Engines, query: str, as_: str, act: Callable[[Gateway], Any] | None = None, **variables: Any) -> Way:
    """How the first event came, and the one after something was done, if anything is; it must be the same of both."""
    told, ways = [], []
    for gateway in (both.planning, both.core):
        with capture_logs() as lines:
            with open_stream(gateway, query, as_, **variables) as events:
                payloads = [events.next().data]
                if act:
                    act(gateway)
                    payloads.append(events.next().data)
            deadline = time.monotonic() + PATIENCE
            while not (ended := [line["way"] for line in lines if line.get("transport") == "sse"]):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        ways += ended
        for payload in payloads:
            for error in payload.get("errors", ()):
                del error["extensions"]["errorId"]
        told.append(json.dumps(payloads))
    assert told[0] == told[1]
    assert ways[1] is Way.GRAPHQL_CORE
    first: Way = ways[0]
    return first


@pytest.mark.parametrize(
    ("selection", "way"),
    [
        ("clone { name bio domain { name } sessions(first: 2) { totalCount edges { node { status } } } }", Way.PLAN),
        ("on: clone { says: bio ...F } kind: __typename again: clone { bio }", Way.PLAN),
        ("clone { sessions(first: -1) { nodes { id } } }", Way.ANOMALY),
    ],
    ids=["rows", "aliases and fragments", "an error"],
)
def test_an_event_is_told_as_graphql_core_tells_it(both: Engines, selection: str, way: Way) -> None:
    fragment = "fragment F on Clone { name creator { fullName } }" if "...F" in selection else ""
    query = f"subscription S($id: ID!) {{ cloneUpdated(id: $id) {{ {selection} }} }} {fragment}"
    bio = str(uuid4())

    def change(gateway: Gateway) -> None:
        gateway.ask(
            "mutation M($id: ID!, $bio: String!) { updateClone(input: { id: $id, bio: $bio }) { clone { bio } } }",
            as_="maya",
            id=MAYAS,
            bio=bio,
        )

    assert told_to(both, query, "maya", change, id=MAYAS) is way


SUBSCRIPTIONS = {  # each with a query for something to subscribe to
    "sessionUpdated": (
        "subscription S($id: ID!) { a: sessionUpdated(id: $id) { session { id status clone { name } } } }",
        "sessions(first: 1) { nodes { id } } }",
    ),
    "operationUpdated": (
        """subscription S($id: ID!) { operationUpdated(id: $id) { o: operation { title progress steps { nodes { kind
            error } totalCount } error { code } } } }""",
        "operations(first: 1, orderBy: { field: CREATED_AT }) { nodes { id } } }",
    ),
    "messageStream": (
        """subscription S($id: ID!) { messageStream(sessionId: $id) { offset delta reply { status content question {
            content } } r: reply { id session { status } } } }""",
        "replies(first: 1) { nodes { session { id } } } }",
    ),
}


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_the_first_event_of_each_subscription_comes_by_a_plan(both: Engines, name: str) -> None:
    query, ids = SUBSCRIPTIONS[name]
    (first,) = both.ask(f"{{ found: {ids}", as_="grace").data["found"]["nodes"]

    assert told_to(both, query, "grace", id=first.get("id") or first["session"]["id"]) is Way.PLAN
