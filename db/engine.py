"""The two doors to the database: `read()` for statements that only look, `write()` for transactions.

Reading goes through asyncpg directly, one connection for one statement, so that nothing is shared between
fields that run at the same time. Writing goes through SQLAlchemy, in a short transaction of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from db.errors import LOST_CONNECTION, ConstraintViolated, DatabaseBusy, DatabaseUnavailable, ValueRefused
from db.trace import TRACE

NAME = {"application_name": "clonegraph"}
SERVER_SETTINGS = {**NAME, "jit": "off", "timezone": "UTC"}
"""jit costs more than it saves on statements as small as ours. A pooler takes no such wishes."""

PATIENCE = 10
"""How many seconds one waits for a connection that is free, and half of them for a new one."""

SLOW = (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
UNFIT = (asyncpg.DataError, asyncpg.UntranslatableCharacterError)

StatementListener = Callable[[str, Sequence[Any]], None]


class Connections(NamedTuple):
    """How many connections there are, by whether a statement runs on them."""

    in_use: int
    idle: int


class Database:
    """A PostgreSQL database, optionally with a replica to read from.

    Nothing connects before the first statement, and a lost connection is replaced by the next one,
    so the process can start before its database and outlive a restart of it.

    pooler: the URLs lead to one in transaction mode, where the next statement may meet another server process:
    none is prepared by a name, and what depends on a session (LISTEN, advisory locks of it) does not work.
    """

    def __init__(
        self,
        url: str,
        *,
        read_url: str | None = None,
        pooler: bool = False,
        pool_size: int = 10,
        statement_timeout: float = 30,
        on_statement: StatementListener | None = None,
    ) -> None:
        self.url = url
        self.read_url = read_url or url
        self.pooler = pooler
        self.pool_size = pool_size
        self.statement_timeout = statement_timeout
        self.on_statement = on_statement
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._engine: AsyncEngine | None = None
        self.primary = self
        """The same, read where it is written: for those who must see what was committed a moment ago."""
        if self.read_url != url:
            self.primary = Database(
                url,
                pooler=pooler,
                pool_size=pool_size,
                statement_timeout=statement_timeout,
                on_statement=on_statement,
            )

    @property
    def connections(self) -> Connections:
        """The connections that are open just now, of both doors."""
        idle = size = 0
        if self._pool is not None:
            idle, size = self._pool.get_idle_size(), self._pool.get_size()
        in_use = size - idle
        if self._engine is not None and isinstance(pool := self._engine.pool, AsyncAdaptedQueuePool):
            idle, in_use = idle + pool.checkedin(), in_use + pool.checkedout()
        if self.primary is not self:
            there = self.primary.connections
            idle, in_use = idle + there.idle, in_use + there.in_use
        return Connections(in_use, idle)

    async def close(self) -> None:
        """Give every connection back."""
        if self.primary is not self:
            await self.primary.close()
        if self._pool is not None:
            with suppress(TimeoutError):  # by then they are cut
                async with asyncio.timeout(PATIENCE):
                    await self._pool.close()
        if self._engine is not None:
            await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        """A connection to look with. Never write through it: it may lead to a replica."""
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self.read_url,
                min_size=0,
                max_size=self.pool_size,
                connect=self._connect,
                init=_set_codecs,
                reset=_leave_as_is,
            )
            await self._pool
        connection = await self._pool.acquire(timeout=PATIENCE)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    async def fetch(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """The rows of one statement. When its connection turns out dead, it is run once more on a new one.

        Raises DatabaseUnavailable when nobody answers, DatabaseBusy when the answer takes too long, and
        ValueRefused when an argument is not of the kind that its place wants.
        """
        trace = TRACE.get()
        if trace is None:
            return await self._fetch_again(statement, arguments)
        with trace.running(statement) as ran:
            rows = await self._fetch_again(statement, arguments)
            ran.rows = len(rows)
        return rows

    async def _fetch_again(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        try:
            return await self._fetch(statement, arguments)
        except LOST_CONNECTION:
            # Where one was lost, the others that lie idle may be dead as well.
            if self._pool is not None:
                await self._pool.expire_connections()
        try:
            return await self._fetch(statement, arguments)
        except LOST_CONNECTION as error:
            raise DatabaseUnavailable from error

    async def _fetch(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        try:
            async with self.read() as connection:
                if self.on_statement:
                    self.on_statement(statement, arguments)
                rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
                return rows
        except SLOW as error:
            raise DatabaseBusy from error
        except UNFIT as error:
            raise ValueRefused(str(error)) from error

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of one's own to the primary, for those who listen. Theirs to close."""
        return await self._connect(self.url)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction on the primary, committed when the block ends without an error.

        Raises what `fetch` does, and ConstraintViolated. After a DatabaseUnavailable at its end, nobody knows
        whether it was committed.
        """
        if self._engine is None:
            self._engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: self._connect(self.url),
                connect_args=UNPREPARED if self.pooler else {},
                pool_size=self.pool_size,
                max_overflow=0,
                pool_timeout=PATIENCE,
                pool_pre_ping=True,
            )
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as tx, tx.begin():
                yield tx
        except (NoneFree, *SLOW) as error:
            raise DatabaseBusy from error
        except LOST_CONNECTION as error:
            raise DatabaseUnavailable from error
        except DBAPIError as error:
            raise _in_our_words(error) from error

    async def _connect(self, url: str, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """A new connection. asyncpg reads the URL itself, and so knows all options of it."""
        try:
            return await asyncpg.connect(
                url,
                timeout=PATIENCE / 2,
                command_timeout=self.statement_timeout,
                server_settings=NAME if self.pooler else SERVER_SETTINGS,
                statement_cache_size=0 if self.pooler else KEPT_STATEMENTS,
                **options,
            )
        except TimeoutError as error:
            raise DatabaseUnavailable from error


KEPT_STATEMENTS = 100
UNPREPARED = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
"""What SQLAlchemy prepares has no name, and so is gone with the transaction."""


def _in_our_words(error: DBAPIError) -> Exception:
    cause = error.orig and error.orig.__cause__
    if error.connection_invalidated or isinstance(cause, LOST_CONNECTION):
        return DatabaseUnavailable()
    if isinstance(cause, SLOW):
        return DatabaseBusy()
    if isinstance(cause, UNFIT):
        return ValueRefused(str(cause))
    if isinstance(cause, asyncpg.IntegrityConstraintViolationError):
        return ConstraintViolated(cause.constraint_name)
    return error


async def _set_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """JSON travels as text from PostgreSQL to the client; nobody in between needs to parse it."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=orjson.Fragment, format="text"
    )


def _encode_json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _leave_as_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Instead of asyncpg's RESET on every release: readers leave nothing behind to reset."""
