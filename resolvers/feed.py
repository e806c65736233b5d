"""The feed: what changes in the database, told to those in this process who want to know.

Triggers write every change down in `events`. One listener for each process reads what is new there: what its last
snapshot of the database could not see, and the present one can. So nothing is missed when transactions commit in
another order than they began, and a long one holds nobody up. NOTIFY only says when to look.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import delete

from db import Event
from db.engine import Database
from db.errors import LOST_CONNECTION, DatabaseError, DatabaseUnavailable, ValueRefused
from db.event import CHANNEL
from resolvers.cursor import BadEventCursor, Cursor, CursorExpired

LOOK_EACH = 1.0
"""How late an event can be when nobody says that there is one, in seconds."""

LOOK_AT_MOST_EACH = 0.01
"""How long events that come one after the other are gathered, in seconds."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""How long it takes until a lost connection is replaced, in seconds."""

LONGEST_START = 5.0
"""How long a subscriber waits for the first look at the database, in seconds."""

CURSORS_KEPT, ROWS_KEPT = 2, 3
"""For how many windows. Who hears nothing for one is told again, so that nobody's last cursor is older than that."""

ROWS_AT_A_TIME = 1_000

PRESENT = "SELECT statement_timestamp() AS moment, pg_current_snapshot() AS present"
IS_NEW = """
    transaction_id >= pg_snapshot_xmin(past) AND transaction_id < pg_snapshot_xmax(present)
    AND NOT pg_visible_in_snapshot(transaction_id, past)
"""
NEW = f"""
    SELECT statement_timestamp() AS moment, present, kind, subject
    FROM pg_current_snapshot() AS present LEFT JOIN events ON {IS_NEW.replace("past", "$1")}
"""  # noqa: S608 (of our own words)
SINCE = f"""
    SELECT statement_timestamp(), present, EXISTS (
        SELECT FROM events WHERE kind = $2 AND subject = $3 AND {IS_NEW.replace("past", "$1")}
    ) FROM pg_current_snapshot() AS present
"""  # noqa: S608 (of our own words)

Subject = tuple[str, UUID]
"""What a row is called in `events`, and its key."""

log = structlog.get_logger()


class Subscription:
    """Cursors, one each time that a subject has changed. To be closed.

    It is about the present state: whatever happens while nobody asks for the next cursor is one change.
    """

    def __init__(self, feed: "Feed", subject: Subject) -> None:
        self.feed = feed
        self.subject = subject
        self._cursor: Cursor | None = None
        self._news = asyncio.Event()

    def tell(self, cursor: Cursor) -> None:
        """Something happened before this cursor was taken."""
        self._cursor = cursor
        self._news.set()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.feed.window):
                await self._news.wait()
        self._news.clear()
        cursor = self._cursor or self.feed.cursor
        self._cursor = None
        if cursor is None or not self.feed.knows(self):
            raise StopAsyncIteration
        return cursor.encode()

    async def aclose(self) -> None:
        """Come to an end."""
        self.feed.leave(self)
        self._news.set()


class Feed:
    """Tells of changes in the database, for as long as it runs.

    window: how long a subscriber may be away and miss nothing, in seconds.
    """

    def __init__(self, database: Database, *, window: float = 600) -> None:
        self.database = database
        self.window = window
        self.cursor: Cursor | None = None
        self.tell_others: Callable[[], None] | None = None
        self._subscriptions: dict[Subject, set[Subscription]] = {}
        self._past: deque[Cursor] = deque()
        self._word = asyncio.Event()
        self._looked = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Listen no more, and let every subscription end."""
        for task in (self._running, self._forgetting):
            if task:
                task.cancel()
                await asyncio.wait((task,))
        for subscription in self._everybody():
            await subscription.aclose()

    def wake(self) -> None:
        """Look at once."""
        self._word.set()

    def changed(self) -> None:
        """Look at once, and let the other nodes do so: something was committed here."""
        self.wake()
        if self.tell_others:
            self.tell_others()

    async def subscribe(self, kind: str, key: UUID, after: str | None = None) -> Subscription:
        """A subscription to a row, which begins at once with its present state.

        after: a cursor, to begin with what happened since. Raises BadEventCursor, and CursorExpired when nobody knows.
        """
        since = None if after is None else Cursor.decode(after)
        try:
            async with asyncio.timeout(LONGEST_START):
                await self._looked.wait()
        except TimeoutError:
            raise DatabaseUnavailable from None
        subscription = Subscription(self, (kind, key))
        # First: what is committed from now on is told, whether or not the statement sees it.
        self._subscriptions.setdefault(subscription.subject, set()).add(subscription)
        try:
            await self._begin(subscription, since)
        except BaseException:
            self.leave(subscription)
            raise
        return subscription

    def knows(self, subscription: Subscription) -> bool:
        """Whether a subscription goes on."""
        return subscription in self._subscriptions.get(subscription.subject, ())

    def leave(self, subscription: Subscription) -> None:
        """End a subscription."""
        others = self._subscriptions.get(subscription.subject, set())
        others.discard(subscription)
        if not others:
            self._subscriptions.pop(subscription.subject, None)

    async def _begin(self, subscription: Subscription, since: Cursor | None) -> None:
        """Tell a new subscription what happened since, or else the present state."""
        try:
            rows = await self.database.primary.fetch(SINCE, [since and since.snapshot, *subscription.subject])
        except ValueRefused as error:
            raise BadEventCursor from error
        moment, present, is_changed = rows[0]
        cursor = Cursor.at(moment, present)
        if since and since.is_older(cursor, CURSORS_KEPT * self.window):
            raise CursorExpired
        if since is None or is_changed:
            subscription.tell(cursor)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await self.database.connect()
                try:
                    await self._listen(connection)
                    while True:
                        self._word.clear()
                        await self._look(connection)
                        pause = FIRST_PAUSE
                        await self._rest()
                finally:
                    connection.terminate()
            except Exception as error:  # whatever it is, subscribers wait for us to go on
                if pause == FIRST_PAUSE:
                    known = isinstance(error, (*LOST_CONNECTION, asyncpg.InterfaceError, DatabaseError, TimeoutError))
                    log.warning("feed_interrupted", reason=str(error) or type(error).__name__, exc_info=not known)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        connection.add_termination_listener(lambda _: self.wake())
        if not self.database.pooler:
            await connection.add_listener(CHANNEL, lambda *_: self.wake())

    async def _rest(self) -> None:
        await asyncio.sleep(LOOK_AT_MOST_EACH)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EACH):
                await self._word.wait()

    async def _look(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Tell what is new."""
        past = self.cursor
        news: list[Subscription] = []
        if past is None or not self._subscriptions:
            row = await connection.fetchrow(PRESENT)
            if self._subscriptions:
                return  # They came while we looked away: for them, what is new begins at our last cursor.
        else:
            async with connection.transaction(readonly=True):
                async for row in connection.cursor(NEW, past.snapshot, prefetch=ROWS_AT_A_TIME):
                    news += self._subscriptions.get((row["kind"], row["subject"]), ())
        cursor = Cursor.at(row["moment"], row["present"])
        if past and past.is_older(cursor, CURSORS_KEPT * self.window):
            news = self._everybody()
        self.cursor = cursor
        self._looked.set()
        for subscription in news:
            subscription.tell(cursor)
        self._remember(cursor)

    def _everybody(self) -> list[Subscription]:
        return [each for those in self._subscriptions.values() for each in those]

    def _remember(self, cursor: Cursor) -> None:
        """Keep a cursor now and then, to forget the events before it when it is old."""
        if not self._past or self._past[-1].is_older(cursor, self.window / 4):
            self._past.append(cursor)
        if self._past[0].is_older(cursor, ROWS_KEPT * self.window) and not self._forgetting:
            self._forgetting = asyncio.create_task(self._forget(self._past.popleft()))

    async def _forget(self, cursor: Cursor) -> None:
        try:
            async with self.database.write() as tx:
                await tx.execute(delete(Event).where(Event.transaction_id < cursor.snapshot[0]))
        except Exception as error:  # noqa: BLE001 (the next time will do)
            log.warning("events_not_forgotten", reason=str(error) or type(error).__name__)
        finally:
            self._forgetting = None
