"""What a list can be sorted by: `CloneOrder` and its like, made from the indexed columns of the rows."""

from dataclasses import MISSING
from enum import Enum
from functools import cache
from typing import Any

import strawberry

import db
from loaders.errors import BadInput
from loaders.order import Key
from schema.inputs import InputField, indexed_fields, input_type

MOST_KEYS = 10


@strawberry.enum(description="Which way to sort.")
class OrderDirection(Enum):
    """Which way to sort."""

    ASC = strawberry.enum_value("asc", description="The smallest first.")
    DESC = strawberry.enum_value("desc", description="The largest first.")


@strawberry.enum(description="Where rows without a value stand.")
class NullsOrder(Enum):
    """Where rows without a value stand."""

    FIRST = strawberry.enum_value("first", description="Before all others.")
    LAST = strawberry.enum_value("last", description="After all others.")


@cache
def order_of(row: type[db.Row]) -> type:
    """The input type of an order of these rows."""
    values = {
        field.python_name.upper(): strawberry.enum_value(field.python_name, description=field.description)
        for field in indexed_fields(row)
    }
    values["ID"] = strawberry.enum_value("id", description="The id.")
    name = row.__name__
    names: type[Enum] = Enum(f"{name}OrderField", values, module=__name__)  # type: ignore[misc]
    field_enum = strawberry.enum(names, description=f"What {name} rows can be sorted by.")
    fields = {
        "field": InputField(field_enum, "What to sort by.", default=MISSING),
        "direction": InputField(OrderDirection, "Which way.", default=OrderDirection.ASC),
        "nulls": InputField(NullsOrder, "Where rows without a value stand.", default=NullsOrder.LAST),
    }
    return input_type(__name__, f"{name}Order", f"A way to sort {name} rows.", fields)


def read_order(given: list[Any] | None) -> tuple[Key, ...]:
    """The keys of a given order. Raises BadInput when they are too many."""
    if given and len(given) > MOST_KEYS:
        raise BadInput(f"Sort by {MOST_KEYS} things at most; these were {len(given)}.")
    return tuple(
        Key(
            each.field.value,
            descending=each.direction is OrderDirection.DESC,
            nulls_first=each.nulls is NullsOrder.FIRST,
        )
        for each in given or ()
    )
