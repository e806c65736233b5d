"""The two doors to the database: `read()` for statements that only look, `write()` for transactions.

Reading goes through asyncpg directly, one connection for one statement, so that nothing is shared between
fields that run at the same time. Writing goes through SQLAlchemy, in a short transaction of its own.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from db.errors import LOST_CONNECTION, DatabaseBusy, DatabaseUnavailable, ValueRefused

SERVER_SETTINGS = {"application_name": "clonegraph", "jit": "off", "timezone": "UTC"}
"""jit costs more than it saves on statements as small as ours."""

StatementListener = Callable[[str, Sequence[Any]], None]


class Database:
    """A PostgreSQL database, optionally with a replica to read from.

    Nothing connects before the first statement, and a lost connection is replaced by the next one,
    so the process can start before its database and outlive a restart of it.
    """

    def __init__(
        self,
        url: str,
        *,
        read_url: str | None = None,
        pool_size: int = 10,
        statement_timeout: float = 30,
        on_statement: StatementListener | None = None,
    ) -> None:
        self.url = url
        self.read_url = read_url or url
        self.pool_size = pool_size
        self.statement_timeout = statement_timeout
        self.on_statement = on_statement
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._engine: AsyncEngine | None = None

    async def close(self) -> None:
        """Give every connection back."""
        if self._pool is not None:
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
                timeout=5,
                command_timeout=self.statement_timeout,
                server_settings=SERVER_SETTINGS,
                init=_set_codecs,
                reset=_leave_as_is,
            )
            await self._pool
        connection = await self._pool.acquire(timeout=10)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    async def fetch(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """The rows of one statement. A connection that turns out dead is replaced once.

        Raises DatabaseUnavailable when nobody answers, DatabaseBusy when the answer takes too long, and
        ValueRefused when an argument is not of the kind that its place wants.
        """
        try:
            return await self._fetch(statement, arguments)
        except LOST_CONNECTION:
            pass
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
        except (TimeoutError, asyncpg.QueryCanceledError) as error:
            raise DatabaseBusy from error
        except (asyncpg.DataError, asyncpg.UntranslatableCharacterError) as error:
            raise ValueRefused(str(error)) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction on the primary, committed when the block ends without an error."""
        if self._engine is None:
            self._engine = create_async_engine(
                "postgresql+asyncpg://", async_creator=self._connect, pool_size=self.pool_size, pool_pre_ping=True
            )
        async with AsyncSession(self._engine, expire_on_commit=False) as tx, tx.begin():
            yield tx

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection for SQLAlchemy. asyncpg reads the URL itself, and so knows all options of it."""
        return await asyncpg.connect(self.url, server_settings=SERVER_SETTINGS)


async def _set_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """JSON travels as text from PostgreSQL to the client; nobody in between needs to parse it."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=orjson.Fragment, format="text"
    )


def _encode_json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _leave_as_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Instead of asyncpg's RESET on every release: readers leave nothing behind to reset."""
