"""A transaction: several statements that happen together, or not at all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.sql import ClauseElement

from db.statement import compiled
from db.trace import traced

StatementListener = Callable[[str, Sequence[Any]], None]


class Transaction:
    """What is done with one connection until it is committed."""

    def __init__(
        self,
        connection: "PoolConnectionProxy[asyncpg.Record]",
        on_statement: StatementListener | None = None,
    ) -> None:
        self._connection = connection
        self._on_statement = on_statement

    async def fetch(self, statement: str, *arguments: Any, patience: float | None = None) -> list[asyncpg.Record]:
        """The rows of a statement. patience: how many seconds it may take, if not as many as any."""
        if self._on_statement:
            self._on_statement(statement, arguments)
        return await traced(statement, self._run(statement, arguments, patience))

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a statement, None if there is none."""
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def execute(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> list[asyncpg.Record]:
        """The rows of a statement that is built of our columns."""
        wanted = compiled(statement)
        return await self.fetch(wanted.text, *wanted.arguments(values or {}))

    async def scalar(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Any:
        """The first value of the first row, None if there is none."""
        rows = await self.execute(statement, values)
        return rows[0][0] if rows else None

    async def _run(self, statement: str, arguments: Sequence[Any], patience: float | None) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._connection.fetch(statement, *arguments, timeout=patience)
        return rows
