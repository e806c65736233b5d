"""The log: what it says of each operation, and what it must not say."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from gateway.logs import add_ids
from tests.conftest import execute
from tests.serving import CAST, Gateway, serving
from tests.test_process import started

SECRET = "a secret of the log's own, and long enough"  # noqa: S105
CLIENT = {"graphql-client-name": "web", "graphql-client-version": "1.2.3"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Lines = list[Any]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs([add_ids]) as captured:
        yield captured


def post(gateway: Gateway, body: Any, **headers: str) -> httpx2.Response:
    return gateway.client.post("/graphql", json=body, headers={key.replace("_", "-"): headers[key] for key in headers})


def operations(lines: Lines) -> Lines:
    return [line for line in lines if line["event"] == "operation"]


def test_an_operation_has_one_line_that_says_what_it_took(gateway: Gateway, lines: Lines) -> None:
    query = "query Names($n: Int!) { clones(first: $n) { nodes { name creator { fullName } } } }"
    headers = {**CLIENT, **gateway.headers("maya"), "x-request-id": "abc-1", "traceparent": PARENT}
    response = post(gateway, {"query": query, "variables": {"n": 3}}, **headers)

    (line,) = operations(lines)
    assert response.json()["data"]["clones"]["nodes"]
    assert line["log_level"] == "info"
    assert line["name"] == "Names"
    assert line["type"] == "query"
    assert re.fullmatch("[0-9a-f]{16}", line["document"])
    assert line["transport"] == "http"
    assert line["viewer"] == "creator"
    assert (line["client"], line["client_version"]) == ("web", "1.2.3")
    assert line["ms"] > 0
    assert line["statements"] == 1
    assert line["rows"] >= 3
    assert line["way"] == "plan"
    assert line["cost"] >= line["cost_actual"] > 0
    assert line["status"] == 200
    assert line["request_id"] == "abc-1"
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "codes" not in line


def test_no_line_has_personal_data_or_variables_or_documents(gateway: Gateway, lines: Lines) -> None:
    found = gateway.ask("query Q($name: String!) { clones(search: $name) { nodes { id } } }", as_="maya", name="secret")
    refused = gateway.ask("query Q($email: String!) { viewer { email } }", as_="maya", email="secret@example.com")

    text = repr(lines)
    assert found.data
    assert refused.errors
    assert len(operations(lines)) == 2
    for private in (str(CAST["maya"].id), CAST["maya"].email, CAST["maya"].name, "secret", "clones", "127.0.0.1"):
        assert private not in text
    assert gateway.token("maya") not in text


def test_the_operations_of_one_person_can_be_told_from_those_of_others(gateway: Gateway, lines: Lines) -> None:
    for person in ("maya", "maya", "grace", None):
        gateway.ask("{ __typename }", as_=person)

    first, second, grace, nobody = (line["principal"] for line in operations(lines))
    assert first == second
    assert len({first, grace, nobody}) == 3


def test_whoever_has_only_the_log_cannot_try_out_who_it_was(demo_database: str, lines: Lines) -> None:
    for secret in (SECRET, SECRET, SECRET[::-1]):
        with serving(demo_database, {"jwt_secret": secret}) as node:
            node.ask("{ __typename }")

    one, same, other = (line["principal"] for line in operations(lines))
    assert one == same
    assert one != other


REFUSED: list[tuple[str, Any, dict[str, str], int]] = [
    ("BAD_REQUEST", [], {}, 422),
    ("UNAUTHENTICATED", {"query": "{ __typename }"}, {"authorization": "Bearer x"}, 401),
    ("GRAPHQL_PARSE_FAILED", {"query": "{"}, {}, 400),
    ("GRAPHQL_VALIDATION_FAILED", {"query": "{ colour }"}, {}, 422),
    ("NOT_ACCEPTABLE", {"query": "{ __typename }"}, {"accept": "image/png"}, 406),
]


@pytest.mark.parametrize("refused", REFUSED, ids=[code for code, *_ in REFUSED])
def test_a_refused_request_has_a_line_too(
    gateway: Gateway, lines: Lines, refused: tuple[str, Any, dict[str, str], int]
) -> None:
    code, body, headers, status = refused

    post(gateway, body, **headers)

    (line,) = operations(lines)
    assert line["log_level"] == "info"
    assert line["status"] == status
    assert line["codes"] == [code]


def test_a_failure_of_ours_is_a_warning(lines: Lines) -> None:
    with serving("postgresql://127.0.0.1:1/nowhere") as gateway:
        gateway.ask("{ __typename }", as_="maya")

    (line,) = operations(lines)
    assert line["log_level"] == "warning"
    assert line["status"] == 503
    assert line["codes"] == ["DATABASE_UNAVAILABLE"]


def test_what_nobody_foresaw_stands_beside_its_operation(own_gateway: Gateway, lines: Lines) -> None:
    asyncio.run(execute(own_gateway.database_url, "ALTER TABLE domains RENAME TO elsewhere"))

    answer = own_gateway.ask("{ domains { totalCount } }")

    (error,) = [line for line in lines if line["event"] == "internal_error"]
    (line,) = operations(lines)
    assert answer.codes == ["INTERNAL"]
    assert error["error_id"] == answer.errors[0]["extensions"]["errorId"]
    assert error["request_id"] == line["request_id"] == answer.response.headers["x-request-id"]
    assert line["codes"] == ["INTERNAL"]


@pytest.mark.parametrize("forged", ["A\nB", "A\r\n{}", "A\x1b[2K\x1b[1A", "A\u2028B", "A\u202eB", "A" * 5000])
def test_what_a_client_calls_things_cannot_forge_a_line(gateway: Gateway, lines: Lines, forged: str) -> None:
    post(gateway, {"query": "query A { __typename }", "operationName": forged})

    (line,) = operations(lines)
    assert line["name"].startswith("A")
    assert line["name"].isprintable()
    assert len(line["name"]) <= 100


@pytest.mark.parametrize("header", ["graphql-client-name", "apollographql-client-name"])
def test_a_header_cannot_move_the_cursor_of_a_terminal(gateway: Gateway, lines: Lines, header: str) -> None:
    headers = {header.encode(): b"web\x9b2K\x85", b"content-type": b"application/json"}
    gateway.client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)

    (line,) = operations(lines)
    assert line["client"].startswith("web")
    assert line["client"].isprintable()


def test_a_sane_request_id_is_kept_and_sent_back(gateway: Gateway) -> None:
    for sane in ("abc", "1-67891233-abcdef012345678912345678", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"):
        response = gateway.client.get("/health/live", headers={"x-request-id": sane})

        assert response.headers["x-request-id"] == sane


@pytest.mark.parametrize("odd", ["", "x" * 200, "a b", "<script>", '{"a": 1}', "-rf"])
def test_another_request_id_is_made_in_place_of_an_odd_one(gateway: Gateway, odd: str) -> None:
    first, second = (
        gateway.client.get("/health/live", headers={"x-request-id": odd}).headers["x-request-id"] for _ in range(2)
    )

    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_the_command_writes_json_to_the_standard_error_and_believes_no_address(demo_database: str) -> None:
    body = {"query": "query A { __typename }", "operationName": 'A\n{"event": "forged"}'}
    with started(
        "serve", "--port", "0", DATABASE_URL=demo_database, JWT_SECRET=SECRET, FORWARDED_ALLOW_IPS="10.0.0.1"
    ) as (
        process,
        address,
    ):
        with httpx2.Client(base_url=address, trust_env=False) as client:
            for number in range(3):
                client.post("/graphql", json=body, headers={"x-forwarded-for": f"192.0.2.{number}"})
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        written = [json.loads(line) for line in process.stderr]

    assert [line["event"] for line in written] == ["operation"] * 3
    assert len({line["principal"] for line in written}) == 1
    assert {"timestamp", "level"} <= written[0].keys()


def test_the_operator_chooses_how_much_is_logged(demo_database: str) -> None:
    with started("serve", "--port", "0", DATABASE_URL=demo_database, JWT_SECRET=SECRET, LOG_LEVEL="warning") as (
        process,
        address,
    ):
        with httpx2.Client(base_url=address, trust_env=False) as client:
            assert client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        written = process.stderr.read()

    assert written == ""
