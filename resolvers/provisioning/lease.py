"""Leases: an operation is worked on by one worker at a time, and by another one when that is gone.

Whoever claims an operation has it for some seconds, prolongs that while at work, and writes with the number that it got
(`fence`): a worker that was away for too long can write nothing any more, however late it wakes up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import asyncpg
import structlog

from db.engine import Database
from db.errors import DatabaseError
from db.transaction import Transaction

BEATS = 4
"""How often a lease is prolonged in the time that it lasts."""

DUE = """
    SELECT id FROM operations
    WHERE ended_at IS NULL AND due_at <= clock_timestamp()
        AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY cancel_requested_at NULLS LAST, due_at LIMIT 1
"""
CLAIM = f"""
    UPDATE operations SET fence = fence + 1, leased_until = clock_timestamp() + make_interval(secs => $1),
        started_at = coalesce(started_at, clock_timestamp())
    WHERE id = ({DUE} FOR NO KEY UPDATE SKIP LOCKED) AND (cancel_requested_at IS NOT NULL OR NOT $2)
    RETURNING *
"""  # noqa: S608 (of our own words)
ACCOUNT = "SELECT parked_until > clock_timestamp() AS is_parked FROM provider_accounts WHERE provider = $1 FOR UPDATE"
OPEN_ACCOUNT = "INSERT INTO provider_accounts (provider, tokens) VALUES ($1, $2) ON CONFLICT DO NOTHING"
LEASED = "SELECT count(*) AS number FROM operations WHERE leased_until > clock_timestamp() AND ended_at IS NULL"
PROLONG = """
    UPDATE operations SET leased_until = clock_timestamp() + make_interval(secs => $3)
    WHERE id = $1 AND fence = $2 AND leased_until > clock_timestamp()
    RETURNING cancel_requested_at IS NOT NULL AS is_cancelled
"""
HOLD = "SELECT FROM operations WHERE id = $1 AND fence = $2 FOR NO KEY UPDATE"

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another worker has the operation, or may have it."""


class Cancelled(Exception):
    """Somebody wishes that the operation be given up."""


@dataclass
class Lease:
    """An operation, as it was when it was claimed, for as long as it belongs to this worker."""

    database: Database
    operation: asyncpg.Record
    seconds: float
    good_until: float
    is_cancelled: bool
    _beating: asyncio.Task[None] | None = field(default=None, init=False)

    def check(self) -> None:
        """Go on, if the operation is still ours and still wanted. Raises LeaseLost and Cancelled."""
        if monotonic() >= self.good_until:
            raise LeaseLost
        if self.is_cancelled:
            raise Cancelled

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that is committed only if the operation still is ours. Raises LeaseLost.

        The operation is locked last, as mutations do that change what it is about and then want it done once more.
        """
        async with self.database.write() as tx:
            yield tx
            if await tx.row(HOLD, self.operation["id"], self.operation["fence"]) is None:
                raise LeaseLost

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """A block in which the lease is prolonged again and again. Where that fails, the block is broken off."""
        work = asyncio.current_task()
        assert work is not None
        self._beating = asyncio.create_task(self._beat(work))
        try:
            yield
        except asyncio.CancelledError:
            if monotonic() >= self.good_until and work.uncancel() == 0:
                raise LeaseLost from None
            raise
        finally:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating

    async def _beat(self, work: "asyncio.Task[Any]") -> None:
        while monotonic() < self.good_until:
            await asyncio.sleep(self.seconds / BEATS)
            began = monotonic()
            try:
                async with self.database.write() as tx:
                    row = await tx.row(PROLONG, self.operation["id"], self.operation["fence"], self.seconds)
            except DatabaseError as error:
                log.warning("lease_not_prolonged", operation=str(self.operation["id"]), reason=str(error))
                continue
            if row is None:
                self.good_until = began
            else:
                self.good_until = began + self.seconds
                self.is_cancelled = row["is_cancelled"]
        work.cancel()


async def claim(database: Database, provider: str, *, seconds: float, most: int, allowance: float) -> Lease | None:
    """An operation that is due, for one worker; None if there is none.

    While nothing may be asked of the provider, only one that is to be given up. most: how many may be worked on at a
    time by all workers together. allowance: what a new account begins with.
    """
    began = monotonic()
    if not await database.primary.fetch(DUE, ()):
        return None
    async with database.write() as tx:
        account = await tx.row(ACCOUNT, provider)
        if account is None:
            await tx.fetch(OPEN_ACCOUNT, provider, allowance)
            return None
        leased = await tx.row(LEASED)
        if leased and leased["number"] >= most:
            return None
        row = await tx.row(CLAIM, seconds, bool(account["is_parked"]))
    return Lease(database, row, seconds, began + seconds, row["cancel_requested_at"] is not None) if row else None
