"""Relations as data: how rows of one class lead to rows of another. Declared once, in `schema/`."""

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, any_, func, select
from sqlalchemy.orm import InstrumentedAttribute

from db import Row

Attribute = InstrumentedAttribute[Any]
Linked = Attribute | ColumnElement[Any]


@dataclass(frozen=True, eq=False)
class Relation:
    """From a parent's `key` to the rows of `target` whose `column` equals it, directly or through a link.

    key: the name of the parent's column.
    column: the column of the target.
    many: whether a parent has a list of them.
    link: two columns of a table in between; the first holds parents' keys, the second values of `column`.
    implied: whether who sees a parent sees all of its rows, so that they need not be asked one by one.
    """

    key: str
    column: Attribute
    many: bool
    link: tuple[Linked, Linked] | None = None
    implied: bool = False

    @property
    def target(self) -> type[Row]:
        """The class of the rows it leads to."""
        return cast("type[Row]", self.column.class_)

    def matches(self, key: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that a target row belongs to the parent with this key.

        The link is read first, as an array: a semi-join under ORDER BY and LIMIT makes the planner walk the whole
        target in its order, in the hope to meet linked rows early.
        """
        if self.link is None:
            return self.column.expression == key

        parents, targets = self.link
        linked = select(targets).where(parents == key).correlate_except(parents.table)
        return self.column == any_(func.array(linked.scalar_subquery()))


@cache
def by_id(row: type[Row]) -> Relation:
    """From an id to its row."""
    return Relation("id", row.id, many=False)


@dataclass(frozen=True)
class Joined:
    """The row that a to-one relation leads to, coming along with the row that it leads from.

    name: what the names of its values begin with, a dot behind it. The value `_key` of it is null where there is no
    such row, or none that the viewer may see.
    """

    name: str
    relation: Relation
    columns: "Columns"


Columns = tuple[str | Joined, ...]
"""What is fetched of a row: columns by name, and rows that come along."""
