"""Events: what changed, written down by triggers whichever program changed it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped
from sqlalchemy.types import UserDefinedType

from db.base import NOW, Base, column

CHANNEL: Final = "clonegraph_events"
"""Where PostgreSQL notifies of new events. The rows say which."""


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's xid8: the number of a transaction, which no later one gets again."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """What PostgreSQL calls it."""
        return "xid8"


ischema_names["xid8"] = TransactionId


class Event(Base):
    """That a transaction changed a row. Several changes of it are one event."""

    __tablename__ = "events"
    __table_args__ = (Index("idx_events_subject", "subject", "transaction_id"),)

    transaction_id: Mapped[int] = column(
        TransactionId, doc="The transaction.", primary_key=True, server_default=text("pg_current_xact_id()")
    )
    kind: Mapped[str] = column(doc="What was changed, as its ids begin: `session`, `clone`.", primary_key=True)
    subject: Mapped[UUID] = column(doc="The id of the row.", primary_key=True)
    created_at: Mapped[datetime] = column(doc="When the transaction began.", server_default=NOW)
