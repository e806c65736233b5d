"""Cursors of subscriptions: what had happened when an event was told."""

import base64
import binascii
from datetime import datetime
from typing import NamedTuple

import orjson

from loaders.errors import BadInput

Snapshot = tuple[int, int, tuple[int, ...]]
"""PostgreSQL's pg_snapshot: the first transaction that was not over, the first that had not begun, and those in
between that were not over."""

VERSION = 1
MOST_LISTED = 200


class BadEventCursor(BadInput):
    """This is not a cursor of a subscription. Take it from the field `cursor` of an event."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class CursorExpired(BadInput):
    """The cursor is too old to tell what was missed. Subscribe without `after`, which begins with the present state."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Cursor(NamedTuple):
    """A snapshot of the database, and when it was taken, in milliseconds of Unix time."""

    snapshot: Snapshot
    taken: int

    @classmethod
    def at(cls, moment: datetime, snapshot: Snapshot) -> "Cursor":
        """The cursor for a snapshot."""
        return cls(snapshot, int(moment.timestamp() * 1000))

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The cursor that a client sends back. Raises BadEventCursor."""
        try:
            version, *numbers = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            taken, first, last, *running = numbers
        except (binascii.Error, ValueError, TypeError) as error:
            raise BadEventCursor from error
        if version != VERSION or len(running) > MOST_LISTED or not all(type(each) is int for each in numbers):
            raise BadEventCursor
        return cls((first, last, tuple(running)), taken)

    def encode(self) -> str:
        """The text of it, for a client: never long, even if what was over must then count as not over."""
        first, last, running = self.snapshot
        if len(running) > MOST_LISTED:
            last, running = first, ()
        text = orjson.dumps([VERSION, self.taken, first, last, *running])
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    def is_older(self, than: "Cursor", seconds: float) -> bool:
        """Whether more than so many seconds passed between the two, or they are of two different databases."""
        return than.taken - self.taken > seconds * 1000 or than.snapshot[1] < self.snapshot[1]
