"""GraphQL over Server-Sent Events: the protocol graphql-sse, in its mode of distinct connections."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway import auth, sockets, stream
from tests.conftest import execute, fresh_database
from tests.serving import CAST, Gateway, serving
from tests.sockets import CLONE, MAYAS, MAYAS_DRAFT, PATIENCE, PRIVATE_CLONE, RENAME, STREAM, open_sockets, open_stream

WHO = "{ viewer { fullName } }"
MAYA = {"data": {"viewer": {"fullName": CAST["maya"].name}}}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over demo data that the tests of this file may change."""
    with fresh_database(server_url, template) as url, serving(url, {"development": True}) as gateway:
        yield gateway


def change(gateway: Gateway, statement: str, *arguments: Any) -> None:
    """Change something as another program would."""
    asyncio.run(execute(gateway.database_url, statement, *arguments))


def rename(gateway: Gateway, name: str) -> None:
    assert gateway.ask(RENAME, as_="maya", id=MAYAS, name=name).data["updateClone"]["clone"] == {"name": name}


def uuid_of(id_: str) -> str:
    return id_.rpartition("_")[2]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_is_one_event_and_the_end(gateway: Gateway, method: str) -> None:
    with open_stream(gateway, WHO, "maya", method=method) as events:
        assert events.next().data == MAYA
        events.expect_end()


def test_a_mutation_is_one_event_and_the_end(changing: Gateway) -> None:
    with open_stream(changing, RENAME, "maya", id=MAYAS, name="From a stream") as events:
        assert events.data()["updateClone"]["clone"] == {"name": "From a stream"}
        events.expect_end()


def test_a_change_over_http_is_told_to_everybody(changing: Gateway) -> None:
    with open_stream(changing, CLONE, id=MAYAS) as nobody, open_stream(changing, CLONE, "maya", id=MAYAS) as maya:
        nobody.data()
        maya.data()

        rename(changing, "Over HTTP")

        assert [each.data()["cloneUpdated"]["clone"]["name"] for each in (nobody, maya)] == ["Over HTTP"] * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_event_source_that_comes_back_misses_nothing(changing: Gateway, method: str) -> None:
    with open_stream(changing, CLONE, method=method, id=MAYAS) as events:
        last = events.next()
    rename(changing, f"While {method} was away")

    with open_stream(changing, CLONE, method=method, headers={"last-event-id": last.id or ""}, id=MAYAS) as events:
        missed = events.next()
        rename(changing, f"{method} is back")
        following = events.next()

    assert last.id == last.data["data"]["cloneUpdated"]["cursor"]
    assert missed.data["data"]["cloneUpdated"]["clone"]["name"] == f"While {method} was away"
    assert following.data["data"]["cloneUpdated"]["clone"]["name"] == f"{method} is back"
    assert len({last.id, missed.id, following.id}) == 3


def test_an_event_has_its_id_even_if_nobody_asks_for_the_cursor(changing: Gateway) -> None:
    query = "subscription($id: ID!, $since: String) { told: cloneUpdated(id: $id, after: $since) { clone { name } } }"
    with open_stream(changing, query, id=MAYAS) as events:
        last = events.next()
    rename(changing, "Under another name")

    with open_stream(changing, query, headers={"last-event-id": last.id or ""}, id=MAYAS) as events:
        assert events.data()["told"]["clone"]["name"] == "Under another name"


def test_something_comes_now_and_then(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE", 0.05)
    with open_stream(gateway, CLONE, id=MAYAS) as events:
        events.data()

        assert [events.comment() for _ in range(3)] == [":"] * 3


def test_nothing_is_kept_on_the_way(gateway: Gateway) -> None:
    with open_stream(gateway, CLONE, id=MAYAS) as events:
        headers = events.response.headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"


IN_THE_STREAM = [
    ("{", {}, "GRAPHQL_PARSE_FAILED"),
    ("{ colour }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("query A { __typename } query B { __typename }", {}, "OPERATION_UNDETERMINED"),
    ("query($n: Int!) { clones(first: $n) { nodes { id } } }", {"n": "x"}, "BAD_USER_INPUT"),
    ("{ clones(first: 100) { nodes { sessions(first: 100) { nodes { id } } } } }", {}, "LIMIT_EXCEEDED"),
    (CLONE, {}, "BAD_USER_INPUT"),
    (CLONE, {"id": "nonsense"}, "BAD_USER_INPUT"),
    (CLONE, {"id": MAYAS_DRAFT}, "BAD_USER_INPUT"),
    (CLONE, {"id": MAYAS, "after": "nonsense"}, "BAD_USER_INPUT"),
]


@pytest.mark.parametrize(("query", "variables", "code"), IN_THE_STREAM)
def test_what_is_wrong_with_an_operation_is_told_in_the_stream(
    gateway: Gateway, query: str, variables: dict[str, Any], code: str
) -> None:
    with open_stream(gateway, query, **variables) as events:
        assert set(events.codes()) == {code}


OVER_HTTP: list[tuple[str, dict[str, Any], int, str]] = [
    ("a reservation", {"method": "PUT"}, 405, "distinct connections"),
    ("the end of an operation", {"method": "DELETE", "params": {"operationId": "1"}}, 405, "distinct connections"),
    ("a token of a reservation", {"method": "GET", "params": {"token": "1"}}, 400, "single connection mode"),
    ("its header", {"headers": {"x-graphql-event-stream-token": "1"}, "json": {"query": WHO}}, 400, "reservations"),
    ("another media type", {"headers": {"accept": "application/json"}, "json": {"query": WHO}}, 406, "event-stream"),
    ("a mutation by GET", {"method": "GET", "params": {"query": "mutation { __typename }"}}, 405, "POST"),
    ("another content type", {"headers": {"content-type": "text/plain"}, "content": "{}"}, 415, "application/json"),
    ("no JSON", {"headers": JSON, "content": "{"}, 400, "JSON"),
    ("no query", {"json": {}}, 422, "query is missing"),
    ("a body that is too large", {"json": {"query": WHO, "variables": {"a": "x" * 1_000_000}}}, 413, "1000000 bytes"),
    ("a bad token", {"headers": {"authorization": "Bearer nonsense"}, "json": {"query": WHO}}, 401, "token"),
]


@pytest.mark.parametrize(("asked", "status", "message"), [c[1:] for c in OVER_HTTP], ids=[c[0] for c in OVER_HTTP])
def test_what_is_wrong_with_a_request_is_told_over_http(
    gateway: Gateway, asked: dict[str, Any], status: int, message: str
) -> None:
    method, headers = asked.pop("method", "POST"), {**STREAM, **asked.pop("headers", {})}

    response = gateway.client.request(method, "/graphql/stream", headers=headers, **asked)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert message in response.json()["errors"][0]["message"]


def test_whoever_accepts_nothing_but_a_stream_gets_one_from_the_usual_address(gateway: Gateway) -> None:
    with open_stream(gateway, CLONE, path="/graphql", id=MAYAS) as events:
        assert events.data()
    with open_stream(gateway, WHO, "maya", path="/graphql", headers={"accept": "Text/Event-Stream;q=0.9"}) as events:
        assert events.next().data == MAYA


@pytest.mark.parametrize(
    "accept",
    [
        "application/graphql-response+json, application/graphql+json, application/json, text/event-stream",
        "text/event-stream, application/json",
        "*/*",
    ],
)
def test_whoever_accepts_a_stream_among_others_gets_none(gateway: Gateway, accept: str) -> None:
    response = gateway.client.post("/graphql", json={"query": "{ __typename }"}, headers={"accept": accept})

    assert response.headers["content-type"].startswith("application/")
    assert response.json() == {"data": {"__typename": "Query"}}


def test_a_stream_ends_with_its_token(gateway: Gateway) -> None:
    token = gateway.tokens.sign(CAST["maya"].id, seconds=0)
    with open_stream(gateway, CLONE, token=token, id=MAYAS) as events:
        events.data()

        assert events.codes() == ["UNAUTHENTICATED"]


@pytest.mark.parametrize(("looks", "lasts"), [(0.1, 0.5), (3600, 0.01)], ids=["though nothing happens", "at an event"])
def test_one_who_is_locked_out_is_told_nothing_more(
    own_database: str, monkeypatch: pytest.MonkeyPatch, looks: float, lasts: float
) -> None:
    monkeypatch.setattr(auth, "REVOCATION_SECONDS", lasts)
    monkeypatch.setattr(sockets, "LOOK_SECONDS", looks)
    with serving(own_database) as gateway, open_stream(gateway, PRIVATE_CLONE, "maya", id=MAYAS) as events:
        events.data()
        change(gateway, "UPDATE user_profiles SET is_active = false WHERE id = $1", CAST["maya"].id)
        if looks > PATIENCE:
            change(gateway, "UPDATE clones SET system_prompt = 'Secret' WHERE id = $1", uuid_of(MAYAS))

        assert events.codes() == ["UNAUTHENTICATED"]


def test_nothing_is_executed_for_those_who_are_gone(changing: Gateway) -> None:
    with open_stream(changing, CLONE, "maya", id=MAYAS) as other:
        other.data()
        with open_stream(changing, CLONE, "jonas", id=MAYAS) as events:
            events.data()
        while open_sockets(changing, "sse") > 1:
            pass
        changing.statements.clear()

        change(changing, "UPDATE clones SET bio = 'Who listens?' WHERE id = $1", uuid_of(MAYAS))
        other.data()

        assert len(changing.statements) == 1


def test_a_stream_breaks_off_when_the_server_stops_so_that_clients_come_back(demo_database: str) -> None:
    with ExitStack() as clients:
        with serving(demo_database) as gateway:
            events = clients.enter_context(open_stream(gateway, CLONE, id=MAYAS))
            events.data()

        assert events.receive() is None
