"""Health: whether the process lives, and whether requests should be sent to it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db import migrate
from db.engine import Database
from db.errors import DatabaseError
from resolvers.worker import Worker

if TYPE_CHECKING:
    from gateway.shared_redis import SharedRedis

Found = TypeVar("Found")

KEPT_SECONDS = 1.0
"""How long an answer is good, so that probes cannot keep the database busy."""

PATIENCE = 3.0
WELL = "ok"
UNKNOWN = "unknown"
NOT_KEPT = {"Cache-Control": "no-store"}


class Health:
    """Answers the probes of a balancer or an orchestrator. worker: of this process, if it has one.

    draining: set when the process is about to stop, so that nothing new is sent to it.
    """

    def __init__(self, database: Database, shared: "SharedRedis | None", worker: Worker | None = None) -> None:
        self.draining = False
        # A connection of its own: that all others are busy is no reason to send requests elsewhere.
        self._database = Database(
            database.url,
            read_url=database.read_url,
            pooler=database.pooler,
            pool_size=1,
            statement_timeout=PATIENCE,
        )
        self._shared = shared
        self._worker = worker
        self._looking = asyncio.Lock()
        self._found: dict[str, str] = {}
        self._good_until = 0.0

    def routes(self) -> list[BaseRoute]:
        """Where it is asked."""
        return [
            Route("/health/live", self.live),
            Route("/health/ready", self.ready),
            Route("/health", self.ready),
        ]

    async def live(self, request: Request) -> Response:
        """That the process answers. Nothing else is looked at: a restart would not mend a database."""
        return JSONResponse({"status": WELL}, headers=NOT_KEPT)

    async def ready(self, request: Request) -> Response:
        """Whether to send requests here, and what stands in the way. Redis does not: one gets by without it."""
        checks = {"process": "draining" if self.draining else WELL, **await self._checks()}
        is_ready = all(word == WELL for name, word in checks.items() if name != "redis")
        return JSONResponse(
            {"status": WELL if is_ready else "unavailable", "checks": checks},
            200 if is_ready else 503,
            headers=NOT_KEPT,
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._database.close()

    async def _checks(self) -> dict[str, str]:
        async with self._looking:
            if monotonic() >= self._good_until:
                self._found = await self._look()
                self._good_until = monotonic() + KEPT_SECONDS
            return self._found

    async def _look(self) -> dict[str, str]:
        found = {}
        found["database"], found["migrations"] = await _in_time(self._look_at_database, ("does not answer", UNKNOWN))
        if self._shared is not None:
            found["redis"] = await _in_time(self._look_at_redis, "does not answer")
        if self._worker is not None:
            stuck = self._worker.stuck()
            found["worker"] = f"stuck: {', '.join(stuck)}" if stuck else WELL
        return found

    async def _look_at_database(self) -> tuple[str, str]:
        try:
            current = await migrate.current(self._database)
        except DatabaseError:
            return "cannot be reached", UNKNOWN
        except asyncpg.PostgresError:
            return "refuses", UNKNOWN
        revisions = await asyncio.to_thread(migrate.revisions)
        # One that we do not know is of a newer version, which has been rolled out beside us.
        pending = revisions[revisions.index(current) + 1 :] if current in revisions else ()
        if current is None or pending:
            number = len(pending) if current else len(revisions)
            return WELL, f"{number} pending: run `clonegraph db upgrade`"
        return WELL, WELL

    async def _look_at_redis(self) -> str:
        from gateway.shared_redis import AWAY

        assert self._shared is not None
        try:
            await self._shared.client.ping()
        except AWAY:
            return "cannot be reached"
        return WELL


async def _in_time(look: Callable[[], Awaitable[Found]], otherwise: Found) -> Found:
    try:
        async with asyncio.timeout(PATIENCE):
            return await look()
    except TimeoutError:
        return otherwise
