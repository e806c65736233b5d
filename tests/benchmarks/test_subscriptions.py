"""A thousand subscriptions on one process: what each of them takes, and how fast all of them hear of a change."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Final
from uuid import UUID

import httpx2
import pytest

from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.benchmarks.conftest import tell
from tests.benchmarks.peers import GATEWAY
from tests.benchmarks.report import circumstances, put, table
from tests.benchmarks.servers import SECRET, Server, running
from tests.benchmarks.watchers import FanOut, Watchers
from tests.conftest import execute, fresh_database
from tests.serving import CAST
from tests.sockets import MAYAS, RENAME

pytestmark = pytest.mark.benchmark

WATCHERS: Final = 1_000
CHANGES: Final = 5
IDLE_SECONDS: Final = 10
BEGIN: Final = "<!-- subscriptions, measured by make bench -->"
END: Final = "<!-- end of the subscriptions that make bench measured -->"

PEOPLE = """INSERT INTO user_profiles (id, email, full_name)
    SELECT gen_random_uuid(), 'watcher' || n || '@example.com', 'Watcher ' || n FROM generate_series(1, $1::int) AS n
    RETURNING id"""


@dataclass(frozen=True)
class Measured:
    """What the watchers of one case took. Kilobytes and CPU time are the gateway's, for each socket."""

    who: str
    kilobytes_connected: float
    kilobytes_subscribed: float
    idle_cpu: float
    """Milliseconds in a minute."""
    delivery_cpu: float
    """Milliseconds for each event."""
    changes: list[FanOut]

    @property
    def line(self) -> list[str]:
        return [
            self.who,
            f"{self.kilobytes_connected:.0f}",
            f"{self.kilobytes_subscribed:.0f}",
            f"{self.idle_cpu:.1f}",
            f"{self.delivery_cpu:.2f}",
            *(f"{1000 * median(seconds):,.0f}" for seconds in zip(*self.changes, strict=True)),
        ]


@pytest.fixture(scope="module")
def people(server_url: str, template: str) -> Iterator[tuple[str, list[UUID]]]:
    """A database with a thousand people more in it, and their ids."""
    with fresh_database(server_url, template) as url:
        rows = asyncio.run(execute(url, PEOPLE, WATCHERS))
        yield url, [row["id"] for row in rows]


def test_a_thousand_subscribers_of_one_viewer_hear_of_a_change_within_a_second(
    people: tuple[str, list[UUID]], pytestconfig: pytest.Config
) -> None:
    url, ids = people
    tokens = Tokens(SECRET, Settings(jwt_audience=None, jwt_issuer=None))
    cases: dict[str, list[str | None]] = {
        "one person": [tokens.sign(CAST["maya"].id)] * WATCHERS,
        "nobody signed in": [None] * WATCHERS,
        "as many people": [tokens.sign(each) for each in ids],
    }
    maya = f"Bearer {tokens.sign(CAST['maya'].id)}"

    measured = []
    for who, given in cases.items():
        with running(GATEWAY, database_url=url, authorization=maya) as server:
            measured.append(asyncio.run(measure(server, who, given)))

    text = f"{circumstances(f'{WATCHERS:,} WebSockets, medians of {CHANGES} changes')}\n\n{report(measured)}"
    put(BEGIN, END, text)
    tell(pytestconfig, text)
    assert all(median(change.last for change in each.changes) < 1 for each in measured[:2])


async def measure(server: Server, who: str, tokens: list[str | None]) -> Measured:
    """Connect, subscribe, wait, and change something a few times."""
    watchers = Watchers(server.endpoint.replace("http", "ws", 1), tokens)
    memory = [server.megabytes]
    await watchers.connect()
    memory.append(server.megabytes)
    await watchers.subscribe({"id": MAYAS})
    memory.append(server.megabytes)
    cpu = server.cpu_seconds
    await asyncio.sleep(IDLE_SECONDS)
    idle = server.cpu_seconds - cpu
    cpu = server.cpu_seconds
    changes = [await change(server, watchers, f"Change {number}") for number in range(CHANGES)]
    await asyncio.sleep(1)
    delivering = server.cpu_seconds - cpu
    await watchers.close()
    return Measured(
        who,
        (memory[1] - memory[0]) * 1024 / len(tokens),
        (memory[2] - memory[0]) * 1024 / len(tokens),
        1000 * idle * 60 / IDLE_SECONDS / len(tokens),
        1000 * delivering / CHANGES / len(tokens),
        changes,
    )


async def change(server: Server, watchers: Watchers, name: str) -> FanOut:
    """Send a mutation, and wait until everybody has heard of it."""
    hearing = asyncio.create_task(watchers.hear())
    request: dict[str, Any] = {"query": RENAME, "variables": {"id": MAYAS, "name": name}}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        since = time.perf_counter()
        answer = await client.post(server.endpoint, json=request, headers={"authorization": server.authorization})
        assert answer.json()["data"]["updateClone"]["userErrors"] == []
        await hearing
    return FanOut.of(since, watchers.heard)


def report(measured: list[Measured]) -> str:
    head = [
        "who watches",
        "KB, connected",
        "KB, subscribed",
        "CPU ms a minute, idle",
        "CPU ms an event",
        "first ms",
        "half ms",
        "last ms",
    ]
    return table(head, [each.line for each in measured])
