"""What was counted: creators' days, and clones' memory."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, Date, Double, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped

from db.base import (
    NO_ROW,
    Alternatives,
    Row,
    column,
    created_at,
    money,
    updated_at,
)
from db.clone import owns_clone
from db.viewer import VIEWER_ID, ViewerKind


class CreatorAnalytics(Row):
    """One clone's day, as its creator's figures. Seen by the creator."""

    __tablename__ = "creator_analytics"
    __table_args__ = (Index("idx_creator_analytics_creator_day", "creator_id", "date", "id"),)
    __order__ = (("day", "desc"),)

    creator_id: Mapped[UUID] = column(
        ForeignKey("user_profiles.id", ondelete="CASCADE"), doc="The creator.", indexed=True
    )
    clone_id: Mapped[UUID | None] = column(ForeignKey("clones.id", ondelete="CASCADE"), doc="The clone.", indexed=True)
    day: Mapped[date] = column("date", Date, doc="The day, in UTC.", indexed="idx_creator_analytics_date")
    total_sessions: Mapped[int] = column(doc="Sessions that began on the day.", server_default=text("0"))
    total_minutes: Mapped[Decimal] = column(Numeric, doc="Minutes talked.", server_default=text("0"))
    total_messages: Mapped[int] = column(doc="Messages written.", server_default=text("0"))
    unique_users: Mapped[int] = column(doc="Different people.", server_default=text("0"))
    total_revenue: Mapped[Decimal] = money(doc="What was earned, in credits.", server_default=text("0"))
    average_rating: Mapped[Decimal | None] = column(doc="The mean of the day's ratings, from 1 to 5.")
    new_ratings: Mapped[int] = column(doc="Ratings given on the day.", server_default=text("0"))
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """The creator."""
        return [cls.creator_id == VIEWER_ID] if kind is ViewerKind.CREATOR else NO_ROW


class MemoryUsage(Row):
    """How much a clone remembered on a day, and how well that served. Seen by the clone's creator."""

    __tablename__ = "memory_usage_stats"
    __order__ = (("day", "desc"),)

    clone_id: Mapped[UUID] = column(ForeignKey("clones.id", ondelete="CASCADE"), doc="The clone.", indexed=True)
    day: Mapped[date] = column("date", Date, doc="The day, in UTC.", indexed="idx_memory_usage_stats_date")
    items: Mapped[int] = column(doc="Things remembered.", server_default=text("0"))
    tokens: Mapped[int] = column(BigInteger, doc="Their size, in tokens.", server_default=text("0"))
    size_bytes: Mapped[int] = column("bytes", BigInteger, doc="Their size, in bytes.", server_default=text("0"))
    hits: Mapped[int] = column(doc="Times something fitting was found.", server_default=text("0"))
    misses: Mapped[int] = column(doc="Times nothing fitting was found.", server_default=text("0"))
    average_retrieval_ms: Mapped[float | None] = column(Double, doc="The mean time to find something, in milliseconds.")
    created_at: Mapped[datetime] = created_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """The clone's creator."""
        return [owns_clone(cls.clone_id)] if kind is ViewerKind.CREATOR else NO_ROW
