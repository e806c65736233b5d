"""Global ids: a readable prefix for the type, and the key. `clone_0b7e...` is the id of a Clone."""

import re
from functools import cache
from uuid import UUID

from db import Row
from loaders.errors import BadInput

_PREFIXES: dict[str, type[Row]] = {}


@cache
def prefix(row: type[Row]) -> str:
    """What the ids of a class of rows begin with."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", row.__name__).lower()


def register(row: type[Row]) -> None:
    """Make ids of this class known."""
    _PREFIXES[prefix(row)] = row


def global_id(row: type[Row], key: UUID) -> str:
    """The global id of a row."""
    return f"{prefix(row)}_{key.hex}"


def parse(text: str) -> tuple[type[Row], UUID]:
    """The class and the key of a global id. Raises BadInput when it is none."""
    kind, _, key = text.rpartition("_")
    if kind in _PREFIXES:
        try:
            return _PREFIXES[kind], UUID(key)
        except ValueError:
            pass
    raise BadInput(f"{text!r} is not an id. Ids are opaque: take them from the field id of a query.")


def key_of(row: type[Row], text: str) -> UUID:
    """The key in an id of this class. Raises BadInput for an id of another class."""
    found, key = parse(text)
    if found is not row:
        raise BadInput(f"{text!r} is the id of a {found.__name__}; the id of a {row.__name__} belongs here.")
    return key
