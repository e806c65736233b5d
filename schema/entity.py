"""Entities: the types of the graph that show rows."""

from collections.abc import Callable
from inspect import cleandoc, get_annotations
from typing import Any, TypeVar
from uuid import UUID

import strawberry

import db
from loaders.columns import VIEWER_CAN_EDIT, VIEWER_CAN_SEE_PRIVATE
from schema import ids
from schema.field import Stored, computed

Shown = TypeVar("Shown", bound=type)


def entity(row: type[db.Row]) -> Callable[[Shown], Shown]:
    """Make a class the type that shows the rows of `row`.

    Its annotations are columns of the same names; its docstring is the type's description.
    """

    def declare(cls: Shown) -> Shown:
        for name in get_annotations(cls):
            if name not in vars(cls):
                setattr(cls, name, Stored(row, name))
        for name, field in _own_fields(row).items():
            setattr(cls, name, field)
        ids.register(row)
        shown: Shown = strawberry.type(cls, description=cleandoc(cls.__doc__ or ""))
        return shown

    return declare


def _own_fields(row: type[db.Row]) -> dict[str, Any]:
    """The fields that every entity has."""
    beginning = f"{ids.prefix(row)}_"

    def id_(key: UUID) -> strawberry.ID:
        """The id, by which `node` finds this again."""
        return beginning + key.hex  # type: ignore[return-value]  # to say that it is an ID is a call for each row

    fields = {
        "id": computed(id_, row.id),
        "uuid": computed(_uuid, row.id),
        "viewer_can_edit": computed(_viewer_can_edit, VIEWER_CAN_EDIT),
    }
    if any(column.info.get("private") for column in row.__mapper__.columns):
        fields["viewer_can_see_private"] = computed(_viewer_can_see_private, VIEWER_CAN_SEE_PRIVATE)
    return fields


def _uuid(key: UUID) -> UUID:
    """The key in the database, for those who join with SQL."""
    return key


def _viewer_can_edit(answer: bool) -> bool:
    """Whether you may change this."""
    return answer


def _viewer_can_see_private(answer: bool) -> bool:
    """Whether you can read the fields that are not for everybody."""
    return answer
