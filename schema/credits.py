"""Credits, as the graph shows them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import db
from schema.edge import edge
from schema.entity import entity
from schema.node import Node


@entity(db.CreditEntry)
class CreditEntry(Node):
    """One movement of a person's balance. Entries are never changed."""

    amount: Decimal
    kind: db.CreditEntryKind
    balance_after: Decimal | None
    idempotency_key: UUID | None
    created_at: datetime

    user = edge(db.CreditEntry.user_id, db.User.id, "Whose balance moved.")
    session = edge(db.CreditEntry.session_id, db.Session.id, "The session it paid for.")
    message = edge(db.CreditEntry.message_id, db.Message.id, "The message it paid for.")
