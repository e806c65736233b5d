"""What strangers can do to the server, before there is a request to speak of."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.serving import Gateway, serving

HEAD = b"GET /health/live HTTP/1.1\r\nHost: here\r\n"


@pytest.fixture(scope="module")
def hasty(demo_database: str) -> Iterator[Gateway]:
    """A gateway that does not wait long."""
    with serving(demo_database, {"body_timeout": 0.5, "max_body_bytes": 10_000}) as running:
        yield running


UNFIT = {
    "a header without an end": (HEAD + b"X-Large: " + b"x" * 100_000, 431),
    "a large header": (HEAD + b"X-Large: " + b"x" * 100_000 + b"\r\n\r\n", 431),
    "many headers": (HEAD + b"X-Many: x\r\n" * 10_000, 431),
    "a long address": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
    "an address without an end": (b"GET /" + b"x" * 100_000, 414),
    "empty lines": (b"\r\n" * 100_000, 431),
    "a greeting of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
    "another HTTP": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "a length that is no number": (HEAD + b"Content-Length: many\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "an address that is not ASCII": (b"GET /\xff\xfe HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "half a head": (HEAD + b"X-Slow", 408),
    "a single letter": (b"G", 408),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_head_that_cannot_be_served_is_told_why(hasty: Gateway, what: str) -> None:
    sent, status = UNFIT[what]

    with connected(hasty) as connection:
        connection.sendall(sent)
        answered, headers, body = read(connection)

    assert answered == status
    assert headers["connection"] == "close"
    assert json.loads(body)["errors"][0]["extensions"]["code"]


def test_a_connection_that_says_nothing_is_closed(hasty: Gateway) -> None:
    with connected(hasty) as connection:
        assert connection.recv(100) == b""


def test_a_connection_that_only_pretends_to_begin_is_closed(hasty: Gateway) -> None:
    with connected(hasty) as connection:
        since = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - since < 20:
                connection.sendall(b"\r\n")
                time.sleep(0.05)

    assert time.monotonic() - since < 10


def test_a_body_that_is_too_large_is_told_so_while_it_is_sent(hasty: Gateway) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n"

    with connected(hasty) as connection:
        connection.sendall(head)
        for _ in range(30):
            connection.sendall(b"x" * 100_000)
        status, _, body = read(connection)

    assert status == 413
    assert json.loads(body)["errors"]


@pytest.mark.parametrize("trailer", [b"X: y\r\n" * 20_000, b"X: " + b"y" * 100_000], ids=["many", "one"])
def test_what_comes_after_a_body_is_bounded_too(hasty: Gateway, trailer: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        first = read(connection)[0]
        connection.sendall(trailer)
        second = read(connection)[0]

    assert (first, second) == (404, 431)


def test_a_body_of_many_chunks_is_not_an_overlong_head(hasty: Gateway) -> None:
    text = json.dumps({"query": "{ __typename }"}).encode() + b" " * 9_000
    chunks = b"".join(b"1;" + b"x" * 20 + b"\r\n" + text[at : at + 1] + b"\r\n" for at in range(len(text)))

    with connected(hasty) as connection:
        connection.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        )
        status, _, body = read(connection)

    assert status == 200
    assert json.loads(body) == {"data": {"__typename": "Query"}}


def test_a_kept_connection_serves_one_request_after_the_other(hasty: Gateway) -> None:
    with connected(hasty) as connection:
        statuses = []
        for _ in range(3):
            connection.sendall(HEAD + b"\r\n")
            statuses.append(read(connection)[0])

    assert statuses == [200, 200, 200]


@contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def read(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer: its status, headers and body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers: dict[str, Any] = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return int(first.split()[1]), headers, body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "it was closed without an answer"
    return data
