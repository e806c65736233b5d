"""Sessions: paid conversations between a person and a clone."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, SmallInteger, SQLColumnExpression, exists, text
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
    updated_at,
)
from db.clone import owns_clone
from db.viewer import VIEWER_ID, ViewerKind


class SessionType(Words):
    """How a session is held."""

    CHAT = "chat", "In writing."
    VOICE = "voice", "By voice."
    VIDEO = "video", "By video."
    UNKNOWN = "unknown", "A word that is not in this list."


class SessionStatus(Words):
    """Where a session is in its life."""

    ACTIVE = "active", "Going on."
    PAUSED = "paused", "Interrupted; the pause is free."
    ENDED = "ended", "Over, for good."
    UNKNOWN = "unknown", "A word that is not in this list."


class EndReason(Words):
    """Why a session ended."""

    USER = "user", "The person ended it."
    OPERATOR = "operator", "A service or an admin ended it."
    CREDITS_EXHAUSTED = "credits_exhausted", "The credits did not reach to the end of a minute."
    DEMO_OVER = "demo_over", "It was a free demonstration, and its time was up."
    ABANDONED = "abandoned", "Nobody said anything for long."
    UNKNOWN = "unknown", "A word that is not in this list."


class Session(Row):
    """A paid conversation. Seen by the person who pays and by the clone's creator."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("idx_sessions_user_start", "user_id", "start_time", "id"),
        Index("idx_sessions_clone_start", "clone_id", "start_time", "id"),
        Index(
            "idx_sessions_open",
            "user_id",
            "clone_id",
            unique=True,
            postgresql_where=text("last_active_at IS NOT NULL AND status <> 'ended'"),
        ),
        Index(
            "idx_sessions_metered",
            "metered_until",
            "last_active_at",
            postgresql_where=text("last_active_at IS NOT NULL AND (metered_until IS NOT NULL OR status <> 'ended')"),
        ),
    )
    __order__ = (("start_time", "desc"),)

    user_id: Mapped[UUID] = column(ForeignKey("user_profiles.id", ondelete="CASCADE"), doc="Who pays.", indexed=True)
    clone_id: Mapped[UUID] = column(ForeignKey("clones.id", ondelete="CASCADE"), doc="Who answers.", indexed=True)
    session_type: Mapped[str] = column(
        Vocabulary(SessionType), doc="How the session is held.", indexed=True, server_default=text("'chat'")
    )
    status: Mapped[str] = column(
        Vocabulary(SessionStatus),
        doc="Where the session is in its life.",
        indexed=True,
        server_default=text("'active'"),
    )
    start_time: Mapped[datetime] = column(doc="When it began.", indexed=True, server_default=text("now()"))
    end_time: Mapped[datetime | None] = column(doc="When it ended; null while it is open.", indexed=True)
    duration_minutes: Mapped[Decimal | None] = column(Numeric, doc="How long it took, in minutes.", indexed=True)
    rate_per_minute: Mapped[Decimal | None] = money(doc="The price of a minute, in credits, as it was at the start.")
    total_cost: Mapped[Decimal | None] = money(doc="What the session cost so far, in credits.", indexed=True)
    message_count: Mapped[int] = column(doc="How many messages there are.", server_default=text("0"))
    user_rating: Mapped[int | None] = column(
        SmallInteger, doc="What the person thought of it, from 1 to 5.", indexed=True
    )
    user_feedback: Mapped[str | None] = column(doc="What the person wrote about it.")
    demo_mode: Mapped[bool] = column(doc="Whether it is a free demonstration.", server_default=text("false"))
    session_metadata: Mapped[dict[str, Any]] = column(
        doc="Whatever the person's application noted.", private=True, server_default=text("'{}'")
    )
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()
    transcript_shared_at: Mapped[datetime | None] = column(
        doc="When the person let the clone's creator read the messages; null if not."
    )
    last_active_at: Mapped[datetime | None] = column(
        doc="When something last happened in it; null if another program keeps and bills it."
    )
    metered_until: Mapped[datetime | None] = column(
        doc="Up to when its time is charged; null while it is paused, and once it is over."
    )
    billable_seconds: Mapped[Decimal] = column(
        Numeric, doc="How many seconds of it are charged, without pauses.", server_default=text("0")
    )
    time_cost: Mapped[Decimal] = money(
        doc="What these seconds cost, in credits. The rest of the cost is that of messages, less what was refunded.",
        server_default=text("0"),
    )
    end_reason: Mapped[str | None] = column(Vocabulary(EndReason), doc="Why it ended; null while it is open.")

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """One's own sessions, and those on one's own clones."""
        if kind is ViewerKind.ANONYMOUS:
            return NO_ROW
        own = cls.user_id == VIEWER_ID
        return [own, owns_clone(cls.clone_id)] if kind is ViewerKind.CREATOR else [own]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The person who pays."""
        return NOBODY if kind is ViewerKind.ANONYMOUS else cls.user_id == VIEWER_ID

    editable_by = private_to


def sees_session(session_id: SQLColumnExpression[UUID], kind: ViewerKind) -> Condition:
    """Whether the viewer sees the session with this id. Conditions on other rows are made of it."""
    session: Any = aliased(Session)
    seen: Condition = session.user_id == VIEWER_ID
    if kind is ViewerKind.CREATOR:
        seen = seen | owns_clone(session.clone_id)
    return exists().where(session.id == session_id, seen)


def reads_session(session_id: SQLColumnExpression[UUID], kind: ViewerKind) -> Condition:
    """Whether the viewer may read the messages of the session with this id: an own one, or one that was shared."""
    session: Any = aliased(Session)
    read: Condition = session.user_id == VIEWER_ID
    if kind is ViewerKind.CREATOR:
        read = read | (session.transcript_shared_at.is_not(None) & owns_clone(session.clone_id))
    return exists().where(session.id == session_id, read)
