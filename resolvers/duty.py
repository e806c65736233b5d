"""Duties: what a process does by itself, again and again, while it runs."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

import structlog

log = structlog.get_logger()


class Duty(ABC):
    """Something that is looked after for as long as it runs.

    pause: how long it rests between two looks at what is due, in seconds, unless it is woken.
    looked_at: when it last looked, by the clock of the event loop; None before it began.
    """

    pause: float = 5.0

    def __init__(self) -> None:
        self.looked_at: float | None = None
        self._word = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @abstractmethod
    async def work(self) -> None:
        """Do what is due now."""

    def start(self) -> None:
        """Begin."""
        self.looked_at = asyncio.get_running_loop().time()
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look at once."""
        self._word.set()

    async def close(self) -> None:
        """Come to an end. What is being done at the moment is done, or undone, as a whole."""
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        while True:
            self._word.clear()
            try:
                await self.work()
            except Exception as error:  # noqa: BLE001 (what is due now is due the next time, too)
                log.warning("worker_interrupted", duty=type(self).__name__, reason=str(error) or type(error).__name__)
            else:
                self.looked_at = asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pause):
                    await self._word.wait()
