"""The root of the graph where subscriptions begin: rows that tell when they change, and answers as they are written."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Optional

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

import db
from loaders.columns import VIEWER_CAN_EDIT, VIEWER_CAN_SEE_PRIVATE
from loaders.errors import BadInput
from loaders.relation import by_id
from resolvers.feed import Subscription as Changes
from resolvers.message_stream import MessageStream, Part, may_read
from schema import ids
from schema.edge import ToOne, type_of
from schema.field import Computed, RowField


class Updated(RowField):
    """The subscription to a row. Each event is a cursor and the row as it is by then."""

    def __init__(self, row: type[db.Row], description: str) -> None:
        super().__init__(
            type_annotation=StrawberryAnnotation(_event(row)), is_subscription=True, description=description
        )
        self.row = row
        self._arguments = _arguments("id", "The id, as `id` gives it.")

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The events. Raises BadInput where there is no row that the viewer may see."""
        key = ids.key_of(self.row, kwargs["id"])
        if await info.context.loaders.get(self.row, key) is None:
            raise BadInput(f"There is no {ids.prefix(self.row)} with this id that you can see.")
        return Events(await info.context.feed.subscribe(ids.prefix(self.row), key, kwargs["after"]), key)


class Streamed(RowField):
    """The subscription to the answers in a session. Each event is a cursor, a reply, and what is new of its text."""

    def __init__(self, description: str) -> None:
        super().__init__(
            type_annotation=StrawberryAnnotation(MessageStreamed), is_subscription=True, description=description
        )
        self._arguments = _arguments("session_id", "The session.")

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The events. Raises BadInput where there is no session that the viewer may read."""
        context, key = info.context, ids.key_of(db.Session, kwargs["session_id"])
        if not await may_read(context, key):
            raise BadInput("There is no session with this id that you can read.")
        changes = await context.feed.subscribe(ids.prefix(db.Reply), key, kwargs["after"])
        return MessageStream(context.database, changes, key)


class Written(RowField):
    """A field of what is new of a reply. All of them are of the same moment: the reply is loaded once for an event."""

    columns = ("id", "part")

    def __init__(self, show: Callable[[Any, Part], Any], annotation: Any, description: str) -> None:
        super().__init__(type_annotation=StrawberryAnnotation(annotation), description=description)
        self.show = show

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function makes of the reply and of the part that the reader has; null where there is none."""
        key, part = (source[name] for name in self.columns)
        reply = None if key is None else await info.context.loaders.get(db.Reply, key, REPLY_COLUMNS)
        return self.show(reply, part)


REPLY_COLUMNS = (*db.Reply.columns(), VIEWER_CAN_EDIT, VIEWER_CAN_SEE_PRIVATE)


def _arguments(name: str, description: str) -> list[StrawberryArgument]:
    """The arguments of a subscription: what it is about, and from where on."""
    return [
        StrawberryArgument(name, None, StrawberryAnnotation(strawberry.ID), description=description),
        StrawberryArgument(
            "after",
            None,
            StrawberryAnnotation(Optional[str]),
            description="The cursor of the last event that you got: you are told if something happened since."
            " Without it, the first event comes at once, with the present state.",
            default=None,
        ),
    ]


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


@strawberry.type(description="That a clone has written on, or that something else has become of its answer.")
class MessageStreamed:
    """An event of `messageStream`."""

    cursor = Computed(_cursor, ("cursor",), str)
    reply = Written(
        lambda reply, part: reply, Optional[type_of(db.Reply)], "The answer as it is now; null while nothing was asked."
    )
    offset = Written(
        lambda reply, part: part.rest_of(reply).offset,
        int,
        "Where `delta` belongs, in Unicode characters: 0, or the end of what you have.",
    )
    delta = Written(
        lambda reply, part: part.rest_of(reply).words,
        Optional[str],
        "What is new of the text. All of it, where `offset` is 0: forget what you had. Null if you may not read it.",
    )


def updated(row: type[db.Row], description: str) -> Any:
    """The root field that tells when a row of this class changes."""
    return Updated(row, description)


@strawberry.type(description="Where subscriptions begin.")
class Subscription:
    """Where subscriptions begin."""

    session_updated = updated(db.Session, "Tells when a session changes.")
    clone_updated = updated(db.Clone, "Tells when a clone changes.")
    message_stream = Streamed(
        "Tells what the clone of a session answers, word for word, also when another node writes it. It does not end by"
        " itself. Only those who may read the session can subscribe."
    )
    operation_updated = updated(db.Operation, "Tells how far something is that is done at the AI provider.")
