"""What can be done with sessions."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID, uuid4

from db import CreditEntryKind, EndReason, Scope, SessionStatus, SessionType, Viewer, ViewerKind
from db.transaction import Transaction
from resolvers.clone import HIGHEST_PRICE
from resolvers.context import Context
from resolvers.credits import Movement, faults_of_amount, faults_of_reason, move, require_treasurer
from resolvers.idempotency import Request, once
from resolvers.metering import NOTHING, Meter
from resolvers.permissions import MAY_NOT_DO, Forbidden, may_for_others
from resolvers.problems import (
    AlreadyRated,
    CloneUnavailable,
    DemoUsedUp,
    InsufficientCredits,
    InvalidInput,
    NotFound,
    Problem,
    Problems,
    RefundTooLarge,
    SessionAlreadyOpen,
    WrongSessionStatus,
)
from resolvers.terms import MINUTE, Terms, price_of_time, rounded
from resolvers.texts import faults

LOWEST_RATING, HIGHEST_RATING = 1, 5
LONGEST_FEEDBACK = 10_000

PAYER = "SELECT credits_remaining FROM user_profiles WHERE id = $1 AND is_active FOR NO KEY UPDATE"
OFFER = "SELECT base_price, is_active FROM clones WHERE id = $1 AND (is_published AND is_active OR creator_id = $2)"
OPEN = """
    SELECT id FROM sessions
    WHERE user_id = $1 AND clone_id = $2 AND last_active_at IS NOT NULL AND status <> 'ended'
"""
DEMOS = "SELECT count(*) FROM sessions WHERE user_id = $1 AND demo_mode"
START = """
    WITH moment AS (SELECT clock_timestamp() AS now), counted AS (
        UPDATE clones SET total_sessions = total_sessions + 1 WHERE id = $3
    )
    INSERT INTO sessions (id, user_id, clone_id, session_type, status, rate_per_minute, demo_mode, total_cost,
        duration_minutes, start_time, created_at, updated_at, last_active_at, metered_until)
    SELECT $1, $2, $3, $4, 'active', $5, $6, 0, 0, now, now, now, now, now FROM moment
"""
RATE = "UPDATE sessions SET user_rating = $2, user_feedback = $3 WHERE id = $1"
LOCK_CLONE = "SELECT FROM clones WHERE id = $1 FOR NO KEY UPDATE"
COUNT_RATINGS = """
    UPDATE clones SET (average_rating, total_ratings) = (
        SELECT avg(user_rating), count(user_rating) FROM sessions WHERE clone_id = $1
    ) WHERE id = $1
"""
EARNED = "SELECT coalesce(sum(amount), 0) AS earned FROM creator_entries WHERE session_id = $1"
REFUND = "UPDATE sessions SET total_cost = total_cost - $2::numeric WHERE id = $1"


class Start(NamedTuple):
    """A session to be. demo: whether it is a free demonstration. user_id: for whom, if not for the viewer."""

    clone_id: UUID
    session_type: SessionType
    demo: bool
    user_id: UUID | None


async def start(context: Context, request: Request, wanted: Start) -> UUID:
    """Open a session at the price that the clone has now."""
    user_id = _payer(context.viewer, wanted.user_id)
    if wanted.session_type is SessionType.UNKNOWN:
        raise InvalidInput("Choose CHAT, VOICE or VIDEO.", "session_type")
    session_id = uuid4()

    async def act(tx: Transaction) -> None:
        payer = await tx.row(PAYER, user_id)
        if payer is None:
            raise NotFound("user", "user_id")
        price = await _price(tx, wanted.clone_id, user_id)
        if opened := await tx.row(OPEN, user_id, wanted.clone_id):
            raise SessionAlreadyOpen(opened["id"])
        if wanted.demo:
            await _check_demos(tx, user_id, context.terms)
        elif payer["credits_remaining"] < (minute := price_of_time(Decimal(MINUTE), price)):
            raise InsufficientCredits(minute, payer["credits_remaining"])
        await tx.fetch(START, session_id, user_id, wanted.clone_id, wanted.session_type, price, wanted.demo)

    return await once(context, request, session_id, act)


def _payer(viewer: Viewer, wanted: UUID | None) -> UUID:
    """Who pays for what a viewer starts: oneself, or the person that an admin or a service names."""
    if may_for_others(viewer, Scope.SESSIONS):
        if wanted is not None:
            return wanted
        if viewer.kind is ViewerKind.SERVICE:
            raise InvalidInput("Say for whom: a service has no credits of its own.", "user_id")
    if viewer.id is None or viewer.kind is ViewerKind.SERVICE or wanted not in (None, viewer.id):
        raise Forbidden(MAY_NOT_DO)
    return viewer.id


async def _price(tx: Transaction, clone_id: UUID, user_id: UUID) -> Decimal:
    """What a minute with a clone costs at the moment."""
    offer = await tx.row(OFFER, clone_id, user_id)
    if offer is None:
        raise NotFound("clone", "clone_id")
    price: Decimal = offer["base_price"]
    if not offer["is_active"] or not price.is_finite() or not 0 <= price <= HIGHEST_PRICE:
        raise CloneUnavailable
    return price


async def _check_demos(tx: Transaction, user_id: UUID, terms: Terms) -> None:
    had = await tx.row(DEMOS, user_id)
    if had and had["count"] >= terms.demo_sessions:
        raise DemoUsedUp


async def pause(context: Context, request: Request, id_: UUID) -> UUID:
    """Charge a session until now, and stop its clock. It ends instead if not all of that can be paid."""

    async def act(meter: Meter) -> None:
        _require_status(meter, SessionStatus.ACTIVE)
        await meter.run(meter.now)
        meter.pause()
        meter.end_if_due()

    return await _with_meter(context, request, id_, act)


async def resume(context: Context, request: Request, id_: UUID) -> UUID:
    """Start the clock of a paused session again."""

    async def act(meter: Meter) -> None:
        _require_status(meter, SessionStatus.PAUSED)
        if meter.balance < meter.minute_to_go:
            raise InsufficientCredits(meter.minute_to_go, meter.balance)
        meter.resume()

    return await _with_meter(context, request, id_, act)


async def end(context: Context, request: Request, id_: UUID) -> UUID:
    """Charge a session until now, and end it."""

    async def act(meter: Meter) -> None:
        _require_status(meter, SessionStatus.ACTIVE, SessionStatus.PAUSED)
        await meter.run(meter.now)
        if meter.unpaid:
            meter.end(EndReason.CREDITS_EXHAUSTED)
        meter.end(EndReason.USER if context.viewer.id == meter.user_id else EndReason.OPERATOR)

    return await _with_meter(context, request, id_, act)


async def _with_meter(context: Context, request: Request, id_: UUID, act: Callable[[Meter], Awaitable[None]]) -> UUID:
    """What came of doing something to a session that goes on, or could."""

    async def act_on_session(tx: Transaction) -> None:
        meter = await locked(tx, context, id_)
        await act(meter)
        await meter.save()

    return await once(context, request, id_, act_on_session)


async def locked(tx: Transaction, context: Context, id_: UUID, *path: str) -> Meter:
    """The meter of a session of ours that the viewer may change. Raises NotFound and SessionElsewhere."""
    path = path or ("id",)
    meter = await Meter.lock(tx, context.terms, id_, context.viewer)
    if meter is None:
        raise NotFound("session", *path)
    meter.require_ours(*path)
    return meter


def _require_status(meter: Meter, *statuses: SessionStatus) -> None:
    if meter.status not in statuses:
        raise WrongSessionStatus(meter.status, "id")


async def rate(context: Context, request: Request, id_: UUID, rating: int, feedback: str | None) -> UUID:
    """Note what the person thought of a session that is over, whichever program kept it."""
    Problems.check(_faults_of_rating(rating, feedback))

    async def act(tx: Transaction) -> None:
        meter = await Meter.lock(tx, context.terms, id_, context.viewer)
        if meter is None:
            raise NotFound("session", "id")
        _require_status(meter, SessionStatus.ENDED)
        if meter.user_rating is not None:
            raise AlreadyRated
        await tx.fetch(RATE, id_, rating, feedback)
        await tx.fetch(LOCK_CLONE, meter.clone_id)
        await tx.fetch(COUNT_RATINGS, meter.clone_id)

    return await once(context, request, id_, act)


def _faults_of_rating(rating: int, feedback: str | None) -> list[Problem]:
    found: list[Problem] = []
    if not LOWEST_RATING <= rating <= HIGHEST_RATING:
        found.append(InvalidInput(f"This must be from {LOWEST_RATING} to {HIGHEST_RATING}.", "rating"))
    if feedback is not None:
        found.extend(faults(feedback, "feedback", most=LONGEST_FEEDBACK, blank=True))
    return found


async def refund(context: Context, request: Request, id_: UUID, amount: Decimal | None, reason: str | None) -> UUID:
    """Give back what a session cost, or a part of it, and take the same part of the earning back."""
    require_treasurer(context)
    wrong_amount = faults_of_amount(amount) if amount is not None else ()
    Problems.check([*wrong_amount, *faults_of_reason(reason)])

    async def act(tx: Transaction) -> None:
        meter = await Meter.lock(tx, context.terms, id_)
        if meter is None:
            raise NotFound("session", "id")
        meter.require_ours("id")
        cost = meter.total_cost or NOTHING
        back = cost if amount is None else amount
        if not 0 < back <= cost:
            raise RefundTooLarge(cost)
        movement = Movement(
            user_id=meter.user_id,
            amount=back,
            kind=CreditEntryKind.REFUND,
            actor=context.viewer.actor,
            key=request.key,
            reason=reason,
            session_id=id_,
            clone_id=meter.clone_id,
            earning=await _taken_back(tx, id_, cost, back),
        )
        await move(tx, movement)
        await tx.fetch(REFUND, id_, back)

    return await once(context, request, id_, act)


async def _taken_back(tx: Transaction, id_: UUID, cost: Decimal, back: Decimal) -> Decimal:
    """What becomes of the earning when a part of the cost is given back, as a change of it."""
    row = await tx.row(EARNED, id_)
    earned: Decimal = row["earned"] if row else NOTHING
    left = cost - back
    return min(rounded(earned * left / cost), left, earned) - earned
