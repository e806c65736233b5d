"""Several workers on one port, and how they and a single one come to an end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event

import asyncpg
import httpx2
import psutil
import pytest

from tests.conftest import execute
from tests.test_process import ask, started

QUERY = "{ domains(first: 5) { totalCount nodes { name experts(first: 3) { nodes { name } } } } }"
SETTINGS = {
    "JWT_SECRET": "a secret for the tests, long enough",
    "POINTS_CAPACITY": "1000000000",
    "LOG_LEVEL": "warning",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_that_was_sent_before_the_server_stopped(demo_database: str, workers: int) -> None:
    told = Event()
    statuses: Counter[int] = Counter()

    def keep_asking(address: str, headers: dict[str, str]) -> None:
        """Ask until nobody can be reached any more. Whatever else goes wrong is raised."""
        client = HTTPConnection(address.removeprefix("http://").strip("/"), timeout=30)
        while True:
            try:
                if client.sock is None:
                    client.connect()
            except OSError:
                assert told.is_set()
                return
            client.request(
                "POST", "/graphql", b'{"query": "{ __typename }"}', {"content-type": "application/json", **headers}
            )
            response = client.getresponse()
            assert response.read() == b'{"data":{"__typename":"Query"}}'
            statuses[response.status] += 1

    with (
        started("serve", "--port", "0", *several(workers), DATABASE_URL=demo_database, **SETTINGS) as (server, address),
        ThreadPoolExecutor(12) as threads,
    ):
        clients = [threads.submit(keep_asking, address, {}) for _ in range(4)]
        clients += [threads.submit(keep_asking, address, {"connection": "close"}) for _ in range(8)]
        until(lambda: sum(statuses.values()) > 500)
        told.set()
        server.send_signal(signal.SIGTERM)
        for client in clients:
            client.result(30)

        assert server.wait(20) == 0
    assert set(statuses) == {200}


def test_an_operation_that_runs_is_answered_before_the_server_stops(own_database: str) -> None:
    async def scenario() -> httpx2.Response:
        async with locked_domains(own_database) as waits:
            request = asyncio.create_task(asyncio.to_thread(ask, address, "{ domains { totalCount } }"))
            await waits()
            server.send_signal(signal.SIGTERM)
            while await asyncio.to_thread(is_reached, address):
                pass
        return await request

    with started("serve", "--port", "0", "--workers", "2", DATABASE_URL=own_database, **SETTINGS) as (server, address):
        response = asyncio.run(scenario())

        assert server.wait(20) == 0
    assert response.json()["data"]["domains"]["totalCount"] > 0
    assert response.headers["connection"] == "close"


def test_an_operation_that_runs_for_too_long_does_not_keep_the_server(own_database: str) -> None:
    async def scenario() -> float:
        async with locked_domains(own_database) as waits:
            request = asyncio.create_task(asyncio.to_thread(ask, address, "{ domains { totalCount } }"))
            await waits()
            since = time.monotonic()
            server.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait, 20)
            await asyncio.wait((request,))
            return time.monotonic() - since

    with started("serve", "--port", "0", DATABASE_URL=own_database, DRAIN_SECONDS="0.5", **SETTINGS) as (
        server,
        address,
    ):
        seconds = asyncio.run(scenario())

    assert server.returncode == 0
    assert seconds < 10


def test_a_worker_that_ends_is_replaced_and_one_that_is_told_to_end_fails_no_request(tmp_path: Path) -> None:
    done = Event()
    statuses: Counter[int] = Counter()

    def keep_asking(address: str) -> None:
        while not done.is_set():
            statuses[ask(address, QUERY).status_code] += 1

    with (
        started("serve", "--port", "0", "--workers", "2", "--data-dir", str(tmp_path)) as (server, address),
        ThreadPoolExecutor(4) as threads,
    ):
        first, second = workers_of(server)
        clients = [threads.submit(keep_asking, address) for _ in range(4)]
        os.kill(first, signal.SIGTERM)
        until(lambda: len({*workers_of(server), first}) == 3)
        done.set()
        for client in clients:
            client.result(30)
        os.kill(second, signal.SIGKILL)
        until(lambda: len({*workers_of(server), first, second}) == 4)
        statuses.update(ask(address, QUERY).status_code for _ in range(10))
        server.send_signal(signal.SIGINT)

        assert server.wait(20) == 0
    assert set(statuses) == {200}
    assert not [other for other in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(other.info["cmdline"])]


def test_workers_end_when_their_parent_is_killed(demo_database: str) -> None:
    with started("serve", "--port", "0", "--workers", "2", DATABASE_URL=demo_database, **SETTINGS) as (server, _):
        workers = workers_of(server)
        server.kill()
        server.wait()

        until(lambda: not any(psutil.pid_exists(pid) for pid in workers))


def test_workers_that_cannot_start_end_the_server() -> None:
    code = """
import gateway.workers, gateway.process
def fail(on_ready): raise RuntimeError
try: gateway.workers.keep_serving(2, gateway.process.listen("127.0.0.1", 0), fail, print)
except gateway.process.WorkerFailed: print("told")
"""

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout == "told\n"
    assert "RuntimeError" in result.stderr


@asynccontextmanager
async def locked_domains(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A way to wait until somebody waits for the domains, which nobody can read in the block."""
    holder = await asyncpg.connect(url)

    async def somebody_waits() -> None:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while not await execute(url, waiting):  # noqa: ASYNC110 (PostgreSQL tells nobody)
            await asyncio.sleep(0.05)

    async with holder.transaction():
        await holder.execute("LOCK TABLE domains IN ACCESS EXCLUSIVE MODE")
        yield somebody_waits
    await holder.close()


def is_reached(address: str) -> bool:
    try:
        ask(address, "{ __typename }")
    except httpx2.ConnectError:
        return False
    return True


def several(workers: int) -> list[str]:
    return ["--workers", str(workers)]


def workers_of(server: subprocess.Popen[str]) -> list[int]:
    return [child.pid for child in psutil.Process(server.pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def until(over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not over():
        assert time.monotonic() < deadline
        time.sleep(0.02)
