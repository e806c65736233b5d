"""Visits: sessions as they come about, with what they cost, and the rows they leave behind."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from uuid import UUID

import db
from db import EndReason, SenderType, SessionStatus, SessionType
from db.demo.batch import Batch
from db.demo.cast import Person
from db.demo.chance import Dice, remote_id, stable_id
from db.demo.clock import MINUTE
from db.demo.content import names
from db.demo.ledger import rounded
from db.demo.market import NEUTRAL, Clone
from db.demo.provider import MODELS
from db.demo.talk import Message, talk

TICK = timedelta(seconds=3)
"""Sessions last a whole number of ticks, because a twentieth of a minute is exact in decimals and a second is not."""

SECONDS = 60
"""In a minute."""

KINDS = {SessionType.CHAT: 70, SessionType.VOICE: 20, SessionType.VIDEO: 10}
APPS = ("web", "ios", "android")


@dataclass(frozen=True)
class Visit:
    """One session of a person with a clone."""

    person: Person
    clone: Clone
    start: datetime
    kind: SessionType
    status: SessionStatus
    is_demo: bool
    messages: list[Message]
    talked: timedelta
    """The time that is paid for."""
    paused: timedelta
    """The time that is not, always at the end."""
    app: str
    rating: int | None = None
    feedback: str | None = None
    is_shared: bool = False
    ran_out: bool = False
    """Whether it ended because the credits did."""
    refund: Decimal = Decimal(0)

    @cached_property
    def id(self) -> UUID:
        """The key of its row."""
        return stable_id(self.start, "session", self.person.key)

    @property
    def settled_at(self) -> datetime:
        """When its time was charged: at its end, or for an open one after its last message."""
        return self.start + self.talked + (self.paused if self.end else timedelta())

    @property
    def end(self) -> datetime | None:
        """When it ended."""
        return self.start + self.talked + self.paused if self.status is SessionStatus.ENDED else None

    @property
    def end_reason(self) -> EndReason | None:
        """Why it ended."""
        if not self.end:
            return None
        return EndReason.CREDITS_EXHAUSTED if self.ran_out else EndReason.USER

    @property
    def minutes(self) -> Decimal:
        """The minutes that are paid for."""
        return Decimal(self.talked // TICK) / Decimal(MINUTE // TICK)

    @property
    def time_cost(self) -> Decimal:
        """What the minutes cost."""
        return Decimal(0) if self.is_demo else rounded(self.minutes * self.clone.text.price)

    @property
    def cost(self) -> Decimal:
        """What everything cost, before a refund."""
        return self.time_cost + sum(message.cost for message in self.messages)

    @property
    def replies(self) -> list[int]:
        """The numbers of the answers that are kept with how they came about: those that others see, or that are new."""
        if not self.is_shared and self.end:
            return []
        return [number for number, message in enumerate(self.messages) if message.sender is SenderType.AI]

    def message_id(self, number: int) -> UUID:
        """The key of a message's row."""
        return stable_id(self.start + self.messages[number].after, "message", self.id, number)

    def cut(self, balance: Decimal) -> "Visit | None":
        """The visit as far as a balance reaches; None if it does not reach the first answer."""
        if self.cost <= balance:
            return self
        payable = None
        for number, message in enumerate(self.messages):
            if message.sender is SenderType.AI:
                shorter = replace(self, messages=self.messages[: number + 1], talked=_until(message))
                if shorter.cost > balance:
                    break
                payable = shorter
        return payable and payable._stretched(balance, self.talked)

    def _stretched(self, balance: Decimal, longest: timedelta) -> "Visit":
        """The person stays until the credits are used up, and then the session ends."""
        ticks = (balance - self.cost) / self.clone.text.price * (MINUTE // TICK)
        talked = min(self.talked + int(ticks) * TICK, longest)
        return replace(self, talked=talked, status=SessionStatus.ENDED, ran_out=True, rating=None, feedback=None)


def visit(person: Person, clone: Clone, start: datetime, status: SessionStatus, chance: Dice) -> Visit:
    """A session that begins at a given time, told to its end or to the present state."""
    is_over = status is SessionStatus.ENDED
    is_demo = is_over and chance.maybe(0.06)
    kind = chance.weighed(KINDS)
    messages = talk(clone, chance, is_free=is_demo, pace=1 if kind is SessionType.CHAT else 1.5)
    rating = chance.choices((1, 2, 3, 4, 5), clone.stars)[0] if is_over and not is_demo and chance.maybe(0.45) else None
    return Visit(
        person=person,
        clone=clone,
        start=start,
        kind=kind,
        status=status,
        is_demo=is_demo,
        messages=messages,
        talked=_until(messages[-1]) + (chance.randint(2, 30) * TICK if is_over else timedelta()),
        paused=chance.randint(1, 8) * MINUTE if is_over and chance.maybe(0.05) else timedelta(),
        app=chance.choice(APPS),
        rating=rating,
        feedback=_feedback(rating, chance) if rating and chance.maybe(0.4) else None,
        is_shared=is_over and chance.maybe(0.2),
    )


def _until(message: Message) -> timedelta:
    """The first tick after a message."""
    return (message.after // TICK + 1) * TICK


def _feedback(rating: int, chance: Dice) -> str:
    return chance.choice(names().praise if rating > NEUTRAL else names().complaints)


def add_visit(batch: Batch, visit: Visit) -> None:
    """Add the rows of a session, its messages and their sources."""
    batch.add(
        db.Session,
        id=visit.id,
        user_id=visit.person.id,
        clone_id=visit.clone.id,
        session_type=visit.kind,
        status=visit.status,
        start_time=visit.start,
        end_time=visit.end,
        duration_minutes=visit.minutes,
        rate_per_minute=visit.clone.text.price,
        total_cost=visit.cost - visit.refund,
        message_count=len(visit.messages),
        user_rating=visit.rating,
        user_feedback=visit.feedback,
        demo_mode=visit.is_demo,
        session_metadata={"app": visit.app},
        created_at=visit.start,
        updated_at=visit.settled_at,
        transcript_shared_at=visit.end if visit.is_shared else None,
        last_active_at=visit.end or visit.settled_at,
        metered_until=visit.settled_at if visit.status is SessionStatus.ACTIVE else None,
        billable_seconds=visit.minutes * SECONDS,
        time_cost=visit.time_cost,
        end_reason=visit.end_reason,
    )
    for number, message in enumerate(visit.messages):
        _add_message(batch, visit, message, visit.message_id(number))
    for number in visit.replies:
        _add_reply(batch, visit, number)


def _add_message(batch: Batch, visit: Visit, message: Message, message_id: UUID) -> None:
    batch.add(
        db.Message,
        id=message_id,
        session_id=visit.id,
        sender_type=message.sender,
        content=message.words,
        context_used="\n\n".join(cited.passage.words for cited in message.cites) or None,
        cost_increment=message.cost,
        tokens_used=message.tokens,
        source_notes=[{"title": cited.text.title, "section": cited.passage.heading} for cited in message.cites],
        attachments=[],
        created_at=visit.start + message.after,
    )
    if not visit.clone.domain:
        return
    for rank, cited in enumerate(message.cites, 1):
        editions = visit.clone.domain.documents[cited.text.slug]
        batch.add(
            db.MessageSource,
            id=stable_id(visit.start + message.after, "source", message_id, rank),
            message_id=message_id,
            document_id=editions[message_id.int % len(editions)].id,
            rank=rank,
            score=round(1 - rank * 0.11 - message_id.int % 97 / 1000, 3),
            passage=cited.passage.words,
        )


def _add_reply(batch: Batch, visit: Visit, number: int) -> None:
    """Add how the answer of this number came about."""
    question, answer = visit.messages[number - 1 : number + 1]
    message_id = visit.message_id(number)
    batch.add(
        db.Reply,
        id=stable_id(visit.start + question.after, "reply", message_id),
        session_id=visit.id,
        question_id=visit.message_id(number - 1),
        message_id=message_id,
        status=db.ReplyStatus.DONE,
        content=answer.words,
        provider="openai",
        model=MODELS[0],
        is_generated=True,
        response_id=remote_id("resp_", message_id),
        attempts=1,
        due_at=None,
        fence=1,
        created_at=visit.start + question.after,
        updated_at=visit.start + answer.after,
    )
