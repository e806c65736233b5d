"""What can be done with messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from db import CreditEntryKind, Scope, SenderType, SessionStatus
from db.transaction import Transaction
from resolvers.context import Context
from resolvers.idempotency import Request, once
from resolvers.metering import NOTHING, Meter, settle
from resolvers.permissions import MAY_NOT_DO, Forbidden, may_for_others
from resolvers.problems import InsufficientCredits, InvalidInput, Problem, Problems, WrongSessionStatus
from resolvers.session import locked
from resolvers.terms import Terms
from resolvers.texts import faults

LONGEST_CONTENT = 200_000
LONGEST_CONTEXT = 1_000_000
MOST_TOKENS = 10_000_000
MOST_ATTACHMENTS = 50
MOST_SOURCES = 50
HIGHEST_COST, MOST_DECIMALS = Decimal(1_000_000), 8

RECORD = """
    INSERT INTO messages (id, session_id, sender_type, content, context_used, cost_increment, tokens_used, attachments,
        created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
CITE = """
    INSERT INTO message_sources (message_id, document_id, rank, passage, score)
    SELECT $1, document_id, rank, passage, score
    FROM unnest($2::uuid[], $3::text[], $4::float8[]) WITH ORDINALITY AS cited (document_id, passage, score, rank)
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that an answer was drawn from."""

    document_id: UUID
    passage: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A message to be. cost: what it costs, if that does not follow from its tokens."""

    session_id: UUID
    sender_type: SenderType
    content: str
    context_used: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None
    attachments: Sequence[Any] = ()
    sources: Sequence[Source] = ()


async def record(context: Context, request: Request, wanted: Record) -> UUID:
    """Keep a message of a session, and charge it, with the time until now.

    A person records own questions. Answers, sources and costs are recorded by those who act for others.
    """
    is_question = wanted.sender_type is SenderType.USER and wanted.cost is None and not wanted.sources
    if not is_question and not may_for_others(context.viewer, Scope.SESSIONS):
        raise Forbidden(MAY_NOT_DO)
    Problems.check(list(_faults(wanted)))
    message_id = uuid4()

    async def act(tx: Transaction) -> None:
        meter = await locked(tx, context, wanted.session_id, "session_id")
        _require_status(meter, wanted.sender_type)
        await meter.run(meter.now)
        cost = _cost(meter, wanted, context.terms)
        if meter.unpaid or cost > meter.balance:
            raise InsufficientCredits(meter.unpaid + cost, meter.balance)
        if meter.is_used_up:
            raise WrongSessionStatus(SessionStatus.ENDED, "session_id")
        await _keep(meter, wanted, message_id, cost)
        if cost:
            await meter.charge(
                cost,
                CreditEntryKind.MESSAGE_CHARGE,
                message_id=message_id,
                actor=context.viewer.actor,
                key=request.key,
            )
        meter.touch()
        meter.new_messages = 1
        meter.end_if_due()
        await meter.save()

    try:
        return await once(context, request, message_id, act)
    except (InsufficientCredits, WrongSessionStatus):
        await settle(context.database, context.terms, wanted.session_id, is_silent=False)
        raise


def _require_status(meter: Meter, sender: SenderType) -> None:
    """Raise WrongSessionStatus unless the session goes on. An answer may still come when it was paused meanwhile."""
    open_for = [SessionStatus.ACTIVE, *([SessionStatus.PAUSED] if sender is SenderType.AI else [])]
    if meter.status not in open_for:
        raise WrongSessionStatus(meter.status, "session_id")


def _cost(meter: Meter, wanted: Record, terms: Terms) -> Decimal:
    if meter.demo_mode:
        return NOTHING
    return wanted.cost if wanted.cost is not None else terms.price_of_message(wanted.input_tokens, wanted.output_tokens)


async def _keep(meter: Meter, wanted: Record, message_id: UUID, cost: Decimal) -> None:
    await meter.tx.fetch(
        RECORD,
        message_id,
        meter.id,
        wanted.sender_type,
        wanted.content,
        wanted.context_used,
        cost,
        wanted.input_tokens + wanted.output_tokens,
        list(wanted.attachments),
        meter.now,
    )
    if wanted.sources:
        await meter.tx.fetch(
            CITE,
            message_id,
            [source.document_id for source in wanted.sources],
            [source.passage for source in wanted.sources],
            [source.score for source in wanted.sources],
        )


def _faults(wanted: Record) -> Iterator[Problem]:
    if wanted.sender_type is SenderType.UNKNOWN:
        yield InvalidInput("Say who wrote it: USER or AI.", "sender_type")
    yield from faults(wanted.content, "content", most=LONGEST_CONTENT)
    if wanted.context_used is not None:
        yield from faults(wanted.context_used, "context_used", most=LONGEST_CONTEXT, blank=True)
    for name in ("input_tokens", "output_tokens"):
        if not 0 <= getattr(wanted, name) <= MOST_TOKENS:
            yield InvalidInput(f"This must be from 0 to {MOST_TOKENS}.", name)
    if wanted.cost is not None:
        yield from _faults_of_cost(wanted.cost)
    for name, most in (("attachments", MOST_ATTACHMENTS), ("sources", MOST_SOURCES)):
        if len(getattr(wanted, name)) > most:
            yield InvalidInput(f"There may be {most} at most.", name)
    for number, source in enumerate(wanted.sources):
        yield from faults(source.passage, "sources", str(number), "passage", most=LONGEST_CONTENT)


def _faults_of_cost(cost: Decimal) -> Iterator[Problem]:
    if not cost.is_finite() or not 0 <= cost <= HIGHEST_COST:
        yield InvalidInput(f"This must be from 0 to {HIGHEST_COST} credits.", "cost")
    elif -int(cost.as_tuple().exponent) > MOST_DECIMALS:
        yield InvalidInput(f"This may have {MOST_DECIMALS} decimals at most.", "cost")
