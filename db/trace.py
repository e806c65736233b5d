"""What one operation asks of the database: every statement with its time and its rows."""

import asyncio
from collections.abc import Awaitable, Sized
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

Rows = TypeVar("Rows", bound=Sized)


@dataclass(slots=True)
class Ran:
    """A statement that was run. seconds: from the wish for a connection to the last row.

    start: by `perf_counter`. error: the class of what went wrong.
    """

    statement: str
    seconds: float = 0.0
    rows: int = 0
    start: float = field(default_factory=perf_counter)
    error: str | None = None


@dataclass(slots=True)
class Trace:
    """The statements of one operation."""

    statements: list[Ran] = field(default_factory=list)
    _running: "set[asyncio.Task[Any]]" = field(default_factory=set)

    @property
    def rows(self) -> int:
        """How many rows they gave."""
        return sum(each.rows for each in self.statements)

    async def run(self, statement: str, running: Awaitable[Rows]) -> Rows:
        """The rows that a statement gives. What came of it is written down."""
        ran = Ran(statement)
        self.statements.append(ran)
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            rows = await running
            ran.rows = len(rows)
        except BaseException as error:
            ran.error = type(error).__name__
            raise
        finally:
            ran.seconds = perf_counter() - ran.start
            self._running.discard(task)
        return rows

    def cancel(self) -> None:
        """Break off every statement that still runs: its connection comes back clean."""
        for task in tuple(self._running):
            task.cancel()


TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the operation that is being executed, if one is."""


async def traced(statement: str, running: Awaitable[Rows]) -> Rows:
    """The rows that a statement gives, written down in the trace, if there is one."""
    trace = TRACE.get()
    return await (running if trace is None else trace.run(statement, running))
