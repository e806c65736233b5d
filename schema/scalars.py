"""Scalars: values that travel as one JSON value."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NewType
from uuid import UUID

import strawberry
from strawberry.schema.types.base_scalars import DateTimeDefinition, DecimalDefinition, UUIDDefinition

from resolvers.upload import Upload

BigInt = NewType("BigInt", int)
JSON = NewType("JSON", object)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"BigInt must be a whole number, and was {value!r}.")  # noqa: TRY004 (what graphql-core expects)
    return value


def _file(value: Any) -> Upload:
    if not isinstance(value, Upload):
        raise ValueError("Upload must be a file of a multipart request, which the variable stands for as null.")  # noqa: TRY004
    return value


SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment, as RFC 3339 in UTC: `2026-11-01T09:30:00Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_rfc3339,
        parse_value=DateTimeDefinition.parse_value,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="An exact number, as a string: `12.3400`. Credits and prices are of this kind.",
        serialize=_plain,
        parse_value=DecimalDefinition.parse_value,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="A key of the database: `0b7e4c1a-5d2f-4f9e-8a3b-2c6d7e8f9a0b`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=UUIDDefinition.parse_value,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number that can be larger than an `Int`.",
        serialize=_integer,
        parse_value=_integer,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, for data whose form is its owner's business.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
    Upload: strawberry.scalar(
        name="Upload",
        description="A file, sent beside the operation as `multipart/form-data`. Only a variable can stand for it.",
        specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
        serialize=str,
        parse_value=_file,
    ),
}
"""How each Python type travels."""
