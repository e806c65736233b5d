"""What a statement may select for a kind of viewer: rows it may see, columns it may read."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    REAL,
    Column,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    null,
    or_,
    text,
    true,
    type_coerce,
)
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from db import Row, ViewerKind
from db.base import EVERYONE, NOBODY

VIEWER_CAN_EDIT: Final = "viewer_can_edit"
VIEWER_CAN_SEE_PRIVATE: Final = "viewer_can_see_private"
SEARCH_RANK: Final = "search_rank"
TYPENAME: Final = "typename"
"""Names that can be selected beside the columns of a row."""


def search_query() -> ColumnElement[Any]:
    """The words that a person searches for, as the parameter `search`."""
    return func.websearch_to_tsquery(text("'english'::regconfig"), bindparam("search", type_=Text))


SPECIAL: Mapping[str, Callable[[type[Row], ViewerKind], ColumnElement[Any]]] = {
    VIEWER_CAN_EDIT: lambda row, kind: func.coalesce(row.rules_for(kind).editable, false()),
    VIEWER_CAN_SEE_PRIVATE: lambda row, kind: func.coalesce(row.rules_for(kind).private, false()),
    SEARCH_RANK: lambda row, kind: func.ts_rank(row.search_vector(), search_query(), type_=REAL),
    TYPENAME: lambda row, kind: literal_column(f"'{row.__name__}'"),
}


def readable(
    row: type[Row], name: str, kind: ViewerKind, private: ColumnElement[bool] | None = None
) -> ColumnElement[Any]:
    """A column as this kind of viewer may read it: a private one is null on the rows of others.

    What a viewer may not see never leaves the database. private: on which rows private columns can be read, where
    that is known already.
    """
    if name in SPECIAL:
        return SPECIAL[name](row, kind)
    column: ColumnElement[Any] = row.__mapper__.columns[name]
    rule = row.rules_for(kind).private if is_private(row, name) else EVERYONE
    if rule is EVERYONE:
        return column
    if rule is NOBODY:
        return type_coerce(null(), column.type)
    return type_coerce(case((rule if private is None else private, column)), column.type)


def private_by(
    row: type[Row], column: ColumnElement[Any], value: ColumnElement[Any], kind: ViewerKind
) -> ColumnElement[bool] | None:
    """Whether private columns can be read on the rows with this value of a column; None if it takes more to know."""

    def replaced(element: Any, **_: Any) -> ColumnElement[Any] | None:
        return value if isinstance(element, Column) and element.table is row.__table__ else None

    rule = row.rules_for(kind).private
    if {each for each in iterate(rule) if replaced(each) is not None} != {column}:
        return None
    return replacement_traverse(rule, {}, replaced)


def is_private(row: type[Row], name: str) -> bool:
    """Whether not all who see the row can read the column."""
    return name not in SPECIAL and bool(row.__mapper__.columns[name].info.get("private"))


@cache
def never_readable(row: type[Row], name: str, kind: ViewerKind) -> bool:
    """Whether this kind of viewer can read the column on no row at all."""
    return is_private(row, name) and row.rules_for(kind).private is NOBODY


def visible(row: type[Row], kind: ViewerKind) -> ColumnElement[bool]:
    """The rows that exist for a viewer, as one condition."""
    alternatives = row.rules_for(kind).visible
    return true() if any(each is EVERYONE for each in alternatives) else or_(false(), *alternatives)


def visible_apart(row: type[Row], kind: ViewerKind) -> list[ColumnElement[bool]]:
    """The rows that exist for a viewer, as conditions of which no two hold for the same row.

    For lists that no parent's key narrows down: each condition then walks an index of its own, where one
    condition made of them all would walk the whole table.
    """
    alternatives = row.rules_for(kind).visible
    if any(each is EVERYONE for each in alternatives):
        return [true()]
    apart = [
        and_(alternative, *(earlier.is_not(true()) for earlier in alternatives[:number]))
        for number, alternative in enumerate(alternatives)
    ]
    return apart or [false()]
