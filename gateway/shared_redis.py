"""What several nodes share: a Redis or Valkey, which any of them gets by without."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

PATIENCE = 0.5
"""How long is waited for it, in seconds. Whoever asks can go on without it, so nothing is tried twice."""
PAUSE = 5.0
"""How long it is left alone after it did not answer, in seconds."""
AWAY = (RedisError, OSError, UnicodeDecodeError)

Found = TypeVar("Found")

log = structlog.get_logger()


class SharedRedis:
    """A Redis that may go away: then nobody waits for it, and the log says so once."""

    def __init__(self, url: str) -> None:
        self.client = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._away_since: float | None = None

    async def attempt(self, ask: Callable[[], Awaitable[Found]]) -> Found | None:
        """What Redis says; None while it is away."""
        if self._away_since is not None and time.monotonic() - self._away_since < PAUSE:
            return None
        try:
            found = await ask()
        except AWAY as error:
            self.note(error)
            return None
        self.note(None)
        return found

    def note(self, error: Exception | None) -> None:
        """Redis did not answer, or did: the log says when that changes."""
        if error and self._away_since is None:
            log.warning("redis_away", reason=str(error))
        elif not error and self._away_since is not None:
            log.info("redis_back")
        self._away_since = time.monotonic() if error else None

    async def close(self) -> None:
        """Give the connections back."""
        await self.client.aclose()
