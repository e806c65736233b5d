"""Rows on their way into the database, and the way itself: COPY."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias

import asyncpg
import orjson

from db import Base

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Progress = Callable[[str, int, int], None]
"""Called with a table's name, the rows written so far and the rows to be written."""


class Batch:
    """Some rows of some tables. Every row of a table names the same columns, in the same order."""

    def __init__(self) -> None:
        self.rows: dict[type[Base], list[dict[str, Any]]] = defaultdict(list)

    def add(self, model: type[Base], /, **values: Any) -> None:
        """Add a row, its values under the names that the columns have in Python."""
        self.rows[model].append(values)

    def counts(self) -> Counter[str]:
        """How many rows there are, by the name of the table."""
        return Counter({model.__tablename__: len(rows) for model, rows in self.rows.items()})


async def use_json(connection: Connection) -> None:
    """Let a connection take and give JSON as Python's own dictionaries and lists, also in COPY."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda stored: orjson.loads(stored[1:]),
        format="binary",
    )


async def copy(connection: Connection, batch: Batch) -> None:
    """Write the rows of a batch, those that others refer to first."""
    order = {table.name: place for place, table in enumerate(Base.metadata.sorted_tables)}
    for model in sorted(batch.rows, key=lambda model: order[model.__tablename__]):
        rows = batch.rows[model]
        await connection.copy_records_to_table(
            model.__tablename__,
            columns=[model.__mapper__.columns[name].name for name in rows[0]],
            records=(tuple(row.values()) for row in rows),
        )
