"""The order of a list, and cursors: places in that order.

A cursor holds the values that its row was sorted by, so a page begins where the last one ended, whatever was
inserted or deleted in between. Nulls have their place, and the id breaks every tie, so each row is met once.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, UnaryExpression, bindparam
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from db import Row, ViewerKind
from loaders.columns import SEARCH_RANK, readable
from loaders.errors import BadCursor

CURSOR_VERSION = 1
URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True)
class Key:
    """One thing to sort by: a column of the row by name, or the search rank."""

    name: str
    descending: bool = False
    nulls_first: bool = False

    def reversed(self) -> "Key":
        """The same key from the other end."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def nullable(self, row: type[Row]) -> bool:
        """Whether a row can be without a value, or hide it."""
        if self.name == SEARCH_RANK:
            return False
        column = row.__mapper__.columns[self.name]
        return bool(column.nullable or column.info.get("private"))


Order = tuple[Key, ...]
Place = tuple[Any, ...]
"""The values of one row under an order."""


@dataclass(frozen=True)
class Range:
    """Rows that follow each other in the order without crossing into nulls: what one index scan can give."""

    conditions: tuple[ColumnElement[bool], ...]
    order_by: tuple[UnaryExpression[Any], ...]


def complete(keys: Sequence[Key]) -> Order:
    """An order in which no two rows are equal: the keys, then the id."""
    if any(key.name == "id" for key in keys):
        return tuple(keys)
    return (*keys, Key("id", descending=bool(keys) and keys[-1].descending))


def default_order(row: type[Row]) -> Order:
    """The order of a list that nobody asked an order for."""
    return complete([Key(name, descending=direction == "desc") for name, direction in row.__order__])


def ordering(row: type[Row], order: Order, columns: ReadOnlyColumnCollection[str, Any]) -> list[UnaryExpression[Any]]:
    """The ORDER BY of an order, over these columns."""
    return [_by(key, columns[key.name], nullable=key.nullable(row)) for key in order]


def ranges(
    row: type[Row], order: Order, kind: ViewerKind, *, after: tuple[bool, ...] | None, prefix: str = "after"
) -> list[Range]:
    """The rows of an order, or those after a place in it, as ranges that follow each other.

    after: for each key, whether the place is null there; None for all rows. The place's values are the
    parameters `after_0`, `after_1`, ...
    """
    columns = [readable(row, key.name, kind) for key in order]
    nullable = [key.nullable(row) for key in order]

    def part(number: int, *conditions: ColumnElement[bool]) -> Range:
        """number: the last key of which the conditions say whether it is null, so that an index has their order."""
        by = [_by(key, columns[i], nullable=nullable[i] and i > number) for i, key in enumerate(order)]
        return Range(conditions, tuple(by))

    if after is None:
        if not nullable[0]:
            return [part(0)]
        both = [part(0, columns[0].is_not(None)), part(0, columns[0].is_(None))]
        return both[::-1] if order[0].nulls_first else both

    found = []
    for number in reversed(range(len(order))):
        key, column = order[number], columns[number]
        same = [
            columns[i].is_(None) if after[i] else columns[i] == _value(f"{prefix}_{i}", columns[i])
            for i in range(number)
        ]
        if not after[number]:
            value = _value(f"{prefix}_{number}", column)
            found.append(part(number, *same, column < value if key.descending else column > value))
            if nullable[number] and not key.nulls_first:
                found.append(part(number, *same, column.is_(None)))
        elif key.nulls_first:
            found.append(part(number, *same, column.is_not(None)))
    return found


def _by(key: Key, column: ColumnElement[Any], *, nullable: bool) -> UnaryExpression[Any]:
    by = column.desc() if key.descending else column.asc()
    if not nullable:
        return by
    return by.nulls_first() if key.nulls_first else by.nulls_last()


def _value(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return bindparam(name, type_=column.type)


def encode_cursor(digest: str, place: Sequence[Any]) -> str:
    """A cursor for a place in the list with this digest (of filter and order)."""
    text = orjson.dumps([CURSOR_VERSION, digest, *place], default=str)
    return binascii.b2a_base64(text, newline=False).translate(URL_SAFE, b"=").decode()


def decode_cursor(cursor: str, digest: str, row: type[Row], order: Order) -> Place:
    """The place that a cursor stands for. Raises BadCursor for one of another list, or none at all."""
    try:
        version, found, *values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if version != CURSOR_VERSION or found != digest or len(values) != len(order):
            raise BadCursor
        return tuple(_from_json(value, _python_type(row, key)) for value, key in zip(values, order, strict=True))
    except (binascii.Error, ValueError, TypeError, InvalidOperation) as error:
        raise BadCursor from error


def _python_type(row: type[Row], key: Key) -> type:
    return float if key.name == SEARCH_RANK else row.__mapper__.columns[key.name].type.python_type


def _from_json(value: Any, kind: type) -> Any:
    if value is None:
        return None
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    if kind in (bool, int, str):
        if type(value) is not kind:
            raise BadCursor
        return value
    if kind is float and isinstance(value, float):
        return value
    if kind in (Decimal, UUID) and isinstance(value, str):
        return kind(value)
    raise BadCursor
