"""Replies, as the graph shows them."""

from datetime import datetime

import db
from schema.edge import edge
from schema.entity import entity
from schema.node import Node


@entity(db.Reply)
class Reply(Node):
    """A clone's answer from the moment it is asked for, while it is being written, until it is a message."""

    status: db.ReplyStatus
    content: str | None
    provider: str | None
    model: str | None
    is_generated: bool | None
    error_code: str | None
    error_message: str | None
    is_retryable: bool
    created_at: datetime
    updated_at: datetime

    session = edge(db.Reply.session_id, db.Session.id, "The session.")
    question = edge(db.Reply.question_id, db.Message.id, "The message that it answers.")
    message = edge(db.Reply.message_id, db.Message.id, "The message that it became.")
