"""Domains: the fields of knowledge that clones, experts and documents belong to."""

from uuid import UUID

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped

from db.base import EVERY_ROW, Alternatives, Condition, Row, column
from db.user import owned_by_viewer
from db.viewer import ViewerKind


class Domain(Row):
    """A field of knowledge. Everybody sees all of them."""

    __tablename__ = "domains"
    __order__ = (("name", "asc"),)

    name: Mapped[str] = column("domain_name", doc="The domain's name; no two are the same.", unique=True, indexed=True)
    expert_names: Mapped[list[str] | None] = column(
        doc="The names of the domain's experts: a copy of the experts' own rows, kept for old programs.",
        server_default=text("'{}'"),
    )
    owner_id: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who owns the domain; null when it is the platform's.",
        indexed=True,
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Everybody."""
        return EVERY_ROW

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The domain's owner."""
        return owned_by_viewer(cls, kind)
