"""Filters: what a list is narrowed to.

A filter is split in two: its shape, from which a statement is built and by which it is cached, and its values,
which are the statement's parameters. `{name: {eq: "A"}}` and `{name: {eq: "B"}}` have one shape.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ARRAY, ColumnElement, all_, and_, any_, bindparam, exists, false, literal, not_, or_, true
from sqlalchemy.dialects.postgresql import array

from db import Row, ViewerKind, Vocabulary
from loaders.columns import readable, visible
from loaders.relation import Relation

Operator = Literal["eq", "ne", "in", "gt", "gte", "lt", "lte", "like", "is_null", "is_not_null", "is_unknown"]


@dataclass(frozen=True)
class Is:
    """A column compared with a parameter."""

    column: str
    operator: Operator
    parameter: str = ""


@dataclass(frozen=True)
class All:
    """Each of these holds."""

    shapes: tuple["Shape", ...]


@dataclass(frozen=True)
class Either:
    """At least one of these holds."""

    shapes: tuple["Shape", ...]


@dataclass(frozen=True)
class Not:
    """This does not hold."""

    shape: "Shape"


@dataclass(frozen=True)
class Has:
    """There is a related row, visible to the viewer, for which this holds."""

    relation: Relation
    shape: "Shape"


Shape = Is | All | Either | Not | Has

EVERYTHING = All(())


@dataclass(frozen=True)
class Where:
    """A filter: its shape, and the values of its parameters."""

    shape: Shape = EVERYTHING
    values: tuple[tuple[str, Any], ...] = ()


@dataclass
class Parameters:
    """The values of a filter, each under the name that the statement knows it by."""

    values: list[tuple[str, Any]] = field(default_factory=list)

    def add(self, value: object) -> str:
        """The name for one more value."""
        name = f"where_{len(self.values)}"
        self.values.append((name, tuple(value) if isinstance(value, list) else value))
        return name


def condition(shape: Shape, row: type[Row], kind: ViewerKind) -> ColumnElement[bool]:
    """The SQL of a shape over a row class. What the viewer cannot read is null to a filter, too."""
    match shape:
        case All(shapes):
            return and_(true(), *(condition(each, row, kind) for each in shapes))
        case Either(shapes):
            return or_(false(), *(condition(each, row, kind) for each in shapes))
        case Not(inner):
            return not_(_holds(condition(inner, row, kind)))
        case Is():
            return _comparison(shape, row, kind)
        case Has(relation, inner):
            child = relation.target
            return exists().where(
                relation.matches(row.__mapper__.columns[relation.key]),
                visible(child, kind),
                condition(inner, child, kind),
            )


def _holds(expression: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a condition holds, with false for unknown, so that its opposite takes in the nulls."""
    return expression.is_(true())


COMPARE: Mapping[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": operator.eq,
    "ne": ColumnElement.is_distinct_from,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "like": ColumnElement.ilike,
}


def _comparison(shape: Is, row: type[Row], kind: ViewerKind) -> ColumnElement[bool]:
    column = readable(row, shape.column, kind)
    match shape.operator:
        case "in":
            return column == any_(bindparam(shape.parameter, type_=ARRAY(column.type)))
        case "is_null":
            return column.is_(None)
        case "is_not_null":
            return column.is_not(None)
        case "is_unknown":
            assert isinstance(column.type, Vocabulary)
            return column != all_(array([literal(str(word)) for word in column.type.words]))
        case _:
            return COMPARE[shape.operator](column, bindparam(shape.parameter, type_=column.type))
