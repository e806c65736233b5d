"""GraphQL over WebSocket: the protocol graphql-transport-ws, and who gets what over it."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from websockets.exceptions import InvalidStatus

from gateway import auth, sockets, websocket
from tests.conftest import execute, fresh_database
from tests.graph import CONNECTIONS, ENTITIES
from tests.serving import CAST, Gateway, serving
from tests.sockets import (
    CLONE,
    MAYAS,
    MAYAS_DRAFT,
    PATIENCE,
    PRIVATE_CLONE,
    RENAME,
    SESSION,
    STREAM,
    Socket,
    open_socket,
    open_sockets,
    open_stream,
    raw_socket,
)
from tests.test_permissions import PREFIXES, ROLES, RULES, ids_where

WHO = "{ viewer { fullName } }"
MAYA = {"data": {"viewer": {"fullName": CAST["maya"].name}}}
INIT = {"type": "connection_init"}


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over demo data that the tests of this file may change."""
    with fresh_database(server_url, template) as url, serving(url, {"development": True}) as gateway:
        yield gateway


def change(gateway: Gateway, statement: str, *arguments: Any) -> None:
    """Change something as another program would."""
    asyncio.run(execute(gateway.database_url, statement, *arguments))


def rename(gateway: Gateway, name: str, id_: str = MAYAS) -> None:
    assert gateway.ask(RENAME, as_="maya", id=id_, name=name).data["updateClone"]["clone"] == {"name": name}


def test_a_query_is_answered_once_and_completed(gateway: Gateway) -> None:
    with open_socket(gateway, "maya") as client:
        assert client.ask(WHO) == MAYA
        assert client.ask(WHO, "1") == MAYA


def test_a_mutation_over_a_socket_is_seen_by_everybody(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client, open_stream(changing, CLONE, id=MAYAS) as stream:
        stream.data()

        answer = client.ask(RENAME, id=MAYAS, name="From a socket")

        assert answer["data"]["updateClone"]["clone"] == {"name": "From a socket"}
        assert stream.data()["cloneUpdated"]["clone"]["name"] == "From a socket"


def test_operations_of_one_socket_do_not_wait_for_each_other(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client:
        client.subscribe("clone", CLONE, id=MAYAS)
        client.data("clone")

        assert client.ask(WHO, "who") == MAYA


def test_an_event_tells_the_present_state_and_each_change(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client:
        client.subscribe("1", PRIVATE_CLONE, id=MAYAS)
        first = client.data()["cloneUpdated"]

        rename(changing, "Over HTTP")
        second = client.data()["cloneUpdated"]
        change(changing, "UPDATE clones SET bio = 'By another program' WHERE name = 'Over HTTP'")
        third = client.data()["cloneUpdated"]

    assert first["clone"]["systemPrompt"]
    assert second["clone"]["name"] == "Over HTTP"
    assert third["clone"]["bio"] == "By another program"
    assert len({first["cursor"], second["cursor"], third["cursor"]}) == 3


def test_one_who_comes_back_with_the_last_cursor_misses_nothing(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client:
        client.subscribe("1", CLONE, id=MAYAS)
        cursor = client.data()["cloneUpdated"]["cursor"]
    rename(changing, "While away")

    with open_socket(changing, "maya") as client:
        client.subscribe("1", CLONE, id=MAYAS, after=cursor)
        missed = client.data()["cloneUpdated"]
        client.subscribe("2", CLONE, id=MAYAS, after=missed["cursor"])
        rename(changing, "Back again")
        told = {"1": "", "2": ""}
        while set(told.values()) != {"Back again"}:  # the same may be told twice, but never not at all
            message = client.receive()
            told[message["id"]] = message["payload"]["data"]["cloneUpdated"]["clone"]["name"]

    assert missed["clone"]["name"] == "While away"


def test_nothing_comes_after_the_client_has_completed(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client, open_socket(changing, "maya") as other:
        other.subscribe("1", CLONE, id=MAYAS)
        other.data()
        client.subscribe("1", CLONE, id=MAYAS)
        client.data()

        client.send(id="1", type="complete")
        assert client.ask(WHO, "2") == MAYA
        rename(changing, "After the end")

        assert other.data()["cloneUpdated"]["clone"]["name"] == "After the end"
        assert client.ask(WHO, "1") == MAYA


def test_nothing_is_executed_for_those_who_are_gone(changing: Gateway) -> None:
    with open_socket(changing, "maya") as other:
        other.subscribe("1", CLONE, id=MAYAS)
        other.data()
        for _ in range(3):
            with open_socket(changing, "jonas") as client:
                client.subscribe("1", CLONE, id=MAYAS)
                client.data()
        while open_sockets(changing, "websocket") > 1:
            pass
        changing.statements.clear()

        change(changing, "UPDATE clones SET bio = 'Who listens?' WHERE id = $1", uuid_of(MAYAS))
        other.data()

        assert len(changing.statements) == 1


def uuid_of(id_: str) -> str:
    return id_.rpartition("_")[2]


def test_those_who_ask_the_same_share_one_execution(changing: Gateway) -> None:
    with (
        open_socket(changing, "maya") as maya,
        open_socket(changing, "maya") as maya_again,
        open_socket(changing) as nobody,
        open_socket(changing, "aiko") as aiko,
    ):
        everybody = [maya, maya_again, nobody, aiko]
        for client in everybody:
            client.subscribe("a", PRIVATE_CLONE, id=MAYAS)
            client.subscribe("b", PRIVATE_CLONE, id=MAYAS)
            told = {client.receive()["id"], client.receive()["id"]}
            assert told == {"a", "b"}
        changing.statements.clear()

        change(changing, "UPDATE clones SET bio = 'Shared' WHERE id = $1", uuid_of(MAYAS))
        events = [[client.receive()["payload"]["data"]["cloneUpdated"] for _ in "ab"] for client in everybody]

    assert len(changing.statements) == 3  # one for each of maya, nobody and aiko
    assert all(first == second for first, second in events)
    assert [first["clone"]["systemPrompt"] is not None for first, _ in events] == [True, True, False, False]


def test_no_event_is_lost_when_the_connections_to_the_database_are_cut(changing: Gateway) -> None:
    with open_socket(changing, "maya") as client:
        client.subscribe("1", CLONE, id=MAYAS)
        client.data()

        change(
            changing,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'clonegraph' AND datname = current_database()",
        )
        change(changing, "UPDATE clones SET bio = 'Told all the same' WHERE id = $1", uuid_of(MAYAS))

        assert client.data()["cloneUpdated"]["clone"]["bio"] == "Told all the same"


def test_a_subscription_ends_when_there_are_no_points_left_to_tell_an_event(own_database: str) -> None:
    poor = {"points_capacity": 60, "points_per_second": 0.01}
    with serving(own_database, poor) as gateway, open_socket(gateway, "maya") as client:
        client.subscribe("1", CLONE, id=MAYAS)
        events = 0

        while (message := client.receive())["type"] == "next":
            events += 1
            change(gateway, "UPDATE clones SET bio = bio || '.' WHERE id = $1", uuid_of(MAYAS))

        assert events > 2
        assert [error["extensions"]["code"] for error in message["payload"]] == ["RATE_LIMITED"]
        client.send(type="ping")
        assert client.receive() == {"type": "pong"}


def test_what_a_client_wishes_to_know_of_costs_comes_with_every_answer(changing: Gateway) -> None:
    with raw_socket(changing) as client:
        client.init({**changing.headers("maya"), "graphql-cost": "report"})
        client.subscribe("event", CLONE, id=MAYAS)

        event = client.next("event")
        answer = client.ask(WHO)

    assert event["extensions"]["cost"].keys() == {"requested", "actual", "remaining"}
    assert answer["extensions"]["cost"]["actual"] == 1


def test_a_ping_is_answered_and_a_pong_needs_no_answer(gateway: Gateway) -> None:
    with raw_socket(gateway) as client:
        client.send(type="ping")
        assert client.receive() == {"type": "pong"}
        client.init()
        client.send(type="pong", payload={"late": True})
        client.send(type="ping", payload={"n": 7})
        assert client.receive() == {"type": "pong", "payload": {"n": 7}}


VIOLATIONS: list[tuple[str, list[Any], int]] = [
    ("an array", ["[]"], 4400),
    ("an array of messages", [[{"type": "ping"}]], 4400),
    ("a number", ["7"], 4400),
    ("null", ["null"], 4400),
    ("no JSON", ["{"], 4400),
    ("nothing", [""], 4400),
    ("JSON that is nested too deep", ["[" * 100_000], 4400),
    ("a number of a million digits", ['{"type":' + "9" * 900_000 + "}"], 4400),
    ("a binary message", [b'{"type":"ping"}'], 4400),
    ("text that is not UTF-8", [(b"\xff\xfe", True)], 1007),
    ("a message that is too large", ["x" * 1_100_000], 1009),
    ("no type", [{}], 4400),
    ("a type that is no string", [{"type": ["ping"]}], 4400),
    ("an unknown type", [{"type": "start"}], 4400),
    ("a message that only the server sends", [{"type": "connection_ack"}], 4400),
    ("an init whose payload is no object", [{"type": "connection_init", "payload": "token"}], 4400),
    ("a second init", [INIT, INIT], 4429),
    ("an operation before the init", [{"id": "1", "type": "subscribe", "payload": {"query": WHO}}], 4401),
    ("an operation without an id", [INIT, {"type": "subscribe", "payload": {"query": WHO}}], 4400),
    ("an id that is empty", [INIT, {"id": "", "type": "subscribe", "payload": {"query": WHO}}], 4400),
    ("an id that is no string", [INIT, {"id": 1, "type": "subscribe", "payload": {"query": WHO}}], 4400),
    ("no payload", [INIT, {"id": "1", "type": "subscribe"}], 4400),
    ("a payload that is a list", [INIT, {"id": "1", "type": "subscribe", "payload": [{"query": WHO}]}], 4400),
    ("a query that is no string", [INIT, {"id": "1", "type": "subscribe", "payload": {"query": 7}}], 4400),
    (
        "variables that are no object",
        [INIT, {"id": "1", "type": "subscribe", "payload": {"query": WHO, "variables": [1]}}],
        4400,
    ),
    ("a complete without an id", [INIT, {"type": "complete"}], 4400),
    (
        "an id that is taken",
        [INIT, *[{"id": "1", "type": "subscribe", "payload": {"query": CLONE, "variables": {"id": MAYAS}}}] * 2],
        4409,
    ),
]


@pytest.mark.parametrize(("messages", "code"), [case[1:] for case in VIOLATIONS], ids=[case[0] for case in VIOLATIONS])
def test_a_violation_of_the_protocol_closes_the_socket_with_its_code(
    gateway: Gateway, messages: list[Any], code: int
) -> None:
    with raw_socket(gateway) as client:
        for message in messages:
            match message:
                case bytes(text), True:
                    client.connection.send(text, text=True)
                case str() | bytes():
                    client.connection.send(message)
                case _:
                    client.connection.send(json.dumps(message))

        assert client.closing()[0] == code

    assert gateway.ask(WHO, as_="maya").body == MAYA


@pytest.mark.parametrize("protocols", [None, "graphql-ws", "chat superchat"])
def test_without_the_protocol_the_socket_is_closed(gateway: Gateway, protocols: str | None) -> None:
    with raw_socket(gateway, protocols) as client:
        assert client.closing() == (4406, "Only the subprotocol graphql-transport-ws is spoken here")


def test_the_protocol_is_chosen_among_others(gateway: Gateway) -> None:
    with raw_socket(gateway, "graphql-ws graphql-transport-ws") as client:
        client.init()

        assert client.connection.subprotocol == "graphql-transport-ws"


def test_who_says_nothing_is_closed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.2)
    with raw_socket(gateway) as client:
        assert client.closing() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer {}"},
        {"Authorization": "bearer {}"},
        {"token": "{}"},
        {"headers": {"Authorization": "Bearer {}"}},
        {"authorization": "Bearer {}", "graphql-client-name": "shop", "other": [1]},
    ],
    ids=str,
)
def test_a_token_comes_with_the_init(gateway: Gateway, payload: dict[str, Any]) -> None:
    text = json.dumps(payload).replace("{}", gateway.token("maya"))
    with raw_socket(gateway) as client:
        client.init(json.loads(text))

        assert client.ask(WHO) == MAYA


def test_a_token_comes_with_the_upgrade_and_that_of_the_init_counts_for_more(gateway: Gateway) -> None:
    with raw_socket(gateway, additional_headers=gateway.headers("maya")) as client:
        client.init()
        assert client.ask(WHO) == MAYA
    with raw_socket(gateway, additional_headers={"authorization": "Basic eDp5"}) as client:
        client.init(gateway.headers("maya"))
        assert client.ask(WHO) == MAYA


def test_without_a_token_one_is_nobody(gateway: Gateway) -> None:
    with open_socket(gateway) as client:
        assert client.ask(WHO) == {"data": {"viewer": None}}


@pytest.mark.parametrize(
    "payload", [{"authorization": "Bearer nonsense"}, {"token": ""}, {"authorization": ""}], ids=str
)
def test_a_bad_token_closes_the_socket_so_that_clients_come_back_with_another(
    gateway: Gateway, payload: dict[str, str]
) -> None:
    with raw_socket(gateway) as client:
        client.send(type="connection_init", payload=payload)

        code, reason = client.closing()

    assert code == 4403
    assert reason


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "http://127.0.0.1"])
def test_the_page_of_another_site_cannot_connect(gateway: Gateway, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, raw_socket(gateway, origin=origin):
        pass

    response = refused.value.response
    assert response.status_code == 403
    assert json.loads(response.body)["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_our_own_pages_and_those_of_known_sites_can_connect(gateway: Gateway, demo_database: str) -> None:
    with raw_socket(gateway, origin=gateway.url) as client:
        client.init()
    with (
        serving(demo_database, {"cors_origins": "https://app.example.com"}) as known,
        raw_socket(known, origin="https://app.example.com") as client,
    ):
        client.init()


REFUSALS = [
    ("{", {}, "GRAPHQL_PARSE_FAILED"),
    ("{ colour }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("query A { __typename } query B { __typename }", {}, "OPERATION_UNDETERMINED"),
    ("query($n: Int!) { clones(first: $n) { nodes { id } } }", {"n": "x"}, "BAD_USER_INPUT"),
    ("{ clones(first: 100) { nodes { sessions(first: 100) { nodes { id } } } } }", {}, "LIMIT_EXCEEDED"),
    ("subscription { a: cloneUpdated(id: 1) { cursor } b: __typename }", {}, "GRAPHQL_VALIDATION_FAILED"),
    (CLONE, {}, "BAD_USER_INPUT"),
    (CLONE, {"id": "nonsense"}, "BAD_USER_INPUT"),
    (CLONE, {"id": "clone_00000000000000000000000000000001"}, "BAD_USER_INPUT"),
    (CLONE, {"id": MAYAS_DRAFT}, "BAD_USER_INPUT"),
    (CLONE, {"id": MAYAS, "after": "nonsense"}, "BAD_USER_INPUT"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "variables", "code"), REFUSALS)
def test_an_operation_that_is_refused_ends_with_errors_and_the_socket_goes_on(
    gateway: Gateway, query: str, variables: dict[str, Any], code: str
) -> None:
    with open_socket(gateway) as client:
        client.subscribe("1", query, **variables)

        assert set(client.codes()) == {code}
        assert client.ask("{ __typename }") == {"data": {"__typename": "Query"}}


def test_a_socket_runs_so_many_operations_at_a_time(demo_database: str) -> None:
    with serving(demo_database, {"max_operations_per_socket": 2}) as small, open_socket(small) as client:
        for id_ in "ab":
            client.subscribe(id_, CLONE, id=MAYAS)
            client.data(id_)

        client.subscribe("c", CLONE, id=MAYAS)
        assert client.codes("c") == ["LIMIT_EXCEEDED"]
        client.send(id="a", type="complete")
        client.subscribe("c", CLONE, id=MAYAS)
        assert client.data("c")


def test_one_person_may_have_so_many_sockets_open(demo_database: str) -> None:
    with serving(demo_database, {"max_sockets_per_viewer": 2, "development": True}) as small:
        with open_socket(small, "maya"), open_socket(small, "maya"), open_socket(small, "aiko"):
            with raw_socket(small) as client:
                client.send(**INIT, payload=small.headers("maya"))
                code, reason = client.closing()
            asked = {"query": CLONE, "variables": {"id": MAYAS}}
            stream = small.client.post("/graphql/stream", json=asked, headers={**STREAM, **small.headers("maya")})

        assert (code, reason) == (1013, "You have 2 sockets open, which are all you may have.")
        assert (stream.status_code, stream.headers["retry-after"]) == (429, "5")
        while open_sockets(small, "websocket"):
            pass
        with open_socket(small, "maya") as client:
            assert client.ask(WHO) == MAYA


def test_so_many_sockets_may_be_open_in_all(demo_database: str) -> None:
    with serving(demo_database, {"max_sockets": 2}) as small, open_socket(small, "maya"), open_socket(small, "aiko"):
        with pytest.raises(InvalidStatus) as refused, raw_socket(small):
            pass

        assert refused.value.response.status_code == 503
        assert small.ask(WHO, as_="maya").body == MAYA


def test_a_socket_ends_with_its_token(gateway: Gateway) -> None:
    token = gateway.tokens.sign(CAST["maya"].id, seconds=0)
    with open_socket(gateway, token=token) as client:
        client.subscribe("1", CLONE, id=MAYAS)
        client.data()

        code, reason = client.closing()

    assert (code, reason) == (4403, "The token has expired. Sign in again.")


@pytest.fixture
def impatient(own_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that looks more often who may still be here."""
    monkeypatch.setattr(auth, "REVOCATION_SECONDS", 0.5)
    monkeypatch.setattr(sockets, "LOOK_SECONDS", 0.1)
    with serving(own_database) as running:
        yield running


LOCK_OUT = "UPDATE user_profiles SET is_active = false WHERE id = $1"


def test_one_who_is_locked_out_is_closed_though_nothing_happens(impatient: Gateway) -> None:
    with open_socket(impatient, "maya") as client, open_socket(impatient, "maya") as idle:
        client.subscribe("1", CLONE, id=MAYAS)
        client.data()

        change(impatient, LOCK_OUT, CAST["maya"].id)

        assert client.closing() == idle.closing() == (4403, "The token is for somebody who may not sign in.")


def test_one_who_was_locked_out_is_told_nothing_more(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REVOCATION_SECONDS", 0.01)
    monkeypatch.setattr(sockets, "LOOK_SECONDS", 3600)
    with serving(own_database) as gateway, open_socket(gateway, "maya") as client:
        client.subscribe("1", PRIVATE_CLONE, id=MAYAS)
        client.data()
        change(gateway, LOCK_OUT, CAST["maya"].id)

        change(gateway, "UPDATE clones SET system_prompt = 'Secret' WHERE id = $1", uuid_of(MAYAS))

        assert client.rest() == []
        assert client.closing()[0] == 4403


def test_a_role_that_changes_counts_at_the_next_event(impatient: Gateway) -> None:
    with open_socket(impatient, "grace") as client:
        client.subscribe("1", PRIVATE_CLONE, id=MAYAS)
        before = client.data()["cloneUpdated"]["clone"]["systemPrompt"]
        change(impatient, "UPDATE user_profiles SET role = 'user' WHERE id = $1", CAST["grace"].id)
        deadline = time.monotonic() + PATIENCE

        while (payload := bump(impatient, client))["data"]["cloneUpdated"]["clone"]["systemPrompt"] is not None:
            assert time.monotonic() < deadline

        assert before
        assert [error["extensions"]["code"] for error in payload["errors"]] == ["FORBIDDEN"]


def bump(gateway: Gateway, client: Socket) -> Any:
    change(gateway, "UPDATE clones SET bio = bio || '.' WHERE id = $1", uuid_of(MAYAS))
    return client.next()


def private_question(entity: str) -> str:
    fields = " ".join(RULES[entity].private)
    return f"{{ {CONNECTIONS[entity]}(first: 30) {{ totalCount nodes {{ id {fields} }} }} }}"


def without_error_ids(payload: Any) -> Any:
    for error in payload.get("errors", ()):
        del error["extensions"]["errorId"]
    return payload


@pytest.mark.parametrize("role", ROLES)
def test_over_sockets_and_streams_a_role_sees_what_it_sees_over_http(gateway: Gateway, role: str) -> None:
    with open_socket(gateway, ROLES[role]) as client:
        for entity in ENTITIES:
            over_http = without_error_ids(gateway.ask(private_question(entity), as_=ROLES[role]).body)
            over_socket = client.ask(private_question(entity))
            with open_stream(gateway, private_question(entity), ROLES[role]) as stream:
                over_stream = stream.next().data

            assert without_error_ids(over_socket) == over_http
            assert without_error_ids(over_stream) == over_http


SUBJECTS = {"Clone": (PRIVATE_CLONE, "cloneUpdated", "clone", "systemPrompt", "system_prompt"),
            "Session": (SESSION, "sessionUpdated", "session", "sessionMetadata", "session_metadata")}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("entity", SUBJECTS)
def test_a_role_is_told_of_what_it_sees_and_nothing_else(gateway: Gateway, entity: str, role: str) -> None:
    query, field, name, private, column = SUBJECTS[entity]
    rule, person = RULES[entity], ROLES[role]
    visible = ids_where(gateway.database_url, entity, rule.visible(role), role)
    hidden = ids_where(gateway.database_url, entity, "true", role) - visible
    readable = ids_where(gateway.database_url, entity, rule.readable(role) or "false", role)
    with_value = ids_where(gateway.database_url, entity, f"{column} IS NOT NULL", role)
    some = [*sorted(visible & readable)[:3], *sorted(visible - readable)[:3], *sorted(hidden)[:3]]

    with open_socket(gateway, person) as client:
        for id_ in some:
            client.subscribe(id_, query, id=id_)
            with open_stream(gateway, query, person, id=id_) as stream:
                if id_ in hidden:
                    assert client.codes(id_) == stream.codes() == ["BAD_USER_INPUT"]
                    continue
                for payload in (client.next(id_), stream.next().data):
                    shown = payload["data"][field][name]
                    assert (shown[private] is not None) == (id_ in readable & with_value)
                    refused = [error["extensions"]["code"] for error in payload.get("errors", ())]
                    assert refused == ([] if rule.readable(role) else ["FORBIDDEN"])
    assert PREFIXES[entity] == name


def test_what_one_can_see_no_more_is_gone_from_the_next_event(own_gateway: Gateway) -> None:
    with open_socket(own_gateway, "aiko") as client:
        client.subscribe("1", CLONE, id=MAYAS)
        assert client.next()["data"]["cloneUpdated"]["clone"]

        change(own_gateway, "UPDATE clones SET is_published = false WHERE id = $1", uuid_of(MAYAS))

        assert client.next()["data"]["cloneUpdated"]["clone"] is None


def test_a_client_that_does_not_read_is_given_up(demo_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "STALLED_SECONDS", 0.5)
    messages = (f"m{n}: messages(first: 100) {{ nodes {{ id content createdAt }} }}" for n in range(10))
    plenty = "{ " + " ".join(messages) + " }"
    with serving(demo_database, {"development": True}) as gateway, lazy_socket(gateway) as lazy:
        for number in range(30):
            lazy.sendall(frame({"id": str(number), "type": "subscribe", "payload": {"query": plenty}}))
        deadline = time.monotonic() + PATIENCE

        while open_sockets(gateway, "websocket"):
            assert time.monotonic() < deadline
            assert gateway.ask(WHO, as_="maya").body == MAYA


def lazy_socket(gateway: Gateway) -> socket.socket:
    """The socket of an admin who never reads."""
    url = urlsplit(gateway.url)
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.connect((url.hostname, url.port))
    lazy.sendall(
        f"GET /graphql HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    assert b"101 Switching Protocols" in lazy.recv(1000)
    lazy.sendall(frame({**INIT, "payload": gateway.headers("grace")}))
    return lazy


def frame(message: Any) -> bytes:
    """A text frame, masked with zeros."""
    text = json.dumps(message).encode()
    return b"\x81" + bytes([0x80 | 126]) + len(text).to_bytes(2) + bytes(4) + text


def test_a_server_that_stops_tells_clients_to_connect_again(demo_database: str) -> None:
    with ExitStack() as clients:
        with serving(demo_database) as gateway:
            client = clients.enter_context(open_socket(gateway))
            client.subscribe("1", CLONE, id=MAYAS)
            client.data()

        assert client.closing() == (1012, "The server restarts. Connect again.")


def test_what_runs_on_a_socket_is_answered_before_the_server_stops(own_database: str) -> None:
    locked, waiting = threading.Event(), threading.Event()

    async def hold_a_lock(gateway: Gateway) -> None:
        connection = await asyncpg.connect(own_database)
        async with connection.transaction():
            await connection.execute("SELECT FROM clones WHERE id = $1 FOR UPDATE", uuid_of(MAYAS))
            locked.set()
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                pass
            waiting.set()
            assert gateway.app
            while not gateway.app.state.sockets.draining:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        await connection.close()

    with ExitStack() as clients:
        with serving(own_database) as gateway:
            holding = threading.Thread(target=asyncio.run, args=[hold_a_lock(gateway)])
            holding.start()
            assert locked.wait(PATIENCE)
            client = clients.enter_context(open_socket(gateway, "maya"))
            client.subscribe("1", RENAME, id=MAYAS, name="Just in time")
            assert waiting.wait(PATIENCE)
        holding.join()

        assert client.data()["updateClone"]["clone"] == {"name": "Just in time"}
        assert client.receive() == {"id": "1", "type": "complete"}
        assert client.closing()[0] == 1012
