"""The two doors to the database: `read()` for statements that only look, `write()` for transactions.

Both go through asyncpg directly. Whoever reads has a connection for one statement, so that nothing is shared between
fields that run at the same time. Whoever writes has one for a short transaction, from a pool of its own: writers wait
for each other's rows, and readers must not wait for writers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from db.codecs import set_codecs
from db.errors import LOST_CONNECTION, ConstraintViolated, DatabaseBusy, DatabaseUnavailable, ValueRefused
from db.trace import traced
from db.transaction import StatementListener, Transaction

NAME = {"application_name": "clonegraph"}
SERVER_SETTINGS = {
    **NAME,
    "jit": "off",
    "timezone": "UTC",
    "datestyle": "ISO",
    "plan_cache_mode": "force_generic_plan",
}
"""To compile statements as small as ours, or to plan them for each viewer anew, takes longer than they do.

A pooler takes no such wishes.
"""

PATIENCE = 10
"""How many seconds one waits for a connection that is free, and half of them for a new one."""

SLOW = (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
UNFIT = (asyncpg.DataError, asyncpg.UntranslatableCharacterError)

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


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
        set_up = partial(set_codecs, in_utc=not pooler)
        self._readers = _Pool(self.read_url, pool_size, self._connect, set_up)
        self._writers = _Pool(url, pool_size, self._connect, set_up)
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
        idle = self._readers.idle + self._writers.idle
        in_use = self._readers.size + self._writers.size - idle
        if self.primary is not self:
            there = self.primary.connections
            idle, in_use = idle + there.idle, in_use + there.in_use
        return Connections(in_use, idle)

    async def close(self) -> None:
        """Give every connection back."""
        if self.primary is not self:
            await self.primary.close()
        await asyncio.gather(self._readers.close(), self._writers.close())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection to look with. Never write through it: it may lead to a replica."""
        async with self._readers.connection() as connection:
            yield connection

    async def fetch(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """The rows of one statement. When its connection turns out dead, it is run once more on a new one.

        Raises DatabaseUnavailable when nobody answers, DatabaseBusy when the answer takes too long, and
        ValueRefused when an argument is not of the kind that its place wants.
        """
        return await traced(statement, self._fetch_again(statement, arguments))

    async def _fetch_again(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        try:
            return await self._fetch(statement, arguments)
        except LOST_CONNECTION:
            # Where one was lost, the others that lie idle may be dead as well.
            await self._readers.expire()
        try:
            return await self._fetch(statement, arguments)
        except LOST_CONNECTION as error:
            raise DatabaseUnavailable from error

    async def _fetch(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        connection = None
        try:
            connection = await self._readers.take()
            if self.on_statement:
                self.on_statement(statement, arguments)
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        except BaseException as error:
            if connection is not None:
                await self._readers.give_back(connection, is_sound=False)
            if isinstance(error, SLOW):
                raise DatabaseBusy from error
            if isinstance(error, UNFIT):
                raise ValueRefused(str(error)) from error
            raise
        await self._readers.give_back(connection)
        return rows

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of one's own to the primary, for those who listen. Theirs to close."""
        return await self._connect(self.url)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction on the primary, committed when the block ends without an error.

        Raises what `fetch` does, and ConstraintViolated. After a DatabaseUnavailable at its end, nobody knows
        whether it was committed.
        """
        try:
            async with self._begun() as connection:
                yield Transaction(connection, self.on_statement)
        except (*SLOW, asyncpg.DeadlockDetectedError) as error:
            raise DatabaseBusy from error
        except (*LOST_CONNECTION, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable from error
        except UNFIT as error:
            raise ValueRefused(str(error)) from error
        except asyncpg.IntegrityConstraintViolationError as error:
            raise ConstraintViolated(error.constraint_name) from error

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Connection]:
        """A connection in a transaction. One that turns out dead before anything was done is replaced."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._writers.connection())
            stack.push_async_callback(_roll_back, connection)
            try:
                await connection.execute("BEGIN")
            except (*LOST_CONNECTION, asyncpg.InterfaceError):
                await self._writers.expire()
                connection = await stack.enter_async_context(self._writers.connection())
                stack.push_async_callback(_roll_back, connection)
                await connection.execute("BEGIN")
            yield connection
            await connection.execute("COMMIT")

    @property
    def _patience_of_server(self) -> dict[str, str]:
        """For how long it keeps the locks of a transaction whose process says nothing more."""
        return {"idle_in_transaction_session_timeout": f"{self.statement_timeout * 1000:.0f}ms"}

    async def _connect(self, url: str, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """A new connection. asyncpg reads the URL itself, and so knows all options of it."""
        try:
            return await asyncpg.connect(
                url,
                timeout=PATIENCE / 2,
                command_timeout=self.statement_timeout,
                server_settings=NAME if self.pooler else {**SERVER_SETTINGS, **self._patience_of_server},
                statement_cache_size=0 if self.pooler else KEPT_STATEMENTS,
                **options,
            )
        except TimeoutError as error:
            raise DatabaseUnavailable from error


KEPT_STATEMENTS = 300


class _Pool:
    """Connections to one server, made when they are needed.

    They are asyncpg's pool's, which makes them, ends them, and waits for what is being cancelled on them. Those that
    came back sound are kept beside it for whoever is next: to go through the pool takes as long as a small statement.
    """

    def __init__(
        self,
        url: str,
        most: int,
        connect: "Callable[..., Awaitable[asyncpg.Connection[asyncpg.Record]]]",
        set_up: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None]]",
    ) -> None:
        self.url = url
        self.most = most
        self._connect = connect
        self._set_up = set_up
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._kept: list[Connection] = []
        self._waiting = 0

    @property
    def idle(self) -> int:
        """How many connections nobody uses."""
        return len(self._kept) + (self._pool.get_idle_size() if self._pool else 0)

    @property
    def size(self) -> int:
        """How many connections there are."""
        return self._pool.get_size() if self._pool else 0

    async def take(self) -> Connection:
        """A connection, to be given back."""
        while self._kept:
            connection = self._kept.pop()
            with suppress(asyncpg.InterfaceError):  # the pool takes back by itself what was cut
                if not connection.is_closed():
                    return connection
                await self.give_back(connection, is_sound=False)
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self.url,
                min_size=0,
                max_size=self.most,
                connect=self._connect,
                init=self._set_up,
                reset=_leave_as_is,
            )
            await self._pool
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=PATIENCE)
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Connection, *, is_sound: bool = True) -> None:
        """Let others have it. is_sound: whether what was done on it came to its end."""
        if is_sound and not self._waiting:
            self._kept.append(connection)
        elif self._pool is not None:
            await self._pool.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, for as long as the block."""
        connection, is_sound = await self.take(), False
        try:
            yield connection
            is_sound = True
        finally:
            await self.give_back(connection, is_sound=is_sound)

    async def expire(self) -> None:
        """Replace every connection when it is wanted next."""
        if self._pool is not None:
            await self._pool.expire_connections()
            await self._give_up_kept()

    async def close(self) -> None:
        """Give every connection back."""
        if self._pool is not None:
            with suppress(TimeoutError):  # by then they are cut
                async with asyncio.timeout(PATIENCE):
                    await self._give_up_kept()
                    await self._pool.close()

    async def _give_up_kept(self) -> None:
        while self._kept:
            await self.give_back(self._kept.pop(), is_sound=False)


async def _roll_back(connection: Connection) -> None:
    """Undo what a transaction did, if one is open, even if whoever does it is told meanwhile, once more, to break off.

    Where that fails, the server does it when the connection ends.
    """
    if connection.is_closed() or not connection.is_in_transaction():
        return
    undoing = asyncio.ensure_future(connection.execute("ROLLBACK"))
    try:
        await asyncio.wait((undoing,))
    except asyncio.CancelledError:
        await asyncio.wait((undoing,))
        raise
    finally:
        if not undoing.done() or undoing.cancelled() or undoing.exception():  # what went wrong before is what is told
            undoing.cancel()
            connection.terminate()


async def _leave_as_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Instead of asyncpg's RESET on every release: nobody leaves anything behind to reset."""
