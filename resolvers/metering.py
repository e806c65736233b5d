"""Metering: the time of a session turned into charges, in small pieces, each of them once.

A session knows up to when it is charged (`metered_until`), how many seconds that came to (`billable_seconds`) and what
they cost (`time_cost`). To charge it further is to work out what all seconds cost, and to charge the difference: so
the pieces, each rounded, never add up to anything but the whole, rounded.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select, true

from db import CreditEntryKind, EndReason, Scope, Session, SessionStatus, User, Viewer, ViewerKind
from db.base import Condition
from db.engine import Database
from db.statement import Statement, compiled
from db.transaction import Transaction
from resolvers.credits import Movement, move
from resolvers.permissions import editable
from resolvers.problems import SessionElsewhere
from resolvers.terms import MINUTE, Terms, price_of_time

NOTHING: Final = Decimal(0)
MICROSECOND: Final = Decimal("0.000001")

SAVE = """
    UPDATE sessions SET status = $2, end_time = $3, end_reason = $4, last_active_at = $5, metered_until = $6,
        billable_seconds = $7, duration_minutes = round($7::numeric / 60, 4), time_cost = $8, total_cost = $9,
        message_count = message_count + $10
    WHERE id = $1
"""


@cache
def _locking(kind: ViewerKind, *, is_by_scope: bool) -> Statement:
    """The session with the parameter `id`, if the viewer may change it, and the account that pays for it, locked."""
    scopes = frozenset({Scope.SESSIONS}) if is_by_scope else frozenset()
    return _locked(editable(Session, Viewer(kind, scopes=scopes), Scope.SESSIONS))


@cache
def _locking_any() -> Statement:
    """The same, whoever it belongs to."""
    return _locked(true())


def _locked(rule: Condition) -> Statement:
    return compiled(
        select(
            *(getattr(Session, name) for name in COLUMNS),
            User.credits_remaining.label("balance"),
            func.greatest(
                func.clock_timestamp(), Session.start_time, Session.last_active_at, Session.metered_until
            ).label("now"),
        )
        .join(User, User.id == Session.user_id)
        .where(Session.id == bindparam("id", type_=Uuid()), rule)
        .with_for_update(key_share=True, of=(Session, User))
    )


LOCK_IF_FREE = "SELECT FROM sessions WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED"

COLUMNS: Final = (
    "id",
    "user_id",
    "clone_id",
    "status",
    "demo_mode",
    "start_time",
    "end_time",
    "rate_per_minute",
    "total_cost",
    "end_reason",
    "user_rating",
    "last_active_at",
    "metered_until",
    "billable_seconds",
    "time_cost",
)


@dataclass(slots=True)
class Meter:
    """The meter of a session that is locked, with the account that pays for it.

    now: the database's clock, when both were locked; it never goes back, even if the machine's does.
    balance: in credits. unpaid: what the balance did not reach for.
    """

    tx: Transaction
    terms: Terms
    id: UUID
    user_id: UUID
    clone_id: UUID
    status: str
    demo_mode: bool
    start_time: datetime
    end_time: datetime | None
    rate_per_minute: Decimal | None
    total_cost: Decimal | None
    end_reason: str | None
    user_rating: int | None
    last_active_at: datetime | None
    metered_until: datetime | None
    billable_seconds: Decimal
    time_cost: Decimal
    balance: Decimal
    now: datetime
    unpaid: Decimal = NOTHING
    new_messages: int = 0

    @classmethod
    async def lock(cls, tx: Transaction, terms: Terms, id_: UUID, viewer: Viewer | None = None) -> "Meter | None":
        """The meter of a session; None where there is none.

        viewer: for whom there is only what the viewer may change. Raises Forbidden where that can be nothing.
        """
        statement = _locking(viewer.kind, is_by_scope=Scope.SESSIONS in viewer.scopes) if viewer else _locking_any()
        row = await tx.row(statement.text, *statement.arguments({"id": id_, "viewer_id": viewer and viewer.id}))
        return cls(tx, terms, **row) if row else None

    @property
    def rate(self) -> Decimal:
        """What a minute costs, in credits: nothing in a demonstration."""
        return NOTHING if self.demo_mode or self.rate_per_minute is None else self.rate_per_minute

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or could."""
        return self.status != SessionStatus.ENDED

    def require_ours(self, *path: str) -> None:
        """Raise SessionElsewhere if another program keeps the session."""
        if self.last_active_at is None:
            raise SessionElsewhere(*path)

    @property
    def minute_to_go(self) -> Decimal:
        """What it takes to go on to the end of the minute that has begun, in credits."""
        begun = (self.billable_seconds // MINUTE + 1) * MINUTE
        return price_of_time(begun, self.rate) - self.time_cost

    @property
    def is_used_up(self) -> bool:
        """Whether it was a demonstration, and its time is up."""
        return self.demo_mode and self.billable_seconds >= _seconds(self.terms.demo_length)

    async def run(self, until: datetime) -> None:
        """Charge the time until a moment, as far as the balance reaches; the rest is `unpaid`, and nobody's debt."""
        if self.metered_until is None:
            if self.status == SessionStatus.ACTIVE:  # another program let it go on
                self.resume()
            return
        seconds = self.billable_seconds + _seconds(max(until - self.metered_until, timedelta()))
        if self.demo_mode:
            seconds = min(seconds, _seconds(self.terms.demo_length))
        due = max(price_of_time(seconds, self.rate) - self.time_cost, NOTHING)
        payable = max(min(due, self.balance), NOTHING)
        self.unpaid = due - payable
        if self.unpaid:
            affordable = (self.time_cost + payable) * MINUTE / self.rate
            seconds = max(self.billable_seconds, min(seconds, affordable.quantize(MICROSECOND, ROUND_DOWN)))
        if payable:
            await self.charge(payable, CreditEntryKind.SESSION_CHARGE)
        self.time_cost += payable
        self.billable_seconds = seconds
        self.metered_until = max(until, self.metered_until)

    def end_if_due(self) -> None:
        """End the session if it cannot go on: a demonstration is over, or the minute that has begun cannot be paid.

        A pause costs nothing, so it is there also for those who have nothing left.
        """
        if self.is_used_up:
            self.end(EndReason.DEMO_OVER)
        elif self.unpaid or (self.status == SessionStatus.ACTIVE and self.balance < self.minute_to_go):
            self.end(EndReason.CREDITS_EXHAUSTED)

    async def charge(
        self, cost: Decimal, kind: CreditEntryKind, *, message_id: UUID | None = None, actor: str | None = None,
        key: UUID | None = None,
    ) -> None:  # fmt: skip
        """Take credits that are there, and give the creator the part that is the creator's."""
        movement = Movement(
            user_id=self.user_id,
            amount=-cost,
            kind=kind,
            at=self.now,
            actor=actor,
            key=key,
            session_id=self.id,
            message_id=message_id,
            clone_id=self.clone_id,
            earning=self.terms.earning(cost),
        )
        balance = await move(self.tx, movement)
        assert balance is not None, "the account is locked, and the balance was looked at"
        self.balance = balance
        self.total_cost = (self.total_cost or NOTHING) + cost

    def pause(self) -> None:
        """Let time pass for nothing."""
        self.status, self.metered_until, self.last_active_at = SessionStatus.PAUSED, None, self.now

    def resume(self) -> None:
        """Let time cost something again."""
        self.status, self.metered_until, self.last_active_at = SessionStatus.ACTIVE, self.now, self.now

    def touch(self) -> None:
        """Note that something happened."""
        self.last_active_at = self.now

    def end(self, reason: EndReason) -> None:
        """End the session, for good, unless it is over already."""
        self.metered_until = None
        if self.is_open:
            self.status, self.end_time, self.end_reason = SessionStatus.ENDED, self.now, reason

    async def save(self) -> None:
        """Write down what has changed."""
        await self.tx.fetch(
            SAVE,
            self.id,
            self.status,
            self.end_time,
            self.end_reason,
            self.last_active_at,
            self.metered_until,
            self.billable_seconds,
            self.time_cost,
            self.total_cost,
            self.new_messages,
        )


def _seconds(length: timedelta) -> Decimal:
    """So many seconds, exactly."""
    return Decimal(length // timedelta(microseconds=1)) * MICROSECOND


async def settle(database: Database, terms: Terms, id_: UUID, *, is_silent: bool = True) -> None:
    """Charge a session as far as it is due, and end it if that is due; nothing while somebody else is at it.

    is_silent: whether nothing happens in it. Then time is charged for a while after the last thing that did.
    """
    async with database.write() as tx:
        meter = await Meter.lock(tx, terms, id_) if await tx.fetch(LOCK_IF_FREE, id_) else None
        if meter is None or meter.last_active_at is None:
            return
        silent = meter.now - meter.last_active_at
        if meter.status == SessionStatus.ACTIVE:
            await meter.run(min(meter.now, meter.last_active_at + terms.session_grace) if is_silent else meter.now)
            meter.end_if_due()
            if silent > terms.abandoned_after:
                meter.end(EndReason.ABANDONED)
        elif meter.status == SessionStatus.PAUSED and silent > terms.pause_limit:
            meter.end(EndReason.ABANDONED)
        elif meter.metered_until:  # another program paused or ended it
            await meter.run(min(meter.now, meter.end_time or meter.now))
            meter.metered_until = None
        await meter.save()
