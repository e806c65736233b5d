"""Input types that follow from the rows: how one is made, what they are made from, and what one says."""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import get_annotations
from typing import Any, NamedTuple, TypeVar

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

import db
from resolvers.idempotency import Request
from schema.field import RowField, Stored

Made = TypeVar("Made", bound=type)


def idempotency_key() -> Any:
    """The field of a mutation's idempotency key."""
    return strawberry.field(
        description="A new UUID for each thing that is to be done once. Send the same one to try again: nothing is"
        " done twice, and you get what came of it."
    )


class InputField(NamedTuple):
    """One field of an input type."""

    annotation: Any
    description: str
    name: str | None = None
    default: Any = strawberry.UNSET


def input_type(module: str, name: str, description: str, fields: Mapping[str, InputField]) -> type:
    """An input type, which the annotations of its module can name."""
    attributes = {
        key: strawberry.field(name=field.name, description=field.description, default=field.default)
        for key, field in fields.items()
    }
    annotations = {key: field.annotation for key, field in fields.items()}
    cls = type(name, (), {"__module__": module, "__annotations__": annotations, **attributes})
    made: type = strawberry.input(cls, description=description)
    setattr(sys.modules[module], name, made)
    return made


def input_of(row: type[db.Row], description: str) -> Callable[[Made], Made]:
    """Make a class an input type. Fields that are called like columns of a row are what these are."""

    def declare(cls: Made) -> Made:
        columns = row.__mapper__.columns
        for name in get_annotations(cls):
            default = vars(cls).get(name, strawberry.UNSET)
            if not isinstance(default, StrawberryField):
                given = {} if default is strawberry.UNSET else {"default": default}
                setattr(cls, name, strawberry.field(description=columns[name].doc, **given))
        return strawberry.input(cls, description=description)

    return declare


def changes(given: Any) -> dict[str, Any]:
    """The values of an input that were given, null among them, of those fields that may be left out."""
    values = {name: getattr(given, name) for name in get_annotations(type(given))}
    return {name: value.value for name, value in values.items() if isinstance(value, strawberry.Some)}


def request(mutation: str, given: Any) -> Request:
    """What a mutation with an idempotency key was sent with."""
    values: dict[str, Any] = strawberry.asdict(given)
    return Request(mutation, given.idempotency_key, values)


def fields_of(row: type[db.Row]) -> Iterator[RowField]:
    """The fields of the type that shows these rows."""
    shown = getattr(import_module(f"schema.{row.__module__.rpartition('.')[2]}"), row.__name__)
    definition = get_object_definition(shown, strict=True)
    return (field for field in definition.fields if isinstance(field, RowField))


def indexed_fields(row: type[db.Row]) -> Iterator[Stored]:
    """The stored fields that an index serves: those that can be filtered and sorted by."""
    return (field for field in fields_of(row) if isinstance(field, Stored) and field.column.info.get("indexed"))
