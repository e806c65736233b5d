"""Clones: the AI experts of the marketplace."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Double, ForeignKey, SQLColumnExpression, and_, exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import (
    NOBODY,
    Alternatives,
    Base,
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


class MemoryType(Words):
    """What a clone remembers between sessions, and whose knowledge it shares."""

    EXPERT = "expert", "What its expert knows."
    DOMAIN = "domain", "What the whole domain knows."
    CLIENT = "client", "What one client told it."
    UNKNOWN = "unknown", "A word that is not in this list."


class Clone(Row):
    """An AI expert that a creator offers. Public once published and active; before that its creator's own."""

    __tablename__ = "clones"
    __order__ = (("created_at", "asc"),)
    __search__ = ("name", "category", "bio")

    creator_id: Mapped[UUID | None] = column(ForeignKey("user_profiles.id"), doc="Who created the clone.", indexed=True)
    name: Mapped[str] = column(doc="The clone's name.", indexed=True)
    bio: Mapped[str | None] = column(doc="What the clone says about itself.")
    category: Mapped[str | None] = column(doc="The shelf in the marketplace.", indexed=True)
    expertise_areas: Mapped[list[str]] = column(doc="What the clone knows about.", server_default=text("'{}'"))
    base_price: Mapped[Decimal] = money(
        doc="The price of a minute, in credits.", indexed=True, server_default=text("0")
    )
    personality_traits: Mapped[dict[str, Any]] = column(
        doc="How the clone's character is set.", private=True, server_default=text("'{}'")
    )
    communication_style: Mapped[dict[str, Any]] = column(
        doc="How the clone is told to speak.", private=True, server_default=text("'{}'")
    )
    system_prompt: Mapped[str | None] = column(doc="The instruction the clone works by.", private=True)
    temperature: Mapped[float] = column(
        Double, doc="How freely the model may word an answer, from 0 to 2.", private=True, server_default=text("0.7")
    )
    max_tokens: Mapped[int] = column(doc="The longest answer, in tokens.", private=True, server_default=text("1024"))
    is_published: Mapped[bool] = column(
        doc="Whether the clone is in the marketplace.", indexed=True, server_default=text("false")
    )
    is_active: Mapped[bool] = column(doc="Whether the clone takes sessions.", server_default=text("true"))
    total_sessions: Mapped[int] = column(doc="How many sessions there were.", indexed=True, server_default=text("0"))
    total_earnings: Mapped[Decimal] = money(
        doc="What the clone has earned, in credits.", private=True, server_default=text("0")
    )
    average_rating: Mapped[Decimal | None] = column(
        doc="The mean of all ratings, from 1 to 5; null before the first.", indexed=True
    )
    total_ratings: Mapped[int] = column(doc="How many ratings there were.", server_default=text("0"))
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()
    published_at: Mapped[datetime | None] = column(doc="When the clone was published.", indexed=True)
    domain_id: Mapped[UUID | None] = column(
        ForeignKey("domains.id", ondelete="SET NULL"), doc="The domain the clone works in.", indexed="idx_clones_domain"
    )
    rag_assistant_id: Mapped[str | None] = column(
        doc="The assistant that answers, by its id at the provider.", private=True, indexed=True
    )
    vector_store_id: Mapped[str | None] = column(
        doc="The clone's own vector store, by its id at the provider.", private=True, indexed=True
    )
    expert_context: Mapped[str | None] = column(doc="What the clone's experts add to its instruction.", private=True)
    memory_type: Mapped[str | None] = column(
        Vocabulary(MemoryType),
        doc="What the clone remembers, and whose knowledge it shares.",
        server_default=text("'expert'"),
    )
    openai_file_ids: Mapped[list[str] | None] = column(
        doc="The files at the provider that the clone knows.", private=True, server_default=text("'{}'")
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Published and active clones to everybody, and one's own."""
        public = and_(cls.is_published, cls.is_active)
        return [public] if kind is ViewerKind.ANONYMOUS else [public, cls.creator_id == VIEWER_ID]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The clone's creator."""
        return cls.creator_id == VIEWER_ID if kind is ViewerKind.CREATOR else NOBODY

    editable_by = private_to


class CloneExpert(Base):
    """Which experts stand behind a clone."""

    __tablename__ = "clone_experts"

    clone_id: Mapped[UUID] = column(ForeignKey("clones.id", ondelete="CASCADE"), doc="The clone.", primary_key=True)
    expert_name: Mapped[str] = column(
        ForeignKey("experts.name", ondelete="CASCADE", onupdate="CASCADE"),
        doc="The expert, by name.",
        primary_key=True,
        index=True,
    )


def owns_clone(clone_id: SQLColumnExpression[Any]) -> Condition:
    """Whether the viewer created the clone with this id. Conditions on other rows are made of it."""
    mine = aliased(Clone)
    return exists().where(mine.id == clone_id, mine.creator_id == VIEWER_ID)


def is_public(clone_id: SQLColumnExpression[UUID]) -> Condition:
    """Whether the clone with this id is published and active."""
    public = aliased(Clone)
    return exists().where(public.id == clone_id, public.is_published, public.is_active)
