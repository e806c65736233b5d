"""What a list can be narrowed to: `CloneFilter` and its like, made from the indexed columns and edges of the rows."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any, Optional

import strawberry
from strawberry.types.base import get_object_definition

import db
from loaders.errors import BadInput
from loaders.pages import bounded
from loaders.relation import Relation
from loaders.where import All, Either, Has, Is, Not, Operator, Parameters, Shape, Where
from schema import ids
from schema.field import Stored
from schema.inputs import InputField, fields_of, indexed_fields, input_type

EQUALITY = {
    "eq": "Equal to this.",
    "ne": "Different from this; also without a value.",
    "in": "Equal to one of these.",
}
COMPARISON = {
    "gt": "Greater than this.",
    "gte": "Greater than this, or equal.",
    "lt": "Less than this.",
    "lte": "Less than this, or equal.",
}
TEXT = {
    "contains": "Has these letters somewhere, in upper or lower case.",
    "startsWith": "Begins with these letters, in upper or lower case.",
}
OPERANDS = {f"{operator}_" for operator in EQUALITY | COMPARISON | TEXT}
OPERATORS: Mapping[str, Operator] = {
    "eq_": "eq",
    "ne_": "ne",
    "gt_": "gt",
    "gte_": "gte",
    "lt_": "lt",
    "lte_": "lte",
}
SCALARS: Mapping[type, tuple[str, dict[str, str]]] = {
    bool: ("Boolean", EQUALITY),
    int: ("Int", EQUALITY | COMPARISON),
    float: ("Float", EQUALITY | COMPARISON),
    Decimal: ("Decimal", EQUALITY | COMPARISON),
    date: ("Date", EQUALITY | COMPARISON),
    datetime: ("DateTime", EQUALITY | COMPARISON),
    str: ("String", EQUALITY | COMPARISON | TEXT),
}


@cache
def filter_of(row: type[db.Row]) -> type:
    """The input type of a filter for these rows. It names those of the rows that its edges lead to."""
    name = row.__name__
    fields = {"id": InputField(Optional[_comparisons("ID", strawberry.ID, tuple(EQUALITY.items()))], "The id.")}
    for stored in indexed_fields(row):
        fields[stored.python_name] = InputField(Optional[_comparisons_of(stored)], stored.description or "")
    for field in fields_of(row):
        if field.relation:
            target = field.relation.target.__name__
            has_one = f"Has one for which this holds, of those that you can see. {field.description}"
            fields[field.python_name] = InputField(f"Optional[{target}Filter]", has_one)
    fields |= {
        "and_": InputField(f"Optional[list[{name}Filter]]", "All of these hold.", name="and"),
        "or_": InputField(f"Optional[list[{name}Filter]]", "At least one of these holds.", name="or"),
        "not_": InputField(f"Optional[{name}Filter]", "This does not hold.", name="not"),
    }
    return input_type(__name__, f"{name}Filter", f"Narrows {name} rows down; all that is given must hold.", fields)


def _comparisons_of(stored: Stored) -> type:
    if stored.words:
        return _comparisons(stored.words.__name__, stored.words, tuple(EQUALITY.items()))
    scalar: Any = stored.column.type.python_type
    name, operators = SCALARS[scalar]
    return _comparisons(name, scalar, tuple(operators.items()))


@cache
def _comparisons(name: str, scalar: Any, operators: tuple[tuple[str, str], ...]) -> type:
    fields: dict[str, InputField] = {
        f"{operator}_": InputField(
            Optional[list[scalar]] if operator == "in" else Optional[scalar], description, name=operator
        )
        for operator, description in operators
    }
    fields["is_null_"] = InputField(bool | None, "Whether there is no value.", name="isNull")
    return input_type(
        __name__, f"{name}Filter", f"Compares a value of type {name}; all that is given must hold.", fields
    )


def read_filter(row: type[db.Row], given: Any) -> Where:
    """The filter that a client gave."""
    if given is None:
        return Where()
    parameters = Parameters()
    shape = _Reader(parameters).shape(row, given)
    return Where(shape, tuple(parameters.values))


MOST_PARTS = 100
"""How many comparisons and groups of them a filter may have. The time to build a statement grows with them."""


@dataclass
class _Reader:
    """Reads one filter, noting the values it meets."""

    parameters: Parameters
    inside_relation: bool = False
    parts: "count[int]" = dataclasses.field(default_factory=count)

    def shape(self, row: type[db.Row], given: Any) -> Shape:
        """All that is given, as one shape. Raises BadInput when it is too much."""
        self._count()
        relations = {field.python_name: field.relation for field in fields_of(row) if field.relation}
        shapes: list[Shape] = []
        for name, value in _given(given):
            if name == "and_":
                shapes.append(All(tuple(self.shape(row, each) for each in value)))
            elif name == "or_":
                shapes.append(Either(tuple(self.shape(row, each) for each in value)))
            elif name == "not_":
                shapes.append(Not(self.shape(row, value)))
            elif name in relations:
                shapes.append(self._related(relations[name], value))
            else:
                shapes += [self._comparison(row, name, operator, operand) for operator, operand in _given(value)]
        return All(tuple(shapes))

    def _related(self, relation: Relation, given: Any) -> Shape:
        if self.inside_relation:
            raise BadInput("A filter goes one edge far: give the filter of the other side without edges of its own.")
        inside = _Reader(self.parameters, inside_relation=True, parts=self.parts)
        return Has(relation, inside.shape(relation.target, given))

    def _count(self) -> None:
        if next(self.parts) >= MOST_PARTS:
            raise BadInput(f"A filter may have {MOST_PARTS} parts. Compare with many values at once with `in`.")

    def _comparison(self, row: type[db.Row], column: str, operator: str, operand: Any) -> Shape:
        self._count()
        match operator:
            case "is_null_":
                return Is(column, "is_null" if operand else "is_not_null")
            case "contains_":
                return Is(column, "like", self.parameters.add(f"%{_escaped(bounded('contains', operand))}%"))
            case "startsWith_":
                return Is(column, "like", self.parameters.add(f"{_escaped(bounded('startsWith', operand))}%"))
            case "in_":
                known = [each for each in operand if not _is_unknown(each)]
                among = Is(column, "in", self.parameters.add([_value(row, column, each) for each in known]))
                return among if known == operand else Either((among, Is(column, "is_unknown")))
            case "eq_" | "ne_" if _is_unknown(operand):
                unknown = Is(column, "is_unknown")
                return unknown if operator == "eq_" else Not(unknown)
            case _:
                return Is(column, OPERATORS[operator], self.parameters.add(_value(row, column, operand)))


def _given(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of an input that were given. A null is as good as absent, but not as an operand."""
    for field in get_object_definition(value, strict=True).fields:
        given = getattr(value, field.python_name)
        if given is None and field.python_name in OPERANDS:
            raise BadInput(f"{field.graphql_name} takes a value, not null. To find rows without one, use isNull.")
        if given is not None and given is not strawberry.UNSET:
            yield field.python_name, given


def _value(row: type[db.Row], column: str, operand: Any) -> Any:
    return ids.key_of(row, operand) if column == "id" else operand


def _is_unknown(operand: Any) -> bool:
    return isinstance(operand, db.Words) and operand.name == "UNKNOWN"


def _escaped(text: str) -> str:
    """The text as LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
