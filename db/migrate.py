"""Moving a database from one shape to the next while programs use it, and comparing it with the models."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Column, Connection, Index, NullPool, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from db import Base
from db.engine import Database
from db.errors import LOST_CONNECTION, DatabaseBusy, DatabaseUnavailable

# Whoever comes after a statement that waits for a lock waits behind it. So we give up soon, and try again later.
SERVER_SETTINGS = {"application_name": "clonegraph migration", "lock_timeout": "300ms"}
PATIENCE = 120.0
PAUSE = 0.2

_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK_DETECTED = "40P01"

T = TypeVar("T")


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether something in the database is to be compared with the models: other programs have tables there too."""
    return kind != "table" or name in Base.metadata.tables


OPTIONS: dict[str, Any] = {
    # A CloneAI database can be under Alembic already, and then has an alembic_version of its own.
    "version_table": "clonegraph_version",
    "compare_server_default": True,
    "include_name": _is_ours,
}
"""How Alembic works on a database, whether it changes it or compares it."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database is in the history of revisions."""

    current: str | None
    """The revision it is at; None before the first one."""
    head: str
    pending: tuple[tuple[str, str], ...]
    """What an upgrade would run, as revision and title."""

    @property
    def is_current(self) -> bool:
        """Whether it is at the newest revision."""
        return self.current == self.head


async def upgrade(url: str, target: str = "head", on_step: Callable[[str], None] | None = None) -> None:
    """Bring a database up to a revision, one at a time; nothing happens if it is there or further.

    on_step: called with the title of each revision before it is run.

    Any number of processes can do this at once: the first one does it, the others wait for it.
    Raises DatabaseBusy when a revision cannot get its locks in two minutes; the steps before it are done.
    """
    async with _connect(url) as connection:
        await _wait_for_turn(connection)
        for step in await _run(connection, _steps, target):
            if on_step:
                on_step(step.doc)
            await _insist(connection, command.upgrade, step.revision)


async def downgrade(url: str, target: str) -> None:
    """Bring a database back to a revision, "base" being the one before the first.

    What the steps back remove is lost. The CloneAI tables are only removed when they are empty.
    """
    async with _connect(url) as connection:
        await _wait_for_turn(connection)
        await _insist(connection, command.downgrade, target)


async def status(url: str) -> Status:
    """Where a database is in the history of revisions."""
    async with _connect(url) as connection:
        steps = await _run(connection, _steps, "head")
        return Status(
            current=await _run(connection, _current),
            head=_history("head")[-1].revision,
            pending=tuple((step.revision, step.doc) for step in steps),
        )


@cache
def revisions() -> tuple[str, ...]:
    """Every revision that there is, the oldest first."""
    return tuple(step.revision for step in _history("head"))


async def current(database: Database) -> str | None:
    """The revision that a database is at, None before the first one: without the connection that `status` makes."""
    table = OPTIONS["version_table"]
    there = await database.fetch("SELECT to_regclass($1) IS NOT NULL", [table])
    rows = await database.fetch(f"SELECT version_num FROM {table}", ()) if there[0][0] else []  # noqa: S608
    return rows[0][0] if rows else None


async def differences(url: str) -> list[str]:
    """What the models have and a database has not, or the other way round, in sentences. Empty when they agree."""
    async with _connect(url) as connection:
        found = await _run(connection, lambda sync: compare_metadata(_context(sync), Base.metadata))
    # What differs in several ways is a list of its own.
    flat = [one for item in found for one in (item if isinstance(item, list) else [item])]
    return [_sentence(difference) for difference in flat]


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[AsyncConnection]:
    async def create() -> "asyncpg.Connection[asyncpg.Record]":
        # asyncpg reads the URL itself: it knows options, such as sslmode, that SQLAlchemy does not pass on.
        try:
            return await asyncpg.connect(url, server_settings=SERVER_SETTINGS)
        except LOST_CONNECTION as error:
            raise DatabaseUnavailable from error

    engine = create_async_engine("postgresql+asyncpg://", async_creator=create, poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection


async def _wait_for_turn(connection: AsyncConnection) -> None:
    """Hold the lock of whoever migrates, until the connection is closed.

    It is asked for again and again, because a statement that waits is a transaction that is open, and building an
    index concurrently waits for those: the process before us would wait for us, and we for it.
    """
    lock = select(func.pg_try_advisory_lock(func.hashtext("clonegraph migration")))
    while not await _run(connection, lambda sync: sync.scalar(lock)):  # noqa: ASYNC110
        await asyncio.sleep(PAUSE)


async def _insist(connection: AsyncConnection, action: Callable[[Config, str], None], revision: str) -> None:
    """Let Alembic do something, again and again as long as other programs hold locks that it needs."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + PATIENCE
    while True:
        try:
            await _run(connection, lambda sync: action(_config(sync), revision))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in {_LOCK_NOT_AVAILABLE, _DEADLOCK_DETECTED}:
                raise
            if clock.time() > deadline:
                message = "Another program has kept a table locked that is to be changed. Nothing is lost: try again."
                raise DatabaseBusy(message) from error
        else:
            return
        await asyncio.sleep(PAUSE)


async def _run(connection: AsyncConnection, action: Callable[..., T], *arguments: Any) -> T:
    """What a synchronous function answers. No transaction is left open behind it."""
    try:
        return await connection.run_sync(action, *arguments)
    finally:
        await connection.rollback()


def _config(connection: Connection | None = None) -> Config:
    # Alembic has no other way to be quiet.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=OPTIONS)


def _history(target: str) -> list[Script]:
    """All revisions up to one, the oldest first."""
    return list(ScriptDirectory.from_config(_config()).walk_revisions("base", target))[::-1]


def _current(connection: Connection) -> str | None:
    return _context(connection).get_current_revision()


def _steps(connection: Connection, target: str) -> list[Script]:
    """The revisions between a database and a target. None, if it is at one that only a newer version knows."""
    history = _history(target)
    current = _current(connection)
    if current is None:
        return history
    passed = [step.revision for step in history]
    return history[passed.index(current) + 1 :] if current in passed else []


def _sentence(difference: tuple[Any, ...]) -> str:
    """One difference, as Alembic finds it, in words."""
    match difference:
        case ("add_table", table):
            return f"Table {table.name} is missing."
        case ("add_column", _, table, column):
            return f"Column {table}.{column.name} is missing."
        case ("remove_column", _, table, column):
            return f"Column {table}.{column.name} is in the database only."
        case (kind, _, table, column, _, found, wanted):
            # A default is wrapped in a clause.
            found, wanted = (getattr(value, "arg", value) for value in (found, wanted))
            return f"Column {table}.{column}: {kind.removeprefix('modify_')} is {found}, but should be {wanted}."
        case (kind, thing):
            return f"{_name(thing)} is {'missing' if kind.startswith('add_') else 'in the database only'}."
    return str(difference)


def _name(thing: Any) -> str:
    """An index or constraint with what it is on."""
    kind, parts = ("Index", thing.expressions) if isinstance(thing, Index) else ("Constraint", thing.columns)
    columns = ", ".join(part.name if isinstance(part, Column) else str(part) for part in parts)
    return f"{kind} {thing.name} on {thing.table.name} ({columns})"
