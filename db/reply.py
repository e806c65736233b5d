"""Replies: a clone's answer from the moment it is asked for, while it is being written, until it is a message."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped

from db.base import NO_ROW, NOBODY, NOW, Alternatives, Condition, Row, Vocabulary, Words, column, created_at, updated_at
from db.session import reads_session, sees_session
from db.viewer import ViewerKind


class ReplyStatus(Words):
    """How far a reply is."""

    PENDING = "pending", "Not begun."
    ANSWERING = "answering", "It is being written."
    DONE = "done", "It is a message."
    FAILED = "failed", "There is none, and nothing was charged for it. The error says why."
    CANCELLED = "cancelled", "The session was over before it was."
    UNKNOWN = "unknown", "A word that is not in this list."


class Reply(Row):
    """A clone's answer to a question. Whoever sees the session sees that there is one.

    due_at: when a worker is to take it up: while one is at work, when another one may take it for dead. Each that takes
    it up counts `fence` up, and writes with that number.
    """

    __tablename__ = "replies"
    __table_args__ = (
        Index("idx_replies_question", "question_id", unique=True),
        Index(
            "idx_replies_open", "session_id", unique=True, postgresql_where=text("status IN ('pending', 'answering')")
        ),
        Index("idx_replies_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("idx_replies_response", "provider", "response_id", unique=True),
    )
    __order__ = (("created_at", "asc"),)

    session_id: Mapped[UUID] = column(ForeignKey("sessions.id", ondelete="CASCADE"), doc="The session.", indexed=True)
    question_id: Mapped[UUID] = column(
        ForeignKey("messages.id", ondelete="CASCADE"), doc="The message that it answers."
    )
    message_id: Mapped[UUID | None] = column(
        ForeignKey("messages.id", ondelete="SET NULL"), doc="The message that it became.", indexed=True
    )
    status: Mapped[str] = column(
        Vocabulary(ReplyStatus), doc="How far it is.", indexed=True, server_default=text("'pending'")
    )
    content: Mapped[str] = column(doc="What is written so far.", private=True, server_default=text("''"))
    edition: Mapped[int] = column(
        doc="How often the text was begun anew, instead of going on.", server_default=text("0")
    )
    provider: Mapped[str | None] = column(doc="Who answers: `openai`, or `local`.")
    model: Mapped[str | None] = column(doc="The provider's model.")
    is_generated: Mapped[bool | None] = column(doc="Whether a model wrote it, rather than that documents are quoted.")
    response_id: Mapped[str | None] = column(doc="The answer's id at the provider.")
    error_code: Mapped[str | None] = column(doc="Why there is none, as a code.")
    error_message: Mapped[str | None] = column(doc="Why there is none, and what to do.")
    is_retryable: Mapped[bool] = column(doc="Whether to ask again may help.", server_default=text("false"))
    attempts: Mapped[int] = column(doc="How often it was begun.", server_default=text("0"))
    due_at: Mapped[datetime | None] = column(doc="When the next thing is to be done.", server_default=NOW)
    fence: Mapped[int] = column(BigInteger, doc="How often a worker took it up.", server_default=text("0"))
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the session."""
        return NO_ROW if kind is ViewerKind.ANONYMOUS else [sees_session(cls.session_id, kind)]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """Whoever reads the session."""
        return NOBODY if kind is ViewerKind.ANONYMOUS else reads_session(cls.session_id, kind)
