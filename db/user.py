"""People: those who pay to talk, those who create clones, and those who run the place."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import (
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
from db.viewer import VIEWER_ID, ViewerKind


class UserRole(Words):
    """What a person may do."""

    USER = "user", "Talks to clones."
    CREATOR = "creator", "Creates clones, and talks to them."
    ADMIN = "admin", "Runs the place."
    UNKNOWN = "unknown", "A word that is not in this list."


class SubscriptionTier(Words):
    """What a person subscribes to."""

    FREE = "free", "Pays nothing but credits."
    PRO = "pro", "Pays for more."
    ENTERPRISE = "enterprise", "Pays for a whole company."
    UNKNOWN = "unknown", "A word that is not in this list."


class User(Row):
    """A person. Strangers see the name and picture of creators only; everything else is the person's own."""

    __tablename__ = "user_profiles"
    __order__ = (("created_at", "asc"),)

    email: Mapped[str] = column(doc="The e-mail address.", private=True, unique=True)
    full_name: Mapped[str] = column(doc="The name that others see.", indexed=True)
    avatar_url: Mapped[str | None] = column(doc="Where the picture is.")
    role: Mapped[str] = column(
        Vocabulary(UserRole), doc="What this person may do.", private=True, indexed=True, server_default=text("'user'")
    )
    subscription_tier: Mapped[str] = column(
        Vocabulary(SubscriptionTier),
        doc="What this person subscribes to.",
        private=True,
        indexed=True,
        server_default=text("'free'"),
    )
    credits_remaining: Mapped[Decimal] = money(
        doc="The balance, in credits.", private=True, indexed=True, server_default=text("0")
    )
    total_spent: Mapped[Decimal] = money(
        doc="What this person has spent so far, in credits.", private=True, server_default=text("0")
    )
    preferences: Mapped[dict[str, Any]] = column(
        doc="Settings of the person's own application.", private=True, server_default=text("'{}'")
    )
    timezone: Mapped[str | None] = column(doc="The time zone, as an IANA name.", private=True)
    language: Mapped[str | None] = column(doc="The language, as a BCP 47 tag.", private=True)
    last_login: Mapped[datetime | None] = column(doc="When this person last logged in.", private=True)
    is_active: Mapped[bool] = column(doc="Whether this person may log in.", private=True, server_default=text("true"))
    is_verified: Mapped[bool] = column(
        doc="Whether the e-mail address was verified.", private=True, server_default=text("false")
    )
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Creators of published clones to everybody; oneself; and to a creator the users of own sessions."""
        from db.clone import Clone, owns_clone
        from db.session import Session

        public = aliased(Clone)
        creators = exists().where(public.creator_id == cls.id, public.is_published, public.is_active)
        if kind is ViewerKind.ANONYMOUS:
            return [creators]
        alternatives = [creators, cls.id == VIEWER_ID]
        if kind is ViewerKind.CREATOR:
            served = aliased(Session)
            alternatives.append(exists().where(served.user_id == cls.id, owns_clone(served.clone_id)))
        return alternatives

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """Only oneself."""
        return NOBODY if kind is ViewerKind.ANONYMOUS else cls.id == VIEWER_ID

    editable_by = private_to


def owned_by_viewer(row: type[Any], kind: ViewerKind) -> Condition:
    """Whether the viewer owns a row that has an `owner_id`. Rows without an owner are the platform's."""
    if kind is ViewerKind.ANONYMOUS:
        return NOBODY
    owned: Condition = row.owner_id == VIEWER_ID
    return owned
