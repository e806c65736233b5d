"""The account at a provider: how much all workers together ask of it, and when it is to be left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from db.engine import Database
from resolvers.provisioning.provider import QuotaExceeded, RateLimited

ACTS_PER_SECOND: Final = 5.0
BURST: Final = 100.0
"""300 acts a minute are what OpenAI allows on one vector store."""

PARKED_FOR_QUOTA: Final = 600.0
PARKED_FOR_RATE: Final = 5.0
"""How long nothing is asked after a refusal that does not say how long, in seconds."""

TAKE = """
    UPDATE provider_accounts
    SET tokens = least($3, tokens + $2 * extract(epoch FROM clock_timestamp() - counted_at)) - 1,
        counted_at = clock_timestamp()
    WHERE provider = $1
    RETURNING tokens, extract(epoch FROM parked_until - clock_timestamp())::float8 AS parked, parked_reason
"""
PARK = """
    INSERT INTO provider_accounts (provider, tokens, parked_until, parked_reason)
    VALUES ($1, $4, clock_timestamp() + make_interval(secs => $2), $3)
    ON CONFLICT (provider) DO UPDATE SET parked_reason = excluded.parked_reason,
        parked_until = greatest(provider_accounts.parked_until, excluded.parked_until)
"""


class Parked(Exception):
    """Nothing is asked of the provider for a while. seconds: for how long. The message says why."""

    def __init__(self, reason: str | None, seconds: float) -> None:
        super().__init__(reason or "The provider wants to be asked less often.")
        self.seconds = seconds


class Account:
    """The account of one provider."""

    def __init__(self, database: Database, provider: str) -> None:
        self.database = database
        self.provider = provider

    @asynccontextmanager
    async def act(self) -> AsyncIterator[None]:
        """A block that asks something of the provider, once there is an allowance for it. Raises Parked."""
        async with self.database.write() as tx:
            row = await tx.row(TAKE, self.provider, ACTS_PER_SECOND, BURST)
        if row and (row["parked"] or 0) > 0:
            raise Parked(row["parked_reason"], row["parked"])
        if row and row["tokens"] < 0:
            await asyncio.sleep(-row["tokens"] / ACTS_PER_SECOND)
        try:
            yield
        except QuotaExceeded as error:
            await self._park(PARKED_FOR_QUOTA, str(error))
            raise Parked(str(error), PARKED_FOR_QUOTA) from error
        except RateLimited as error:
            seconds = error.retry_after if error.retry_after is not None else PARKED_FOR_RATE
            await self._park(seconds, None)
            raise Parked(None, seconds) from error

    async def _park(self, seconds: float, reason: str | None) -> None:
        async with self.database.write() as tx:
            await tx.fetch(PARK, self.provider, seconds, reason, BURST)
