"""Work that several wait for at the same time, and that is done once for all of them."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


@dataclass(eq=False)
class _Work(Generic[Value]):
    task: asyncio.Task[Value]
    waiting: int = 0


class Shared(Generic[Value]):
    """Work in progress, by what it is about."""

    def __init__(self) -> None:
        self._works: dict[Hashable, _Work[Value]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._works

    async def get(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """What comes of the work that is in progress, or is begun now. It is broken off when nobody waits any more."""
        work = self._works.get(key)
        if work is None:
            work = self._works[key] = _Work(asyncio.create_task(begin()))
            work.task.add_done_callback(lambda _: self._forget(key, work))
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting:
                self._forget(key, work)
                work.task.cancel()

    def _forget(self, key: Hashable, work: _Work[Value]) -> None:
        if self._works.get(key) is work:
            del self._works[key]
