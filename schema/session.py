"""Sessions, as the graph shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import session
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import idempotency_key, request
from schema.node import Node
from schema.scalars import JSON


@entity(db.Session)
class Session(Node):
    """A paid conversation between a person and a clone."""

    session_type: db.SessionType
    status: db.SessionStatus
    start_time: datetime
    end_time: datetime | None
    duration_minutes: Decimal | None
    rate_per_minute: Decimal | None
    total_cost: Decimal | None
    message_count: int
    user_rating: int | None
    user_feedback: str | None
    demo_mode: bool
    session_metadata: JSON | None
    transcript_shared_at: datetime | None
    last_active_at: datetime | None
    metered_until: datetime | None
    billable_seconds: Decimal
    time_cost: Decimal
    end_reason: db.EndReason | None
    created_at: datetime
    updated_at: datetime

    user = edge(db.Session.user_id, db.User.id, "Who pays.")
    clone = edge(db.Session.clone_id, db.Clone.id, "Who answers.")
    messages = edges(db.Message.session_id, "The messages, in the order they were written.", implied=True)
    replies = edges(db.Reply.session_id, "The clone's answers, also the one that it is writing.", implied=True)
    credit_entries = edges(db.CreditEntry.session_id, "What the session cost, charge by charge.")
    creator_entries = edges(db.CreatorEntry.session_id, "What the clone earned in it, charge by charge.")


@strawberry.input(description="A session to be.")
class StartSessionInput:
    """What a session is started with."""

    idempotency_key: UUID = idempotency_key()
    clone_id: strawberry.ID = strawberry.field(description="Who is to answer.")
    session_type: db.SessionType = strawberry.field(description="How the session is held.", default=db.SessionType.CHAT)
    demo: bool = strawberry.field(
        description="Whether it is to be a free demonstration, of which everybody has a few, and short ones.",
        default=False,
    )
    user_id: strawberry.ID | None = strawberry.field(
        description="Who pays: yourself, unless you are a service or an admin that acts for somebody.", default=None
    )


@action(db.Session)
async def start_session(
    info: Info,
    input: Annotated[StartSessionInput, strawberry.argument(description="What to start.")],  # noqa: A002
) -> UUID:
    """Open a session with a clone, at the price that it has now. The balance must reach for a minute."""
    wanted = session.Start(
        key_of(db.Clone, input.clone_id),
        input.session_type,
        input.demo,
        key_of(db.User, input.user_id) if input.user_id else None,
    )
    return await session.start(info.context, request("startSession", input), wanted)


@strawberry.input(description="A session to be paused.")
class PauseSessionInput:
    """A session to be paused."""

    idempotency_key: UUID = idempotency_key()
    id: strawberry.ID = strawberry.field(description="The session.")


@action(db.Session)
async def pause_session(
    info: Info,
    input: Annotated[PauseSessionInput, strawberry.argument(description="Which session.")],  # noqa: A002
) -> UUID:
    """Stop a session's clock: a pause is free. If the time until now cannot be paid, the session ends instead."""
    return await session.pause(info.context, request("pauseSession", input), key_of(db.Session, input.id))


@strawberry.input(description="A session to go on with.")
class ResumeSessionInput:
    """A session to go on with."""

    idempotency_key: UUID = idempotency_key()
    id: strawberry.ID = strawberry.field(description="The session.")


@action(db.Session)
async def resume_session(
    info: Info,
    input: Annotated[ResumeSessionInput, strawberry.argument(description="Which session.")],  # noqa: A002
) -> UUID:
    """Go on with a paused session. The balance must reach to the end of the minute that has begun."""
    return await session.resume(info.context, request("resumeSession", input), key_of(db.Session, input.id))


@strawberry.input(description="A session to be ended.")
class EndSessionInput:
    """A session to be ended."""

    idempotency_key: UUID = idempotency_key()
    id: strawberry.ID = strawberry.field(description="The session.")


@action(db.Session)
async def end_session(
    info: Info,
    input: Annotated[EndSessionInput, strawberry.argument(description="Which session.")],  # noqa: A002
) -> UUID:
    """End a session, for good. Its time is charged until now."""
    return await session.end(info.context, request("endSession", input), key_of(db.Session, input.id))


@strawberry.input(description="What you thought of a session.")
class RateSessionInput:
    """A rating."""

    idempotency_key: UUID = idempotency_key()
    id: strawberry.ID = strawberry.field(description="The session.")
    rating: int = strawberry.field(description="From 1, the worst, to 5, the best.")
    feedback: str | None = strawberry.field(description="Why, in your words.", default=None)


@action(db.Session)
async def rate_session(
    info: Info,
    input: Annotated[RateSessionInput, strawberry.argument(description="The rating.")],  # noqa: A002
) -> UUID:
    """Rate a session that is over, once. The clone's mean follows at once."""
    return await session.rate(
        info.context, request("rateSession", input), key_of(db.Session, input.id), input.rating, input.feedback
    )


@strawberry.input(description="What to give back of a session's cost.")
class RefundSessionInput:
    """A refund."""

    idempotency_key: UUID = idempotency_key()
    id: strawberry.ID = strawberry.field(description="The session.")
    amount: Decimal | None = strawberry.field(description="How many credits; all that is left, if null.", default=None)
    reason: str | None = strawberry.field(description="Why; the person can read it.", default=None)


@action(db.Session)
async def refund_session(
    info: Info,
    input: Annotated[RefundSessionInput, strawberry.argument(description="The refund.")],  # noqa: A002
) -> UUID:
    """Give back what a session cost, or a part of it. The clone's earning is taken back with it. For admins."""
    return await session.refund(
        info.context, request("refundSession", input), key_of(db.Session, input.id), input.amount, input.reason
    )
