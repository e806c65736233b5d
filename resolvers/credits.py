"""Credits: the one function that moves them, and what is done with balances by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

from db import CreatorEntryKind, CreditEntryKind, Scope
from db.transaction import Transaction
from resolvers.context import Context
from resolvers.idempotency import Request, once
from resolvers.permissions import MAY_NOT_DO, Forbidden, may_for_others
from resolvers.problems import InsufficientCredits, InvalidInput, NotFound, Problem, Problems
from resolvers.texts import faults

SPENT: Final = (CreditEntryKind.SESSION_CHARGE, CreditEntryKind.MESSAGE_CHARGE, CreditEntryKind.REFUND)
"""Why a balance moves when what a person has spent does, too."""

MOST_AT_A_TIME = Decimal(1_000_000_000)
MOST_DECIMALS = 8
LONGEST_REASON = 1_000

MOVE = """
    WITH account AS (
        UPDATE user_profiles
        SET credits_remaining = credits_remaining + $3::numeric, total_spent = total_spent + $4::numeric
        WHERE id = $2::uuid AND ($3::numeric > 0 OR credits_remaining + $3::numeric >= 0)
        RETURNING credits_remaining, total_spent
    ), entry AS (
        INSERT INTO credit_entries (id, user_id, amount, kind, session_id, message_id, actor, idempotency_key, reason,
            balance_after, spent_after, created_at)
        SELECT $1::uuid, $2::uuid, $3::numeric, $5, $6::uuid, $7::uuid, $8, $9::uuid, $10,
            credits_remaining, total_spent, coalesce($11::timestamptz, clock_timestamp())
        FROM account RETURNING balance_after
    ), clone AS (
        UPDATE clones SET total_earnings = total_earnings + $13::numeric FROM entry
        WHERE clones.id = $12::uuid AND $13::numeric <> 0 RETURNING creator_id, total_earnings
    ), earning AS (
        INSERT INTO creator_entries (creator_id, clone_id, amount, kind, session_id, credit_entry_id, earned_after)
        SELECT creator_id, $12::uuid, $13::numeric, $14, $6::uuid, $1::uuid, total_earnings FROM clone
    )
    SELECT balance_after FROM entry
"""
"""The balance, the entry, what the clone has earned and the entry of that: all of it, or nothing."""

AVAILABLE = "SELECT credits_remaining FROM user_profiles WHERE id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A movement of a person's balance. amount: negative for what is spent. earning: what the clone gets of it.

    at: when it happened, if not now. actor, key: who wanted it, and under which idempotency key.
    """

    user_id: UUID
    amount: Decimal
    kind: CreditEntryKind
    at: datetime | None = None
    actor: str | None = None
    key: UUID | None = None
    reason: str | None = None
    session_id: UUID | None = None
    message_id: UUID | None = None
    clone_id: UUID | None = None
    earning: Decimal = Decimal(0)


async def move(tx: Transaction, movement: Movement, id_: UUID | None = None) -> Decimal | None:
    """Move a balance, and write down that it was moved. Nothing else in the gateway does either.

    Gives the balance after it; None where it would fall below zero, or there is no such person. Those who move
    several lock the rows in this order: session, person, clone.
    """
    rows = await tx.fetch(
        MOVE,
        id_ or uuid4(),
        movement.user_id,
        movement.amount,
        -movement.amount if movement.kind in SPENT else Decimal(0),
        movement.kind,
        movement.session_id,
        movement.message_id,
        movement.actor,
        movement.key,
        movement.reason,
        movement.at,
        movement.clone_id,
        movement.earning,
        CreatorEntryKind.REFUND if movement.kind is CreditEntryKind.REFUND else CreatorEntryKind.EARNING,
    )
    return rows[0][0] if rows else None


async def top_up(context: Context, request: Request, user_id: UUID, amount: Decimal, reason: str | None) -> UUID:
    """Add credits that somebody bought."""
    found = list(faults_of_amount(amount))
    if amount.is_finite() and amount < 0:
        found.append(InvalidInput("This must be above zero. To take credits away, use adjustCredits.", "amount"))
    movement = Movement(user_id=user_id, amount=amount, kind=CreditEntryKind.TOP_UP, reason=reason)
    return await _move_by_hand(context, request, movement, found)


async def adjust(context: Context, request: Request, user_id: UUID, amount: Decimal, reason: str) -> UUID:
    """Correct a balance, up or down."""
    found = list(faults_of_amount(amount))
    if not reason.strip():
        found.append(InvalidInput("Say why: this must not be empty.", "reason"))
    movement = Movement(user_id=user_id, amount=amount, kind=CreditEntryKind.ADJUSTMENT, reason=reason)
    return await _move_by_hand(context, request, movement, found)


async def _move_by_hand(context: Context, request: Request, movement: Movement, found: list[Problem]) -> UUID:
    require_treasurer(context)
    Problems.check([*found, *faults_of_reason(movement.reason)])
    wanted = replace(movement, actor=context.viewer.actor, key=request.key)
    entry_id = uuid4()

    async def act(tx: Transaction) -> None:
        if await move(tx, wanted, entry_id) is None:
            account = await tx.row(AVAILABLE, wanted.user_id)
            raise InsufficientCredits(-wanted.amount, account[0], "amount") if account else NotFound("user", "user_id")

    return await once(context, request, entry_id, act)


def require_treasurer(context: Context) -> None:
    """Raise Forbidden for whoever may not move other people's credits."""
    if not may_for_others(context.viewer, Scope.CREDITS):
        raise Forbidden(MAY_NOT_DO)


def faults_of_reason(reason: str | None) -> Iterator[Problem]:
    """What is wrong with what somebody wrote about a movement."""
    if reason is not None:
        yield from faults(reason, "reason", most=LONGEST_REASON, blank=True)


def faults_of_amount(amount: Decimal) -> Iterator[Problem]:
    """What is wrong with an amount, whatever its sign."""
    if not amount.is_finite() or amount == 0 or not -MOST_AT_A_TIME <= amount <= MOST_AT_A_TIME:
        yield InvalidInput(f"This must be a number of credits, not zero, and {MOST_AT_A_TIME} at most.", "amount")
    elif -int(amount.as_tuple().exponent) > MOST_DECIMALS:
        yield InvalidInput(f"This may have {MOST_DECIMALS} decimals at most.", "amount")
