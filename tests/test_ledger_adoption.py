"""The ledger begins in a database that is in use: what was there is opened, what happens meanwhile is booked."""

import asyncio
from collections import Counter
from decimal import Decimal
from itertools import count
from uuid import UUID

import asyncpg
import pytest

from db import migrate
from tests.test_ledger import change, entries, external, rows, run, sign_up, spend, wrong
from tests.test_migration import downgrade, upgrade

BEFORE = "0018"
PEOPLE = """
    INSERT INTO user_profiles (email, full_name, credits_remaining, total_spent)
    SELECT number || '@example.com', 'Eve', CASE number % 4 WHEN 0 THEN 0 WHEN 1 THEN -number ELSE number / 7.0 END,
        number % 3
    FROM generate_series(1, 2500) AS number
"""
"""Some have nothing, some owe something, and some have spent something."""

CLONES = """
    INSERT INTO clones (name, total_earnings) SELECT 'Eve''s', number % 5 FROM generate_series(1, 1500) AS number
"""


@pytest.fixture
def in_use(empty_database: str) -> str:
    """A database as it was before the ledger."""
    upgrade(empty_database, BEFORE)
    run(empty_database, PEOPLE, CLONES)
    return empty_database


def balances(url: str) -> dict[UUID, Decimal]:
    return {row[0]: row[1] for row in rows(url, "SELECT id, credits_remaining FROM user_profiles")}


def test_what_was_there_is_opened(in_use: str) -> None:
    upgrade(in_use)

    opened = "SELECT count(*) FROM credit_entries WHERE kind = 'opening' AND amount = balance_after"
    owed = "SELECT count(*) FROM credit_entries WHERE balance_after < 0"
    earned = "SELECT count(*), sum(amount) FROM creator_entries WHERE kind = 'opening' AND amount = earned_after"
    assert rows(in_use, "SELECT count(*) FROM credit_entries") == rows(in_use, opened) == [(2292,)]
    assert rows(in_use, owed) == [(625,)]
    assert rows(in_use, earned) == [(1200, 3000)]
    assert wrong(in_use) == {}


def test_an_upgrade_that_is_run_again_opens_nothing_twice(in_use: str) -> None:
    upgrade(in_use)
    before = rows(in_use, "SELECT id FROM credit_entries UNION SELECT id FROM creator_entries ORDER BY id")

    run(in_use, f"UPDATE clonegraph_version SET version_num = '{BEFORE}'")
    upgrade(in_use)

    assert rows(in_use, "SELECT id FROM credit_entries UNION SELECT id FROM creator_entries ORDER BY id") == before
    assert wrong(in_use) == {}


def test_what_is_done_while_the_database_is_back_at_an_earlier_revision_is_booked_afterwards(in_use: str) -> None:
    upgrade(in_use)
    eve = sign_up(in_use, "20", "3")
    downgrade(in_use, BEFORE)
    run(in_use, change(eve, "credits_remaining = 77"))

    upgrade(in_use)

    assert entries(in_use, eve) == [external("20", "20"), external("57", "77", "3")]
    assert wrong(in_use) == {}


def test_programs_that_move_balances_during_the_upgrade_lose_nothing(in_use: str) -> None:
    before = balances(in_use)
    people = sorted(before)
    clones = [id_ for (id_,) in rows(in_use, "SELECT id FROM clones ORDER BY id")]
    moved: Counter[UUID] = Counter()
    numbers = count()

    async def be_old_program(upgrading: "asyncio.Task[None]") -> None:
        connection = await asyncpg.connect(in_use)
        while not upgrading.done():
            number = next(numbers)
            person = people[number * 7 % len(people)]
            async with connection.transaction():
                await connection.execute(change(person, f"{spend('-3')}, total_spent = total_spent + 1"))
                if before[person] > 0:
                    await connection.execute(change(person, spend("1")))
                await connection.execute(
                    "UPDATE clones SET total_earnings = total_earnings + 1 WHERE id = $1", clones[number % len(clones)]
                )
            moved[person] += 2 if before[person] > 0 else 3
            if number % 5 == 0:
                await connection.execute(
                    "INSERT INTO user_profiles (email, full_name, credits_remaining) VALUES ($1, 'New', 5)",
                    f"new {number}",
                )
                await connection.execute("DELETE FROM user_profiles WHERE email = $1", f"new {number - 40}")
        await connection.close()

    async def upgrade_while_programs_run() -> None:
        upgrading = asyncio.create_task(migrate.upgrade(in_use))
        await asyncio.gather(upgrading, *(be_old_program(upgrading) for _ in range(4)))

    asyncio.run(upgrade_while_programs_run())

    after = balances(in_use)
    assert len(moved) > 50
    assert {id_: after[id_] - balance for id_, balance in before.items() if after[id_] != balance} == moved
    assert wrong(in_use) == {}
