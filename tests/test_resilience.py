"""What becomes of requests, and of connections, when PostgreSQL or a client goes away."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from db import demo, migrate
from db.embedded import EmbeddedServer
from db.engine import Database
from tests.conftest import execute
from tests.serving import ACCEPT, Gateway, serving

QUERY = "{ domains(first: 3) { totalCount nodes { name experts(first: 2) { totalCount nodes { name } } } } }"
OURS = "SELECT pid, wait_event_type FROM pg_stat_activity WHERE application_name = 'clonegraph'"
AWAY = "DATABASE_UNAVAILABLE"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server with the demo data that can be stopped without disturbing other tests."""
    server = EmbeddedServer.start(tmp_path_factory.mktemp("resilience") / "postgresql")

    async def prepare() -> None:
        url = await server.create_database()
        await migrate.upgrade(url)
        await demo.load(url, demo.Scale.SMALL)

    asyncio.run(prepare())
    yield server
    server.stop()


def test_requests_fail_while_postgresql_is_away_and_succeed_when_it_is_back(own_server: EmbeddedServer) -> None:
    async def restart(load: Load) -> float:
        await load.more(20)
        await asyncio.to_thread(own_server.stop)
        await load.until(lambda: len(load.errors) > 20)
        back = await asyncio.to_thread(EmbeddedServer.start, own_server.data_dir)
        own_server._server = back._server
        since = time.monotonic()
        await load.until(lambda: all(load.went_well))
        return time.monotonic() - since

    with serving(own_server.url(), pool_size=4) as gateway:
        load, seconds = asyncio.run(under_load(gateway, restart))
        connections = asyncio.run(execute(own_server.url(), OURS))

    assert {(error["extensions"]["code"], error["extensions"]["retryable"]) for error in load.errors} == {(AWAY, True)}
    assert load.wrong == []
    assert seconds < 5
    assert len(connections) <= 4 + 2  # one listens for events, one looks whether all is well


def test_connections_that_are_cut_at_random_give_no_wrong_answer(own_server: EmbeddedServer) -> None:
    async def cut(load: Load) -> int:
        chance = random.Random(7)  # noqa: S311
        most = 0
        killer = await asyncpg.connect(own_server.url("postgres"))
        for _ in range(40):
            await load.more(5)
            pids = [row["pid"] for row in await killer.fetch(OURS)]
            most = max(most, len(pids))
            if pids:
                await killer.fetch("SELECT pg_terminate_backend($1)", chance.choice(pids))
        await killer.close()
        await load.until(lambda: all(load.went_well))
        return most

    with serving(own_server.url(), pool_size=4) as gateway:
        load, most = asyncio.run(under_load(gateway, cut))

    assert {error["extensions"]["code"] for error in load.errors} <= {AWAY}
    assert len(load.errors) < 40
    assert load.wrong == []
    assert most <= 2 * (4 + 2)  # one that is cut can still be there when its successor is
    assert len(load.answers) > 200


def test_a_read_survives_any_number_of_dead_connections(own_server: EmbeddedServer) -> None:
    async def scenario() -> tuple[int, Any]:
        async with relayed(own_server.url()) as relay:
            database = Database(relay.url, pool_size=6)
            await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.2)", ()) for _ in range(6)))
            opened = len(relay.writers)
            relay.poison()
            rows = await database.fetch("SELECT 7", ())
            await database.close()
            return opened, rows[0][0]

    opened, value = asyncio.run(scenario())

    assert opened == 6
    assert value == 7


def test_a_client_that_hangs_up_leaves_no_statement_running(own_database: str) -> None:
    async def scenario() -> float:
        async with locked_domains(own_database) as observer, asking(gateway) as client:
            request = asyncio.create_task(client.post("/graphql", json={"query": CLONES}))
            await until(waits(observer))
            request.cancel()
            with suppress(asyncio.CancelledError):
                await request
            since = time.monotonic()
            await until(waits(observer, not_any=True))
            return time.monotonic() - since

    with serving(own_database) as gateway:
        seconds = asyncio.run(scenario())
        afterwards = gateway.ask(CLONES)

    assert seconds < 1
    assert afterwards.data["clones"]["totalCount"] > 0


def test_an_operation_that_takes_too_long_is_broken_off_with_its_statement(own_database: str) -> None:
    async def scenario() -> Any:
        async with locked_domains(own_database) as observer, asking(gateway) as client:
            response = await client.post("/graphql", json={"query": CLONES})
            await until(waits(observer, not_any=True))
            return response

    with serving(own_database, {"operation_timeout": 0.5}, pool_size=1) as gateway:
        response = asyncio.run(scenario())
        afterwards = gateway.ask(CLONES)

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert afterwards.data["clones"]["totalCount"] > 0


CLONES = "{ clones(first: 3) { totalCount nodes { name domain { name } } } }"


class Load:
    """Clients that ask the same again and again, and what they were answered."""

    def __init__(self, expected: Any) -> None:
        self.expected = expected
        self.answers: list[Any] = []
        self.errors: list[Any] = []
        self.wrong: list[Any] = []
        self.went_well: list[bool] = []
        self._changed = asyncio.Event()

    async def more(self, number: int) -> None:
        """Wait for so many answers more."""
        goal = len(self.answers) + number
        await self.until(lambda: len(self.answers) >= goal)

    async def until(self, over: Callable[[], bool]) -> None:
        """Wait until it is so after an answer that was asked for from now on."""
        for place in range(len(self.went_well)):
            self.went_well[place] = False
        async with asyncio.timeout(30):
            while not over():
                self._changed.clear()
                await self._changed.wait()

    async def keep_asking(self, client: httpx2.AsyncClient) -> None:
        """Be one of the clients."""
        place = len(self.went_well)
        self.went_well.append(False)
        while True:
            body = (await client.post("/graphql", json={"query": QUERY})).json()
            self.answers.append(body)
            self.errors.extend(body.get("errors", ()))
            self.went_well[place] = "errors" not in body
            if self.went_well[place] and body["data"] != self.expected:
                self.wrong.append(body)
            self._changed.set()


async def under_load(gateway: Gateway, work: Callable[[Load], Awaitable[Any]]) -> tuple[Load, Any]:
    """What some work comes to while six clients ask."""
    async with asking(gateway) as client:
        expected = (await client.post("/graphql", json={"query": QUERY})).json()["data"]
        load = Load(expected)
        clients = [asyncio.create_task(load.keep_asking(client)) for _ in range(6)]
        try:
            return load, await work(load)
        finally:
            for each in clients:
                each.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


def asking(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=gateway.url, headers={"accept": ACCEPT}, timeout=20, trust_env=False)


@asynccontextmanager
async def locked_domains(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to look around with, while nobody can read the domains."""
    holder = await asyncpg.connect(url)
    observer = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE domains IN ACCESS EXCLUSIVE MODE")
            yield observer
    finally:
        await holder.close()
        await observer.close()


def waits(observer: "asyncpg.Connection[asyncpg.Record]", *, not_any: bool = False) -> Callable[[], Awaitable[bool]]:
    """Whether one of our statements waits for a lock."""

    async def look() -> bool:
        rows = await observer.fetch(f"{OURS} AND datname = current_database()")
        return any(row["wait_event_type"] == "Lock" for row in rows) != not_any

    return look


async def until(over: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await over():  # noqa: ASYNC110 (PostgreSQL tells nobody)
            await asyncio.sleep(0.02)


class Relay:
    """A way to a database that can forget its connections, as a firewall does, without telling anybody."""

    def __init__(self, url: str) -> None:
        self._database = make_url(url)
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._poisoned: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return self._database.set(host="127.0.0.1", port=self.port, query={}).render_as_string(hide_password=False)

    def poison(self) -> None:
        """Break each of the connections there are with the next that is sent through it."""
        self._poisoned.update(self.writers)

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        there, back = await asyncio.open_unix_connection(f"{self._database.query['host']}/.s.PGSQL.5432")
        answers = asyncio.create_task(self._copy(there, writer))
        while data := await reader.read(65536):
            if writer in self._poisoned:
                break
            back.write(data)
        answers.cancel()
        writer.transport.abort()
        back.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    relay = Relay(url)
    server = await asyncio.start_server(relay.relay, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    async with server:
        yield relay
