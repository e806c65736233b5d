"""Settling: what is charged when nobody does anything.

Any number of processes can do it: each session is settled under a lock that one of them holds.
"""

import time
from uuid import UUID

import structlog

from db.engine import Database
from db.errors import DatabaseBusy, DatabaseUnavailable
from resolvers.duty import Duty
from resolvers.idempotency import forget
from resolvers.metering import settle
from resolvers.terms import Terms

FORGET_EACH = 3_600.0

DUE = """
    SELECT id FROM sessions
    WHERE last_active_at IS NOT NULL AND (metered_until IS NOT NULL OR status <> 'ended') AND (
        status = 'active' AND (
            metered_until IS NULL
            OR metered_until < least(now(), last_active_at + $1::interval) - $2::interval
            OR last_active_at < now() - $3::interval)
        OR status = 'paused' AND last_active_at < now() - $4::interval
        OR status <> 'active' AND metered_until IS NOT NULL)
    ORDER BY metered_until LIMIT 500
"""
"""The sessions that are to be charged, or ended."""

log = structlog.get_logger()


class Settling(Duty):
    """Charges sessions in which nothing happens, and ends those that nobody comes back to."""

    def __init__(self, database: Database, terms: Terms) -> None:
        super().__init__()
        self.database = database
        self.terms = terms
        self._forgot = time.monotonic()

    async def work(self) -> None:
        """Do what is due now."""
        terms = self.terms
        due = await self.database.primary.fetch(
            DUE, [terms.session_grace, terms.metering_interval, terms.abandoned_after, terms.pause_limit]
        )
        for row in due:
            await self._settle(row["id"])
        if time.monotonic() - self._forgot > FORGET_EACH:
            self._forgot = time.monotonic()
            async with self.database.write() as tx:
                await forget(tx)

    async def _settle(self, id_: UUID) -> None:
        try:
            await settle(self.database, self.terms, id_)
        except (DatabaseUnavailable, DatabaseBusy):
            raise
        except Exception:  # of this session; the others must not wait for it
            log.exception("session_not_settled", session=str(id_))
