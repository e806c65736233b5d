"""Fan-out: nodes tell each other through Redis that something has changed. What it was, each reads for itself."""

import asyncio

from gateway.shared_redis import AWAY, SharedRedis
from resolvers.feed import Feed

CHANNEL = "clonegraph:events"
PAUSE = 1.0
"""How long until it is listened again after Redis went away, in seconds: a feed looks as often by itself."""


class Fanout:
    """Wakes a feed when another node has committed a change, and the other way round.

    Without it a change is told nevertheless, when PostgreSQL notifies of it or when the feed looks by itself.
    """

    def __init__(self, shared: SharedRedis, feed: Feed) -> None:
        self.shared = shared
        self.feed = feed
        self._word = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen and to tell."""
        self.feed.tell_others = self._word.set
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]

    async def close(self) -> None:
        """Come to an end."""
        self.feed.tell_others = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _listen(self) -> None:
        while True:
            try:
                async with self.shared.client.pubsub() as messages:
                    await messages.subscribe(CHANNEL)
                    self.shared.note(None)
                    async for _ in messages.listen():
                        self.feed.wake()
            except AWAY as error:
                self.shared.note(error)
            await asyncio.sleep(PAUSE)

    async def _tell(self) -> None:
        while True:
            await self._word.wait()
            self._word.clear()
            await self.shared.attempt(lambda: self.shared.client.publish(CHANNEL, ""))
