"""Points: what a principal may spend on operations. They are saved up to a capacity, and come back with time."""

import time
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol

from cachetools import LRUCache

from gateway.errors import Code, RequestError
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.shared_redis import SharedRedis

MOST_BUCKETS = 100_000
"""How many principals are known at a time. Who was not heard of for longest has a full bucket again."""

KEY = "clonegraph:points:"


class Points(Protocol):
    """A bucket of points for each principal."""

    async def take(self, principal: str, points: int) -> None:
        """Take points. Raises RequestError with 429 when there are not enough."""

    async def give_back(self, principal: str, points: int) -> None:
        """Give back what an operation did not use."""

    async def remaining(self, principal: str) -> int:
        """How many points there are."""


def choose_points(settings: Settings, shared: "SharedRedis | None") -> Points:
    """The buckets of this process, or those that all nodes share."""
    return SharedPoints(settings, shared) if shared else LocalPoints(settings)


@dataclass(slots=True)
class _Bucket:
    """level: how many points there were. at: when that was."""

    level: float
    at: float


class LocalPoints:
    """Buckets in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._buckets: LRUCache[str, _Bucket] = LRUCache(MOST_BUCKETS)

    async def take(self, principal: str, points: int) -> None:
        """Take points. Raises RequestError with 429 when there are not enough."""
        bucket = self._bucket(principal)
        if bucket.level < points:
            raise shortage(self.settings, points, bucket.level)
        bucket.level -= points

    async def give_back(self, principal: str, points: int) -> None:
        """Give back what an operation did not use."""
        bucket = self._bucket(principal)
        bucket.level = min(self.settings.points_capacity, bucket.level + points)

    async def remaining(self, principal: str) -> int:
        """How many points there are."""
        return int(self._bucket(principal).level)

    def _bucket(self, principal: str) -> _Bucket:
        """The bucket of a principal as it is now."""
        now = time.monotonic()
        bucket = self._buckets.get(principal)
        if bucket is None:
            bucket = self._buckets[principal] = _Bucket(self.settings.points_capacity, now)
        gained = (now - bucket.at) * self.settings.points_per_second
        bucket.level = min(self.settings.points_capacity, bucket.level + gained)
        bucket.at = now
        return bucket


MOVE = """
local capacity, rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = capacity
if bucket[1] then
    level = math.min(capacity, bucket[1] + math.max(0, now - bucket[2]) * rate)
end
local enough = level >= wanted
if enough and wanted ~= 0 then
    level = math.min(capacity, level - wanted)
    redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
    redis.call('EXPIRE', KEYS[1], math.ceil((capacity - level) / rate) + 1)
end
return {enough and 1 or 0, string.format('%.6f', level)}
"""
"""Takes points, or gives back fewer than none, by the clock of Redis. Says whether there were enough, and the level.

A bucket that would be full again is forgotten.
"""


class SharedPoints:
    """Buckets that several nodes share. While Redis is away, each node counts for itself: no request fails for it."""

    def __init__(self, settings: Settings, shared: "SharedRedis") -> None:
        self.settings = settings
        self.shared = shared
        self._here = LocalPoints(settings)
        self._script = shared.client.register_script(MOVE)

    async def take(self, principal: str, points: int) -> None:
        """Take points. Raises RequestError with 429 when there are not enough."""
        moved = await self._move(principal, points)
        if moved is None:
            await self._here.take(principal, points)
            return
        enough, level = moved
        if not enough:
            raise shortage(self.settings, points, level)

    async def give_back(self, principal: str, points: int) -> None:
        """Give back what an operation did not use."""
        if await self._move(principal, -points) is None:
            await self._here.give_back(principal, points)

    async def remaining(self, principal: str) -> int:
        """How many points there are."""
        moved = await self._move(principal, 0)
        return await self._here.remaining(principal) if moved is None else int(moved[1])

    async def _move(self, principal: str, points: int) -> tuple[bool, float] | None:
        """Whether there were enough, and how many there are now; None while Redis is away."""
        capacity, rate = self.settings.points_capacity, self.settings.points_per_second
        moved = await self.shared.attempt(lambda: self._script(keys=[KEY + principal], args=[capacity, rate, points]))
        if moved is None:
            return None
        enough, level = moved
        return bool(enough), float(level)


def shortage(settings: Settings, points: int, level: float) -> RequestError:
    """What is said when there are fewer points than an operation may cost."""
    if points > settings.points_capacity:
        return RequestError(
            422,
            Code.LIMIT_EXCEEDED,
            f"This takes {points} points, and nobody can save up more than {settings.points_capacity}."
            " Ask for less at a time.",
        )
    seconds = max(1, ceil((points - level) / settings.points_per_second))
    return RequestError(
        429,
        Code.RATE_LIMITED,
        f"This takes {points} points, and you have {int(level)} left. Try again in {seconds} s, or ask for less.",
        headers={"Retry-After": str(seconds)},
    )
