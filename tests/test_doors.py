import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import update

import db
from db.engine import Database
from tests.serving import CAST

RENAMED = update(db.User).where(db.User.id == CAST["maya"].id).values(full_name="Somebody Else")


def with_database(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def name_of_maya(database: Database) -> str:
    rows = await database.fetch("SELECT full_name FROM user_profiles WHERE id = $1", [CAST["maya"].id])
    return str(rows[0][0])


def test_what_is_written_in_a_transaction_is_there_after_it(own_database: str) -> None:
    async def rename(database: Database) -> str:
        async with database.write() as tx:
            await tx.execute(RENAMED)
        return await name_of_maya(database)

    assert with_database(own_database, rename) == "Somebody Else"


def test_a_transaction_that_fails_leaves_nothing_behind(own_database: str) -> None:
    async def rename_and_fail(database: Database) -> None:
        async with database.write() as tx:
            await tx.execute(RENAMED)
            raise ZeroDivisionError

    async def fail(database: Database) -> str:
        with pytest.raises(ZeroDivisionError):
            await rename_and_fail(database)
        return await name_of_maya(database)

    assert with_database(own_database, fail) == CAST["maya"].name


def test_the_first_statements_can_all_come_at_once(own_database: str) -> None:
    async def many(database: Database) -> Any:
        return await asyncio.gather(*(database.fetch("SELECT 1 AS one", []) for _ in range(50)))

    assert [rows[0]["one"] for rows in with_database(own_database, many)] == [1] * 50


@pytest.mark.parametrize("pooler", [False, True])
def test_through_a_pooler_nothing_is_left_in_a_session(demo_database: str, *, pooler: bool) -> None:
    names = "SELECT name FROM pg_prepared_statements UNION SELECT name FROM pg_settings WHERE source = 'client'"

    async def look(database: Database) -> set[str]:
        found = [row["name"] for _ in range(2) for row in await database.fetch(names, [])]
        async with database.write() as tx:
            found += [row["name"] for _ in range(2) for row in await tx.fetch(names)]
        return set(found)

    async def run() -> set[str]:
        database = Database(demo_database, pooler=pooler)
        try:
            return await look(database)
        finally:
            await database.close()

    left = asyncio.run(run()) - {"application_name", "client_encoding"}

    assert bool(left) != pooler
