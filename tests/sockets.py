"""Clients that get events: one of graphql-transport-ws and one of graphql-sse, each as bare as can be."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.serving import Gateway

PATIENCE = 15
"""How long one waits for what has to come, in seconds."""

STREAM = {"accept": "text/event-stream"}

CLONE = """subscription($id: ID!, $after: String) {
    cloneUpdated(id: $id, after: $after) { cursor clone { name bio } } }"""
PRIVATE_CLONE = CLONE.replace("bio", "bio systemPrompt")
SESSION = """subscription($id: ID!, $after: String) {
    sessionUpdated(id: $id, after: $after) { cursor session { id status sessionMetadata } } }"""
RENAME = """mutation($id: ID!, $name: String!) {
    updateClone(input: { id: $id, name: $name }) { clone { name } userErrors { message } } }"""

MAYAS = "clone_019d47d78580733e8c814fd095704e36"
MAYAS_DRAFT = "clone_01a0e1e0c8007177be63515062abd113"


def open_sockets(gateway: Gateway, transport: str) -> float:
    """How many sockets or streams are open at a gateway that shows its metrics."""
    lines = gateway.client.get("/metrics").text.splitlines()
    name = f'clonegraph_open_sockets{{transport="{transport}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@dataclass
class Socket:
    """A WebSocket to a gateway."""

    connection: ClientConnection

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def receive(self) -> Any:
        return json.loads(self.connection.recv(timeout=PATIENCE))

    def init(self, payload: Any = None) -> None:
        """Say who one is, and be welcome."""
        self.send(type="connection_init", payload=payload)
        assert self.receive() == {"type": "connection_ack"}

    def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        self.send(id=id_, type="subscribe", payload={"query": query, "variables": variables})

    def next(self, id_: str = "1") -> Any:
        """What comes next for an operation."""
        message = self.receive()
        assert (message["id"], message["type"]) == (id_, "next"), message
        return message["payload"]

    def data(self, id_: str = "1") -> Any:
        payload = self.next(id_)
        assert "errors" not in payload, payload
        return payload["data"]

    def codes(self, id_: str = "1") -> list[str]:
        """The codes of the errors that an operation ends with."""
        message = self.receive()
        assert (message["id"], message["type"]) == (id_, "error"), message
        return [error["extensions"]["code"] for error in message["payload"]]

    def ask(self, query: str, id_: str = "1", **variables: Any) -> Any:
        """The answer to a query or a mutation."""
        self.subscribe(id_, query, **variables)
        payload = self.next(id_)
        assert self.receive() == {"id": id_, "type": "complete"}
        return payload

    def rest(self) -> list[Any]:
        """All that comes until it is closed."""
        messages = []
        try:
            while True:
                messages.append(self.receive())
        except ConnectionClosed:
            return messages

    def closing(self) -> tuple[int, str]:
        """The code and the reason that the server closes it with."""
        self.rest()
        close = self.connection.protocol.close_rcvd
        assert close, "it was closed without a word"
        return close.code, close.reason


@contextmanager
def raw_socket(gateway: Gateway, protocols: str | None = "graphql-transport-ws", **options: Any) -> Iterator[Socket]:
    """A socket on which nothing was said yet."""
    url = gateway.url.replace("http", "ws", 1) + "/graphql"
    chosen = [Subprotocol(each) for each in protocols.split()] if protocols else None
    with connect(url, subprotocols=chosen, proxy=None, **options) as connection:
        yield Socket(connection)


@contextmanager
def open_socket(gateway: Gateway, as_: str | None = None, *, token: str | None = None) -> Iterator[Socket]:
    """A socket of a person of the cast; nobody's, unless told."""
    token = token or (gateway.token(as_) if as_ else None)
    with raw_socket(gateway) as socket:
        socket.init({"authorization": f"Bearer {token}"} if token else None)
        yield socket


@dataclass
class Event:
    """An event of a stream."""

    event: str
    data: Any
    id: str | None = None


class Stream:
    """An event stream that one reads."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def comment(self) -> str:
        """The next comment, whatever comes before it."""
        return next(line for line in self._lines if line.startswith(":"))

    def receive(self) -> Event | None:
        """The next event; None when the stream ends."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and fields:
                data = fields["data"]
                return Event(fields["event"], json.loads(data) if data else None, fields.get("id"))
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        return None

    def next(self) -> Event:
        event = self.receive()
        assert event
        assert event.event == "next"
        return event

    def data(self) -> Any:
        payload = self.next().data
        assert "errors" not in payload, payload
        return payload["data"]

    def codes(self) -> list[str]:
        """The codes of the errors that the stream ends with."""
        codes = [error["extensions"]["code"] for error in self.next().data["errors"]]
        self.expect_end()
        return codes

    def expect_end(self) -> None:
        event = self.receive()
        assert event
        assert event.event == "complete"
        assert self.receive() is None


@contextmanager
def open_stream(
    gateway: Gateway,
    query: str,
    as_: str | None = None,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str = "/graphql/stream",
    **variables: Any,
) -> Iterator[Stream]:
    """The stream of an operation that a person of the cast sends; nobody's, unless told."""
    authorization = {"authorization": f"Bearer {token}"} if token else gateway.headers(as_)
    address = {"query": query, "variables": json.dumps(variables)} if method == "GET" else None
    body = {"query": query, "variables": variables} if method == "POST" else None
    everything = {**STREAM, **authorization, **(headers or {})}
    with (
        httpx2.Client(base_url=gateway.url, timeout=PATIENCE, trust_env=False) as client,
        client.stream(method, path, headers=everything, params=address, json=body) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Stream(response)
