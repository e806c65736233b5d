"""Credits: every movement of a person's balance, one row each, never changed."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, Uuid, exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import (
    NO_ROW,
    NOBODY,
    THIS_MOMENT,
    Alternatives,
    Condition,
    Row,
    Vocabulary,
    Words,
    column,
    created_at,
    money,
)
from db.clone import owns_clone
from db.session import Session
from db.viewer import VIEWER_ID, ViewerKind


class CreditEntryKind(Words):
    """Why a balance moved."""

    TOP_UP = "top_up", "Credits were bought."
    SESSION_CHARGE = "session_charge", "Time in a session."
    MESSAGE_CHARGE = "message_charge", "A message."
    REFUND = "refund", "A charge was given back."
    ADJUSTMENT = "adjustment", "An admin corrected the balance."
    OPENING = "opening", "The balance from before the ledger."
    EXTERNAL = "external", "Another program changed the balance."
    UNKNOWN = "unknown", "A word that is not in this list."


class CreditEntry(Row):
    """One movement of a person's balance. Seen by the person, and by the creator whose clone earned it."""

    __tablename__ = "credit_entries"
    __table_args__ = (
        UniqueConstraint("user_id", "actor", "idempotency_key", name="credit_entries_idempotency_key"),
        CheckConstraint("amount <> 0 OR kind IN ('opening', 'external')", name="credit_entries_amount_check"),
        Index("idx_credit_entries_user_created", "user_id", "created_at", "id"),
        Index("idx_credit_entries_user_number", "user_id", "number"),
        Index("idx_credit_entries_opening", "user_id", unique=True, postgresql_where=text("kind = 'opening'")),
    )
    __order__ = (("created_at", "desc"), ("number", "desc"))

    number: Mapped[int] = column(BigInteger, Identity(always=True), doc="Counts up: the order of the entries.")
    user_id: Mapped[UUID] = column(
        Uuid, doc="Whose balance moved: a person whom an old program may have deleted since.", indexed=True
    )
    amount: Mapped[Decimal] = money(doc="By how much, in credits; negative when they were spent.")
    kind: Mapped[str] = column(Vocabulary(CreditEntryKind), doc="Why.", indexed=True)
    session_id: Mapped[UUID | None] = column(
        Uuid, doc="The session it paid for, which an old program may have deleted since.", indexed=True
    )
    message_id: Mapped[UUID | None] = column(
        Uuid, doc="The message it paid for, which an old program may have deleted since.", indexed=True
    )
    balance_after: Mapped[Decimal] = money(doc="The balance after it, in credits.", private=True)
    spent_after: Mapped[Decimal] = money(doc="What the person had spent in all after it, in credits.", private=True)
    actor: Mapped[str | None] = column(
        doc="Who moved it: `user:` or `service:` and the id; null if time did, or another program."
    )
    reason: Mapped[str | None] = column(doc="What whoever moved it wrote about it.", private=True)
    idempotency_key: Mapped[UUID | None] = column(Uuid, doc="The key under which the mutation was sent.", private=True)
    created_at: Mapped[datetime] = created_at(default=THIS_MOMENT)

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """The person, and the creator of the clone that was paid."""
        if kind is ViewerKind.ANONYMOUS:
            return NO_ROW
        own = cls.user_id == VIEWER_ID
        if kind is ViewerKind.USER:
            return [own]
        session: Any = aliased(Session)
        earned = exists().where(session.id == cls.session_id, owns_clone(session.clone_id))
        return [own, earned]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The person."""
        return NOBODY if kind is ViewerKind.ANONYMOUS else cls.user_id == VIEWER_ID
