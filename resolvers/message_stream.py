"""The message stream of a session: what is new of the answers in it, for one who reads along.

What a reader has is known by its length alone: as long as a text goes on, its beginning stays what it was. Where it is
begun anew, its edition is another one. The words are looked up for each event, by what the reader may see by then.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select, true

from db import Session, ViewerKind
from db.engine import Database
from db.errors import DatabaseBusy, DatabaseUnavailable
from db.session import reads_session
from db.statement import Statement, compiled
from resolvers.context import Context
from resolvers.feed import Subscription

PAUSE = 0.5
"""How long it takes until a database that is away is asked again, in seconds."""

REPLIES = """
    SELECT id, created_at, edition, char_length(content), status FROM replies
    WHERE session_id = $1
        AND created_at >= coalesce($2, (SELECT max(created_at) FROM replies WHERE session_id = $1))
    ORDER BY created_at, id
"""
"""The reply that was told last, and those after it; the last one for a reader to whom none was told."""


class Rest(NamedTuple):
    """What is new of a text, if it can be read, and where it belongs: 0, or the end of what was told before."""

    offset: int = 0
    words: str | None = None


@dataclass(eq=False)
class Part:
    """What a reader has of a reply's text: so much of one edition. told: what the reader has after this event."""

    edition: int = 0
    length: int = 0
    told: "Part | None" = None

    def rest_of(self, reply: Mapping[str, Any] | None) -> Rest:
        """What is new for the reader."""
        if reply is None or reply["content"] is None:
            return Rest()
        text: str = reply["content"]
        offset = self.length if reply["edition"] == self.edition else 0
        self.told = Part(reply["edition"], len(text))
        return Rest(offset, text[offset:])


class MessageStream:
    """Events, each the source of its fields: a reply, and which part of its text the reader has. To be closed."""

    def __init__(self, database: Database, changes: Subscription, session_id: UUID) -> None:
        self.database = database
        self.changes = changes
        self.session_id = session_id
        self._events: deque[dict[str, Any]] = deque()
        self._last: Any = None
        self._part = Part()
        self._cursor: str | None = None

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if not self._events:
            cursor = await anext(self.changes)
            self._events.extend(self._new(await self._replies(), cursor))
        return self._events.popleft()

    async def aclose(self) -> None:
        """Come to an end."""
        await self.changes.aclose()

    async def _replies(self) -> list[Any]:
        since = self._last and self._last["created_at"]
        while True:
            try:
                return await self.database.primary.fetch(REPLIES, [self.session_id, since])
            except (DatabaseUnavailable, DatabaseBusy):
                await asyncio.sleep(PAUSE)

    def _new(self, replies: list[Any], cursor: str) -> Iterator[dict[str, Any]]:
        """An event for each reply that is new or has changed; one at least, which tells the cursor.

        Only the last one has this cursor: who goes on from one of the others is told again what came after it.
        """
        before, self._cursor = self._cursor or cursor, cursor
        if not replies:
            yield {"id": None, "cursor": cursor, "part": Part()}
        for reply in replies:
            is_last = reply is replies[-1]
            if self._last is None or self._last["id"] != reply["id"]:
                self._part = Part()
            elif self._last == reply and not is_last:
                continue
            self._last, self._part = reply, self._part.told or self._part
            yield {"id": reply["id"], "cursor": cursor if is_last else before, "part": self._part}


async def may_read(context: Context, session_id: UUID) -> bool:
    """Whether the viewer reads what is said in a session."""
    viewer = context.viewer
    if viewer.kind is ViewerKind.ANONYMOUS:
        return False
    statement = _readable(viewer.kind)
    values = {"id": session_id, "viewer_id": viewer.id}
    return bool(await context.database.primary.fetch(statement.text, statement.arguments(values)))


@cache
def _readable(kind: ViewerKind) -> Statement:
    """The session with the parameter `id`, if a viewer of this kind reads it."""
    sees_all = kind in (ViewerKind.ADMIN, ViewerKind.SERVICE)
    return compiled(
        select(Session.id).where(
            Session.id == bindparam("id", type_=Uuid()), true() if sees_all else reads_session(Session.id, kind)
        )
    )
