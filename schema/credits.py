"""Credits, as the graph shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import credits  # noqa: A004 (what the graph and the database call it)
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import idempotency_key, request
from schema.node import Node


@entity(db.CreditEntry)
class CreditEntry(Node):
    """One movement of a person's balance. Entries are never changed."""

    amount: Decimal
    kind: db.CreditEntryKind
    balance_after: Decimal | None
    spent_after: Decimal | None
    reason: str | None
    idempotency_key: UUID | None
    created_at: datetime

    user = edge(db.CreditEntry.user_id, db.User.id, "Whose balance moved.")
    session = edge(db.CreditEntry.session_id, db.Session.id, "The session it paid for.")
    message = edge(db.CreditEntry.message_id, db.Message.id, "The message it paid for.")
    creator_entries = edges(db.CreatorEntry.credit_entry_id, "What the clone earned by it.")


@strawberry.input(description="Credits that somebody bought.")
class TopUpCreditsInput:
    """A top-up."""

    idempotency_key: UUID = idempotency_key()
    user_id: strawberry.ID = strawberry.field(description="Whose balance it is.")
    amount: Decimal = strawberry.field(description="How many credits, above zero.")
    reason: str | None = strawberry.field(
        description="Where they come from, like the number of an invoice; the person can read it.", default=None
    )


@action(db.CreditEntry)
async def top_up_credits(
    info: Info,
    input: Annotated[TopUpCreditsInput, strawberry.argument(description="What to add.")],  # noqa: A002
) -> UUID:
    """Add credits to a balance. For admins, and for the service that takes payments."""
    user_id = key_of(db.User, input.user_id)
    return await credits.top_up(info.context, request("topUpCredits", input), user_id, input.amount, input.reason)


@strawberry.input(description="A correction of a balance.")
class AdjustCreditsInput:
    """An adjustment."""

    idempotency_key: UUID = idempotency_key()
    user_id: strawberry.ID = strawberry.field(description="Whose balance it is.")
    amount: Decimal = strawberry.field(description="By how many credits: below zero to take them away.")
    reason: str = strawberry.field(description="Why; the person can read it.")


@action(db.CreditEntry)
async def adjust_credits(
    info: Info,
    input: Annotated[AdjustCreditsInput, strawberry.argument(description="What to correct.")],  # noqa: A002
) -> UUID:
    """Correct a balance, and say why. It never falls below zero. For admins."""
    user_id = key_of(db.User, input.user_id)
    return await credits.adjust(info.context, request("adjustCredits", input), user_id, input.amount, input.reason)
