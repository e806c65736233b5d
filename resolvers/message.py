"""What can be done with messages."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
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
    INSERT INTO messages (id, session_id, sender_type, content, context_used, cost_increment, tokens_used, sources,
        attachments, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
CITE = """
    INSERT INTO message_sources (message_id, document_id, knowledge_id, rank, passage, score)
    SELECT $1, document_id, knowledge_id, rank, passage, score
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::float8[]) WITH ORDINALITY
        AS cited (document_id, knowledge_id, passage, score, rank)
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that an answer was drawn from, of a document, of a clone's knowledge, or of nothing we know.

    title: what is noted of it in the message itself, for those who read the answer and do not see the document.
    """

    document_id: UUID | None
    passage: str
    score: float | None
    knowledge_id: UUID | None = None
    title: str | None = None


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
        await take(tx, context, request, wanted, message_id)

    return await once_in_session(context, request, wanted.session_id, message_id, act)


async def once_in_session(
    context: Context,
    request: Request,
    session_id: UUID,
    message_id: UUID,
    act: Callable[[Transaction], Awaitable[None]],
) -> UUID:
    """What `once` gives. A session that cannot go on is ended, though nothing else is done."""
    try:
        return await once(context, request, message_id, act)
    except (InsufficientCredits, WrongSessionStatus):
        await settle(context.database, context.terms, session_id, is_silent=False)
        raise


async def take(tx: Transaction, context: Context, request: Request, wanted: Record, message_id: UUID) -> Meter:
    """Keep a message in a session that goes on, and charge it, with the time until now. Gives the session's meter.

    Raises NotFound, SessionElsewhere, WrongSessionStatus, and InsufficientCredits unless all of it can be paid.
    """
    meter = await locked(tx, context, wanted.session_id, "session_id")
    _require_status(meter, wanted.sender_type)
    await meter.run(meter.now)
    cost = _cost(meter, wanted, context.terms)
    if meter.unpaid or cost > meter.balance:
        raise InsufficientCredits(meter.unpaid + cost, meter.balance)
    if meter.is_used_up:
        raise WrongSessionStatus(SessionStatus.ENDED, "session_id")
    await keep(meter, wanted, message_id, cost, actor=context.viewer.actor, key=request.key)
    return meter


async def keep(
    meter: Meter,
    wanted: Record,
    message_id: UUID,
    cost: Decimal,
    *,
    actor: str | None = None,
    key: UUID | None = None,
) -> None:
    """Write a message down, charge what it costs, and end the session if it cannot go on. The balance must reach."""
    await _insert(meter, wanted, message_id, cost)
    if cost:
        await meter.charge(cost, CreditEntryKind.MESSAGE_CHARGE, message_id=message_id, actor=actor, key=key)
    meter.touch()
    meter.new_messages = 1
    meter.end_if_due()
    await meter.save()


def _require_status(meter: Meter, sender: SenderType) -> None:
    """Raise WrongSessionStatus unless the session goes on. An answer may still come when it was paused meanwhile."""
    open_for = [SessionStatus.ACTIVE, *([SessionStatus.PAUSED] if sender is SenderType.AI else [])]
    if meter.status not in open_for:
        raise WrongSessionStatus(meter.status, "session_id")


def _cost(meter: Meter, wanted: Record, terms: Terms) -> Decimal:
    if meter.demo_mode:
        return NOTHING
    return wanted.cost if wanted.cost is not None else terms.price_of_message(wanted.input_tokens, wanted.output_tokens)


async def _insert(meter: Meter, wanted: Record, message_id: UUID, cost: Decimal) -> None:
    await meter.tx.fetch(
        RECORD,
        message_id,
        meter.id,
        wanted.sender_type,
        wanted.content,
        wanted.context_used,
        cost,
        wanted.input_tokens + wanted.output_tokens,
        [{"title": title} for title in dict.fromkeys(source.title for source in wanted.sources) if title],
        list(wanted.attachments),
        meter.now,
    )
    if wanted.sources:
        await meter.tx.fetch(
            CITE,
            message_id,
            [source.document_id for source in wanted.sources],
            [source.knowledge_id for source in wanted.sources],
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
