"""Sessions, as the graph shows them."""

from datetime import datetime
from decimal import Decimal

import db
from schema.edge import edge, edges
from schema.entity import entity
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
    created_at: datetime
    updated_at: datetime

    user = edge(db.Session.user_id, db.User.id, "Who pays.")
    clone = edge(db.Session.clone_id, db.Clone.id, "Who answers.")
    messages = edges(db.Message.session_id, "The messages, in the order they were written.")
    credit_entries = edges(db.CreditEntry.session_id, "What the session cost, charge by charge.")
