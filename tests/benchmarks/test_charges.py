"""Charges: how many a second, on one account that all connections charge and on many, beside bare SQL."""

import asyncio
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import pytest

import db
from db import Scope
from db.engine import Database
from resolvers import service_token
from tests.benchmarks.charging import BARE, CONNECTIONS, OURS, Account, Way, ways_to_charge
from tests.benchmarks.conftest import tell
from tests.benchmarks.measure import ROUNDS
from tests.benchmarks.peers import GATEWAY
from tests.benchmarks.report import circumstances, put, table
from tests.benchmarks.servers import PostgreSQL, Server, running, wait_until_idle
from tests.conftest import execute, fresh_database

pytestmark = pytest.mark.benchmark

ACCOUNTS: Final = 64
GOAL: Final = 0.5
BEGIN: Final = "<!-- charges, measured by make bench -->"
END: Final = "<!-- end of the charges that make bench measured -->"

OPEN_ACCOUNTS: Final = """
    WITH person AS (
        INSERT INTO user_profiles (id, email, full_name, credits_remaining)
        SELECT gen_random_uuid(), 'payer' || n || '@example.com', 'Payer ' || n, 1000000
        FROM generate_series(1, $1::int) AS n RETURNING id, full_name
    ), clone AS (
        INSERT INTO clones (id, creator_id, name, base_price)
        SELECT gen_random_uuid(), id, 'Clone of ' || full_name, 0 FROM person RETURNING id, creator_id
    )
    INSERT INTO sessions (user_id, clone_id, session_type, status, rate_per_minute, total_cost, start_time,
        last_active_at, metered_until)
    SELECT creator_id, id, 'chat', 'active', 0, 0, now(), now(), now() FROM clone RETURNING user_id, clone_id, id
"""
"""Their time is free, so that a message is one charge."""


@dataclass(frozen=True)
class Bank:
    """A database with accounts, a gateway over it, and the service that charges there."""

    url: str
    postgresql: PostgreSQL
    version: str
    accounts: list[Account]
    server: Server
    viewer: db.Viewer


@dataclass(frozen=True)
class Cost:
    """What charges cost in one round. Times are milliseconds of CPU for each of them."""

    per_second: float
    cpu: float
    database_cpu: float


Costs = dict[tuple[str, str], list[Cost]]
"""By what is charged, and by the way."""


@pytest.fixture(scope="module")
def bank(server_url: str, template: str) -> Iterator[Bank]:
    with fresh_database(server_url, template) as url:
        accounts = [Account(*row) for row in asyncio.run(execute(url, OPEN_ACCOUNTS, ACCOUNTS))]
        asyncio.run(execute(url, "VACUUM (ANALYZE)"))
        [(folder,)] = asyncio.run(execute(url, "SHOW data_directory"))
        [(version,)] = asyncio.run(execute(url, "SHOW server_version"))
        token, viewer = asyncio.run(service(url))
        with running(GATEWAY, database_url=url, authorization=f"Bearer {token}") as server:
            yield Bank(url, PostgreSQL.of(Path(folder)), version, accounts, server, viewer)


async def service(url: str) -> tuple[str, db.Viewer]:
    """The token of a chat back end that may charge, and whom it stands for."""
    database = Database(url)
    token = await service_token.issue(database, "chat", (Scope.SESSIONS, Scope.CREDITS), None)
    assert token
    found = await service_token.find_service(database, hashlib.sha256(token.encode()).digest())
    assert found
    await database.close()
    return token, found.viewer


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_we_charge_at_least_half_as_often_as_bare_sql(bank: Bank, pytestconfig: pytest.Config) -> None:
    costs = asyncio.run(measure(bank))

    over = f"{CONNECTIONS} connections, medians of {ROUNDS} rounds"
    text = f"{circumstances(f'PostgreSQL {bank.version}', over)}\n\n{report(costs)}"
    put(BEGIN, END, text)
    tell(pytestconfig, text)
    assert all(ratio(costs, charged, way) >= GOAL for charged, way in costs if way == OURS)


async def measure(bank: Bank) -> Costs:
    """Every way to charge, in rounds, so that a change in the machine's mood meets all alike."""
    charged = {"one account": bank.accounts[:1], "many accounts": bank.accounts}
    costs: Costs = {}
    async with AsyncExitStack() as stack:
        ways = await ways_to_charge(bank.url, bank.server, bank.viewer, stack)
        for way in ways:
            await way.run(bank.accounts)  # so that everything has happened that happens once only
        await asyncio.to_thread(wait_until_idle, bank.server, bank.postgresql)
        for _ in range(ROUNDS):
            for name, accounts in charged.items():
                for way in ways:
                    costs.setdefault((name, way.name), []).append(await cost(bank, way, accounts))
    return costs


async def cost(bank: Bank, way: Way, accounts: Sequence[Account]) -> Cost:
    """What it costs in one run, in which every charge must have been written down, once."""
    entries = await count_entries(bank)
    cpu, database_cpu = way.cpu_seconds(), bank.postgresql.cpu_seconds
    charges, seconds = await way.run(accounts)
    await asyncio.to_thread(wait_until_idle, bank.server, bank.postgresql)
    cpu, database_cpu = way.cpu_seconds() - cpu, bank.postgresql.cpu_seconds - database_cpu
    written = await count_entries(bank) - entries
    assert charges <= written <= charges + CONNECTIONS, "at the end, wrk leaves some answers unheard"
    return Cost(charges / seconds, 1000 * cpu / written, 1000 * database_cpu / written)


async def count_entries(bank: Bank) -> int:
    [(entries,)] = await execute(bank.url, "SELECT count(*) FROM credit_entries")
    return int(entries)


def report(costs: Costs) -> str:
    """All of it as a table."""
    head = ["on", "by", "charges/s", f"of {BARE}", "CPU ms", "CPU ms, PostgreSQL"]
    lines = [
        [
            charged,
            way,
            f"{median(each.per_second for each in rounds):,.0f}",
            f"{ratio(costs, charged, way):.2f}",
            f"{median(each.cpu for each in rounds):.2f}",
            f"{median(each.database_cpu for each in rounds):.2f}",
        ]
        for (charged, way), rounds in costs.items()
    ]
    return table(head, lines)


def ratio(costs: Costs, charged: str, way: str) -> float:
    """Charges per second, as a share of those of bare SQL in the same round."""
    rounds = zip(costs[charged, way], costs[charged, BARE], strict=True)
    return median(ours.per_second / bare.per_second for ours, bare in rounds)
