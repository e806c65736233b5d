"""Input types that follow from the rows: how one is made, and what they are made from."""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import strawberry
from strawberry.types.base import get_object_definition

import db
from schema.field import RowField, Stored


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


def fields_of(row: type[db.Row]) -> Iterator[RowField]:
    """The fields of the type that shows these rows."""
    shown = getattr(import_module(f"schema.{row.__module__.rpartition('.')[2]}"), row.__name__)
    definition = get_object_definition(shown, strict=True)
    return (field for field in definition.fields if isinstance(field, RowField))


def indexed_fields(row: type[db.Row]) -> Iterator[Stored]:
    """The stored fields that an index serves: those that can be filtered and sorted by."""
    return (field for field in fields_of(row) if isinstance(field, Stored) and field.column.info.get("indexed"))
