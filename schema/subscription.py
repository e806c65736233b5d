"""The root of the graph where subscriptions begin: rows that tell when they change."""

import sys
from collections.abc import AsyncIterator
from typing import Any, Optional

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

import db
from loaders.errors import BadInput
from loaders.relation import by_id
from resolvers.feed import Subscription as Changes
from schema import ids
from schema.edge import ToOne
from schema.field import Computed, RowField


class Updated(RowField):
    """The subscription to a row. Each event is a cursor and the row as it is by then."""

    def __init__(self, row: type[db.Row], description: str) -> None:
        super().__init__(
            type_annotation=StrawberryAnnotation(_event(row)), is_subscription=True, description=description
        )
        self.row = row
        self._arguments = [
            StrawberryArgument(
                "id", None, StrawberryAnnotation(strawberry.ID), description="The id, as `id` gives it."
            ),
            StrawberryArgument(
                "after",
                None,
                StrawberryAnnotation(Optional[str]),
                description="The cursor of the last event that you got: you are told if something happened since."
                " Without it, the first event comes at once, with the present state.",
                default=None,
            ),
        ]

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The events. Raises BadInput where there is no row that the viewer may see."""
        key = ids.key_of(self.row, kwargs["id"])
        if await info.context.loaders.get(self.row, key) is None:
            raise BadInput(f"There is no {ids.prefix(self.row)} with this id that you can see.")
        return Events(await info.context.feed.subscribe(ids.prefix(self.row), key, kwargs["after"]), key)


class Events:
    """The events of a subscription to a row, each the source of its fields. To be closed."""

    def __init__(self, changes: Changes, key: Any) -> None:
        self.changes = changes
        self.key = key

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return {"id": self.key, "cursor": await anext(self.changes)}

    async def aclose(self) -> None:
        """Come to an end."""
        await self.changes.aclose()


def _cursor(cursor: str) -> str:
    """What had happened by now. Give it as `after` when you subscribe again, and you miss nothing."""
    return cursor


def _event(row: type[db.Row]) -> type:
    """The type of the events of a class of rows."""
    name = f"{row.__name__}Updated"
    fields = {
        "cursor": Computed(_cursor, ("cursor",), str),
        ids.prefix(row): ToOne(by_id(row), "As it is now; null once you can see it no more."),
    }
    made = type(name, (), {"__module__": __name__, **fields})
    setattr(sys.modules[__name__], name, made)
    return strawberry.type(made, description=f"That a {ids.prefix(row)} was changed, by whatever program.")


def updated(row: type[db.Row], description: str) -> Any:
    """The root field that tells when a row of this class changes."""
    return Updated(row, description)


@strawberry.type(description="Where subscriptions begin.")
class Subscription:
    """Where subscriptions begin."""

    session_updated = updated(db.Session, "Tells when a session changes.")
    clone_updated = updated(db.Clone, "Tells when a clone changes.")
