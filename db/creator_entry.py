"""Creator entries: what clones earned, one row each time, never changed."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Uuid, text
from sqlalchemy.orm import Mapped

from db.base import NO_ROW, THIS_MOMENT, Alternatives, Row, Vocabulary, Words, column, created_at, money
from db.viewer import VIEWER_ID, ViewerKind


class CreatorEntryKind(Words):
    """Why what a clone has earned changed."""

    EARNING = "earning", "Somebody paid for time or for a message."
    REFUND = "refund", "A session was refunded, and its earning taken back."
    OPENING = "opening", "What was earned before the ledger."
    EXTERNAL = "external", "Another program changed it."
    UNKNOWN = "unknown", "A word that is not in this list."


class CreatorEntry(Row):
    """One change of what a clone has earned. Seen by its creator."""

    __tablename__ = "creator_entries"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="creator_entries_amount_check"),
        Index("idx_creator_entries_creator_created", "creator_id", "created_at", "id"),
        Index("idx_creator_entries_clone_created", "clone_id", "created_at", "id"),
        Index("idx_creator_entries_clone_number", "clone_id", "number"),
        Index("idx_creator_entries_opening", "clone_id", unique=True, postgresql_where=text("kind = 'opening'")),
    )
    __order__ = (("created_at", "desc"), ("number", "desc"))

    number: Mapped[int] = column(BigInteger, Identity(always=True), doc="Counts up: the order of the entries.")
    creator_id: Mapped[UUID | None] = column(Uuid, doc="Who earned it: the clone's creator at the time.", indexed=True)
    clone_id: Mapped[UUID] = column(
        Uuid, doc="The clone that earned it, which an old program may have deleted since.", indexed=True
    )
    amount: Mapped[Decimal] = money(doc="By how much, in credits; negative when an earning was taken back.")
    kind: Mapped[str] = column(Vocabulary(CreatorEntryKind), doc="Why.", indexed=True)
    session_id: Mapped[UUID | None] = column(Uuid, doc="The session it was earned in.", indexed=True)
    credit_entry_id: Mapped[UUID | None] = column(Uuid, doc="The entry by which it was paid.", indexed=True)
    earned_after: Mapped[Decimal] = money(doc="What the clone had earned in all after it, in credits.")
    created_at: Mapped[datetime] = created_at(default=THIS_MOMENT)

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """The creator."""
        return [cls.creator_id == VIEWER_ID] if kind is ViewerKind.CREATOR else NO_ROW
