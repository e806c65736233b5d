"""Experts: the voices inside a domain that clones and assistants speak with."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, exists
from sqlalchemy.orm import Mapped, aliased

from db.base import EVERY_ROW, NOBODY, Alternatives, Condition, Row, column
from db.clone import CloneExpert, owns_clone
from db.user import owned_by_viewer
from db.viewer import VIEWER_ID, ViewerKind


class Expert(Row):
    """An expert of a domain. Everybody sees the name; the context is for those whose clones use it."""

    __tablename__ = "experts"
    __table_args__ = (Index("idx_experts_domain_name", "domain", "name", "id"),)
    __order__ = (("name", "asc"),)
    __search__ = ("name", "domain_name")

    name: Mapped[str] = column(doc="The expert's name; no two are the same.", unique=True, indexed=True)
    domain_name: Mapped[str] = column(
        "domain",
        ForeignKey("domains.domain_name", ondelete="CASCADE", onupdate="CASCADE"),
        doc="The name of the expert's domain.",
        indexed="idx_experts_domain",
    )
    context: Mapped[str] = column(doc="What the expert knows and how it speaks.", private=True)
    owner_id: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who owns the expert; null when it is the platform's.",
        indexed=True,
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Everybody."""
        return EVERY_ROW

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The owner, and the creator of a clone that the expert is assigned to."""
        if kind is not ViewerKind.CREATOR:
            return NOBODY
        assigned = aliased(CloneExpert)
        return (cls.owner_id == VIEWER_ID) | exists().where(
            assigned.expert_name == cls.name, owns_clone(assigned.clone_id)
        )

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The expert's owner."""
        return owned_by_viewer(cls, kind)
