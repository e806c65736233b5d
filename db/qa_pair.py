"""Questions, and the answers that a clone is to give."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Double, ForeignKey, text
from sqlalchemy.orm import Mapped

from db.base import NO_ROW, NOBODY, Alternatives, Condition, Row, column, created_at, updated_at
from db.clone import owns_clone
from db.viewer import ViewerKind


class QaPair(Row):
    """A question and the answer a clone is to give. Seen by the clone's creator."""

    __tablename__ = "clone_qa_data"
    __order__ = (("created_at", "asc"),)

    clone_id: Mapped[UUID] = column(ForeignKey("clones.id", ondelete="CASCADE"), doc="The clone.", indexed=True)
    question: Mapped[str] = column(doc="The question.")
    answer: Mapped[str] = column(doc="The answer to give.")
    source: Mapped[str | None] = column(doc="Where the pair came from.", indexed=True)
    quality: Mapped[float | None] = column(Double, doc="How good the pair is, from 0 to 1.", indexed=True)
    is_active: Mapped[bool] = column(doc="Whether the clone uses it.", indexed=True, server_default=text("true"))
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """The clone's creator."""
        return [owns_clone(cls.clone_id)] if kind is ViewerKind.CREATOR else NO_ROW

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The clone's creator."""
        return owns_clone(cls.clone_id) if kind is ViewerKind.CREATOR else NOBODY
