"""Messages of a session, and the documents that an answer was drawn from."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Double, ForeignKey, Index, exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import (
    NO_ROW,
    NOBODY,
    Alternatives,
    Condition,
    Row,
    Vocabulary,
    Words,
    column,
    created_at,
    money,
)
from db.session import reads_session, sees_session
from db.viewer import ViewerKind


class SenderType(Words):
    """Who wrote a message."""

    USER = "user", "The person."
    AI = "ai", "The clone."
    UNKNOWN = "unknown", "A word that is not in this list."


class Message(Row):
    """One message. Whoever sees the session sees that there is one; the text is the person's to share."""

    __tablename__ = "messages"
    __table_args__ = (Index("idx_messages_session_created", "session_id", "created_at", "id"),)
    __order__ = (("created_at", "asc"),)

    session_id: Mapped[UUID] = column(
        ForeignKey("sessions.id", ondelete="CASCADE"), doc="The session it belongs to.", indexed=True
    )
    sender_type: Mapped[str] = column(Vocabulary(SenderType), doc="Who wrote it.", indexed=True)
    content: Mapped[str] = column(doc="The text.", private=True)
    context_used: Mapped[str | None] = column(doc="What the clone was given to answer from.", private=True)
    cost_increment: Mapped[Decimal | None] = money(doc="What the message cost, in credits.")
    tokens_used: Mapped[int | None] = column(doc="How many tokens it took.")
    source_notes: Mapped[list[Any]] = column(
        "sources", doc="The sources as the answering program noted them.", private=True, server_default=text("'[]'")
    )
    attachments: Mapped[list[Any]] = column(doc="What was attached.", private=True, server_default=text("'[]'"))
    created_at: Mapped[datetime] = created_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the session."""
        return NO_ROW if kind is ViewerKind.ANONYMOUS else [sees_session(cls.session_id, kind)]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The person who pays, and the clone's creator once the transcript is shared."""
        return NOBODY if kind is ViewerKind.ANONYMOUS else reads_session(cls.session_id, kind)


class MessageSource(Row):
    """A passage of a document that an answer was drawn from."""

    __tablename__ = "message_sources"
    __order__ = (("rank", "asc"),)

    message_id: Mapped[UUID] = column(ForeignKey("messages.id", ondelete="CASCADE"), doc="The answer.", indexed=True)
    document_id: Mapped[UUID | None] = column(
        ForeignKey("documents.id", ondelete="SET NULL"), doc="The document; null once it is deleted.", indexed=True
    )
    knowledge_id: Mapped[UUID | None] = column(
        ForeignKey("knowledge.id", ondelete="SET NULL"),
        doc="The clone's knowledge, if that is where the passage is; null once it is deleted.",
        indexed=True,
    )
    rank: Mapped[int] = column(doc="1 for the best source of the answer, then counting up.", indexed=True)
    score: Mapped[float | None] = column(Double, doc="How well it fits the question; higher is better.")
    passage: Mapped[str] = column(doc="The words of the document.", private=True)

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the session."""
        if kind is ViewerKind.ANONYMOUS:
            return NO_ROW
        message: Any = aliased(Message)
        return [exists().where(message.id == cls.message_id, sees_session(message.session_id, kind))]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """Whoever may read the answer."""
        if kind is ViewerKind.ANONYMOUS:
            return NOBODY
        message: Any = aliased(Message)
        return exists().where(message.id == cls.message_id, reads_session(message.session_id, kind))
