"""Statements: built by SQLAlchemy, compiled to text, and run on asyncpg."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text, and the names of its parameters in the order of $1, $2, ..."""

    text: str
    parameters: tuple[str, ...]
    constants: Mapping[str, Any]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order that the text wants them."""
        return [values[name] if name in values else self.constants[name] for name in self.parameters]


def compiled(statement: ClauseElement) -> Statement:
    """A statement as asyncpg takes it."""
    text = statement.compile(dialect=DIALECT)
    return Statement(text.string, tuple(getattr(text, "positiontup", None) or ()), text.params)
