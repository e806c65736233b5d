"""Two nodes that share a database and a Redis: what one does, the other knows."""

import hashlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.serving import Gateway
from tests.sockets import CLONE, MAYAS, RENAME, open_socket
from tests.test_persisted import free_port, needs_redis, redis
from tests.test_process import started

pytestmark = needs_redis

SECRET = "a secret for the tests, long enough"  # noqa: S105
DOMAINS = "{ domains(first: 50) { nodes { name } } }"


@dataclass
class Node:
    """A node, and the process that it is."""

    gateway: Gateway
    process: subprocess.Popen[str]

    def stop(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


@pytest.fixture
def nodes(own_database: str, tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes. Whoever has spent the points there are does not get them back in time."""
    port = free_port()
    environment = {
        "DATABASE_URL": own_database,
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "JWT_SECRET": SECRET,
        "POINTS_CAPACITY": "200",
        "POINTS_PER_SECOND": "0.001",
    }
    tokens = Tokens(SECRET, Settings())
    with redis(port, tmp_path), ExitStack() as stack:
        found = []
        for _ in range(2):
            process, address = stack.enter_context(started("serve", "--port", "0", **environment))
            gateway = Gateway(address.rstrip("/"), own_database, tokens)
            stack.callback(gateway.client.close)
            found.append(Node(gateway, process))
        yield found


def test_what_happens_on_one_node_is_known_on_the_other(nodes: list[Node]) -> None:
    here, there = (node.gateway for node in nodes)

    with open_socket(here, "maya") as client:
        client.subscribe("1", CLONE, id=MAYAS)
        client.data()
        rename(there, "From the other node")
        told = client.data()["cloneUpdated"]["clone"]["name"]
    refused = spend(here, there)
    taught = persisted(here, DOMAINS), persisted(there)

    assert told == "From the other node"
    assert refused == ["RATE_LIMITED"]
    assert taught == (200, 200)


def test_who_was_connected_to_a_node_that_ends_misses_nothing_on_the_other(nodes: list[Node]) -> None:
    here, there = nodes

    with open_socket(here.gateway, "maya") as client, open_socket(there.gateway, "maya") as other:
        client.subscribe("1", CLONE, id=MAYAS)
        cursor = client.data()["cloneUpdated"]["cursor"]
        here.stop(signal.SIGKILL)
        rename(there.gateway, "While nobody listened")
        other.subscribe("1", CLONE, id=MAYAS, after=cursor)
        missed = other.data()["cloneUpdated"]["clone"]["name"]
        other.subscribe("2", CLONE, id=MAYAS)
        other.data("2")
        there.stop(signal.SIGTERM)
        code, _ = other.closing()

    assert missed == "While nobody listened"
    assert code == 1012


def rename(gateway: Gateway, name: str) -> None:
    answer = gateway.ask(RENAME, as_="maya", id=MAYAS, name=name)
    assert answer.data["updateClone"]["clone"] == {"name": name}


def spend(here: Gateway, there: Gateway) -> list[str]:
    """The codes that aiko gets on one node when he has spent all points on the other."""
    for _ in range(60):
        if here.ask(DOMAINS, as_="aiko").response.status_code == 429:
            break
    return there.ask(DOMAINS, as_="aiko").codes


def persisted(gateway: Gateway, query: str | None = None) -> int:
    """The status of a request by hash, with the text that it is of."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(DOMAINS.encode()).hexdigest()}}
    body = {"extensions": extensions, **({"query": query} if query else {})}
    response = gateway.client.post("/graphql", json=body, headers=gateway.headers("grace"))
    assert "errors" not in response.json(), response.text
    return response.status_code
