"""Idempotency keys: what a client sends with a mutation, so that sending it again does nothing again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Uuid
from sqlalchemy.orm import Mapped

from db.base import NOW, Base, column


class IdempotencyKey(Base):
    """A key, and the row that its mutation was about. Written in the transaction of the effect."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idx_idempotency_keys_created", "created_at"),)

    actor: Mapped[str] = column(doc="Who sent it: `user:` or `service:` and the id.", primary_key=True)
    key: Mapped[UUID] = column(Uuid, doc="The key.", primary_key=True)
    request_hash: Mapped[bytes] = column(LargeBinary, doc="The SHA-256 of the mutation's name and input.")
    subject: Mapped[UUID] = column(Uuid, doc="The row that the mutation was about.")
    created_at: Mapped[datetime] = column(doc="When it was first sent.", server_default=NOW)
