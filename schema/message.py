"""Messages and their sources, as the graph shows them."""

from datetime import datetime
from decimal import Decimal

import db
from schema.edge import edge, edges
from schema.entity import entity
from schema.node import Node
from schema.scalars import JSON


@entity(db.Message)
class Message(Node):
    """One message of a session."""

    sender_type: db.SenderType
    content: str | None
    context_used: str | None
    cost_increment: Decimal | None
    tokens_used: int | None
    source_notes: JSON | None
    attachments: JSON | None
    created_at: datetime

    session = edge(db.Message.session_id, db.Session.id, "The session it belongs to.")
    sources = edges(db.MessageSource.message_id, "The passages that the answer was drawn from, the best first.")
    documents = edges(
        db.Document.id,
        "The documents that the answer was drawn from.",
        link=(db.MessageSource.message_id, db.MessageSource.document_id),
    )
    credit_entries = edges(db.CreditEntry.message_id, "What the message cost, charge by charge.")


@entity(db.MessageSource)
class MessageSource(Node):
    """A passage of a document that an answer was drawn from."""

    rank: int
    score: float | None
    passage: str | None

    message = edge(db.MessageSource.message_id, db.Message.id, "The answer.")
    document = edge(db.MessageSource.document_id, db.Document.id, "The document.")
