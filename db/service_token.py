"""Tokens of services: analytics tools and back ends, which ask in nobody's name."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, Uuid, text
from sqlalchemy.orm import Mapped

from db.base import NOW, Base, column
from db.viewer import Viewer, ViewerKind

PREFIX = "cgs_"
"""What every service token begins with, so that a scanner of leaked secrets knows one."""


class Scope(StrEnum):
    """What a service may do. Each word but the first lets it send mutations, which ask for the one they need."""

    READ = "read"
    """Reads whatever an admin reads."""
    SESSIONS = "sessions"
    """Opens, pauses and ends sessions for people, records their messages, and says what these cost."""
    CREDITS = "credits"
    """Tops balances up, corrects them, and refunds sessions."""


class ServiceToken(Base):
    """A token of a service. The text of it is shown once and kept nowhere."""

    __tablename__ = "service_tokens"
    __table_args__ = (
        Index("idx_service_tokens_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
        CheckConstraint("octet_length(token_hash) = 32", name="service_tokens_token_hash_check"),
        CheckConstraint("'read' = ANY (scopes)", name="service_tokens_scopes_check"),
    )

    id: Mapped[UUID] = column(Uuid, doc="The key.", primary_key=True, server_default=text("gen_random_uuid()"))
    name: Mapped[str] = column(doc="What the operator calls the service.")
    token_hash: Mapped[bytes] = column(LargeBinary, doc="The SHA-256 of the token.", unique=True)
    scopes: Mapped[list[str]] = column(doc="What the service may do, as words of Scope.")
    created_at: Mapped[datetime] = column(doc="When the token was made.", server_default=NOW)
    expires_at: Mapped[datetime | None] = column(doc="When it ends; null if never.")
    revoked_at: Mapped[datetime | None] = column(doc="When it was revoked; null if it was not.")
    last_used_at: Mapped[datetime | None] = column(doc="When it was last used, give or take a minute.")


def may_change(viewer: Viewer) -> bool:
    """Whether mutations are open to a viewer at all. Each still asks whether it is itself."""
    return viewer.kind is not ViewerKind.SERVICE or bool(viewer.scopes - {Scope.READ})
