"""Drafts: replies that a worker of this process writes.

Whoever takes a reply up has it for LEASE seconds, prolongs that with everything that it writes, and writes with the
number that it got (`fence`). So a worker that was away for too long can write nothing any more: another one has begun.
"""

# ruff: noqa: S608 (all words in the statements are our own)

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog

from db import SenderType, SessionStatus
from db.errors import ConstraintViolated, DatabaseBusy, DatabaseUnavailable
from resolvers.citation import clean, sources
from resolvers.message import LONGEST_CONTENT, LONGEST_CONTEXT, Record, keep
from resolvers.metering import NOTHING, Meter
from resolvers.provisioning.provider import Answer
from resolvers.services import Services

LEASE = 30.0
"""How long a reply belongs to a worker that writes nothing more, in seconds."""

BEAT = 5.0
"""How often a worker that has nothing to write says so, in seconds."""

WRITE_EACH = 0.15
"""How often what is written is shown, in seconds."""

PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)
"""How long to wait before what must be written is tried again, in seconds. Together less than a lease."""

CLAIM = """
    UPDATE replies SET fence = fence + 1, status = 'answering', due_at = clock_timestamp() + make_interval(secs => $2)
    WHERE id IN (
        SELECT id FROM replies WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, session_id, fence, provider, response_id, attempts, content AS text,
        extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
"""
OURS = "replies.id = $1 AND replies.fence = $2 AND replies.status = 'answering'"
SHOW = "content = $3, edition = edition + (NOT starts_with($3, content))::integer"
BEGIN = f"""
    UPDATE replies SET {SHOW}, provider = $4, response_id = $5, is_generated = $6, attempts = attempts + 1,
        due_at = clock_timestamp() + make_interval(secs => $7)
    WHERE {OURS} RETURNING true
"""
WRITE = f"""
    UPDATE replies SET {SHOW}, due_at = clock_timestamp() + make_interval(secs => $4) FROM sessions
    WHERE {OURS} AND sessions.id = session_id RETURNING sessions.status = 'ended' AS is_over
"""
POSTPONE = f"""
    UPDATE replies SET status = CASE WHEN response_id IS NULL THEN 'pending' ELSE status END,
        due_at = clock_timestamp() + make_interval(secs => $3)
    WHERE {OURS}
"""
GIVE_UP = f"""
    UPDATE replies SET {SHOW}, status = $4, error_code = $5, error_message = $6, is_retryable = $7, due_at = NULL
    WHERE {OURS}
"""
FINISH = f"""
    UPDATE replies SET {SHOW}, status = 'done', message_id = $4, provider = $5, response_id = $6, is_generated = $7,
        model = $8, due_at = NULL
    WHERE {OURS} RETURNING true
"""

log = structlog.get_logger()


class Lost(Exception):
    """Another worker has the reply, or it is there no more."""


class Over(Exception):
    """The session has ended."""


@dataclass
class Draft:
    """A reply as it was when it was taken up, and what is written of it.

    age: how long ago it was asked for then, in seconds.
    """

    services: Services
    id: UUID
    session_id: UUID
    fence: int
    provider: str | None
    response_id: str | None
    attempts: int
    text: str
    age: float
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """How long ago it was asked for, in seconds."""
        return self.age + monotonic() - self._since

    def add(self, words: str) -> None:
        """Go on with the text. It is shown a moment later."""
        self.text += clean(words)
        self._news.set()

    async def begin(self, response_id: str) -> None:
        """Note under which id the provider answers, before anything of it is shown. Raises Lost."""
        self.text, self.provider, self.response_id = "", self.services.provider.name, response_id
        provider = self.services.provider
        await self._must(BEGIN, self.text, provider.name, response_id, provider.is_generative, LEASE)
        self.attempts += 1

    def end(self) -> None:
        """Show no more."""
        self._ended.set()
        self._news.set()

    async def show(self) -> None:
        """Show what is written, again and again, until `end`. Raises Lost, and Over."""
        while not self._ended.is_set():
            await _wait(self._news, BEAT)
            if self._ended.is_set():
                return
            self._news.clear()
            try:
                row = await self._write(WRITE, self.text, LEASE)
            except (DatabaseUnavailable, DatabaseBusy) as error:
                log.warning("reply_not_shown", reply=str(self.id), reason=str(error))
                self._news.set()
            else:
                if row is None:
                    raise Lost
                if row["is_over"]:
                    raise Over
            await _wait(self._ended, WRITE_EACH)

    async def postpone(self, seconds: float) -> None:
        """Let it be taken up again, by any worker."""
        await self._write(POSTPONE, seconds)

    async def cancel(self) -> None:
        """Give it up, since the session has ended."""
        await self._write(GIVE_UP, "", "cancelled", None, None, False)

    async def fail(self, code: str, message: str, *, is_retryable: bool) -> None:
        """Give it up, and say why."""
        await self._write(GIVE_UP, "", "failed", code, message, is_retryable)

    async def finish(self, clone_id: UUID, answer: Answer) -> None:
        """Make it a message, and charge that, in one transaction. Raises Lost, and Over."""
        for pause in (*PAUSES, None):
            try:
                await self._finish(clone_id, answer)
            except (DatabaseUnavailable, DatabaseBusy, ConstraintViolated):  # a document was deleted at this moment
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                self.services.feed.changed()
                return

    async def _finish(self, clone_id: UUID, answer: Answer) -> None:
        text, message_id, provider = clean(answer.text)[:LONGEST_CONTENT], uuid4(), self.services.provider
        async with self.services.database.write() as tx:
            meter = await Meter.lock(tx, self.services.terms, self.session_id)
            if meter is None:
                raise Lost
            if meter.status not in (SessionStatus.ACTIVE, SessionStatus.PAUSED):
                raise Over
            await meter.run(meter.now)
            message = Record(
                session_id=self.session_id,
                sender_type=SenderType.AI,
                content=text,
                context_used=clean("\n\n".join(each.text for each in answer.passages))[:LONGEST_CONTEXT] or None,
                input_tokens=answer.input_tokens,
                output_tokens=answer.output_tokens,
                sources=await sources(tx, provider.name, clone_id, answer.passages),
            )
            await keep(meter, message, message_id, affordable(meter, message))
            if not await tx.row(
                FINISH,
                *(self.id, self.fence, text, message_id),
                *(provider.name, answer.response_id, provider.is_generative, answer.model),
            ):
                raise Lost

    async def _must(self, statement: str, *values: Any) -> None:
        """Write, though the database may be away for a moment. Raises Lost."""
        for pause in (*PAUSES, None):
            try:
                row = await self._write(statement, *values)
            except (DatabaseUnavailable, DatabaseBusy):
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                if row is None:
                    raise Lost
                return

    async def _write(self, statement: str, *values: Any) -> asyncpg.Record | None:
        async with self.services.database.write() as tx:
            row = await tx.row(statement, self.id, self.fence, *values)
        self.services.feed.changed()
        return row


def affordable(meter: Meter, message: Record) -> Decimal:
    """What an answer costs: its price, as far as the balance reaches. What it does not reach for is nobody's debt."""
    if meter.demo_mode:
        return NOTHING
    price = meter.terms.price_of_message(message.input_tokens, message.output_tokens)
    cost = max(min(price, meter.balance), NOTHING)
    meter.unpaid += price - cost
    return cost


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until something happens, or for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def claim(services: Services, most: int) -> list[Draft]:
    """Replies that are due, for this worker alone."""
    async with services.database.write() as tx:
        rows = await tx.fetch(CLAIM, most, LEASE)
    return [Draft(services, **row) for row in rows]
