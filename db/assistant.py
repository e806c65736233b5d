"""Assistants: what answers for an expert, and the versions of how it is configured."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Double, ForeignKey, SQLColumnExpression, UniqueConstraint, exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import NO_ROW, Alternatives, Condition, Row, Vocabulary, column, created_at, updated_at
from db.clone import Clone, MemoryType
from db.user import owned_by_viewer
from db.viewer import VIEWER_ID, ViewerKind


class Assistant(Row):
    """What answers for an expert. Seen by its owner and by creators whose clones use it."""

    __tablename__ = "assistants"
    __order__ = (("created_at", "asc"),)

    assistant_id: Mapped[str] = column(
        doc="The assistant's public id; those that begin with asst_ come from a retired API.", unique=True, indexed=True
    )
    expert_name: Mapped[str] = column(
        ForeignKey("experts.name", ondelete="CASCADE", onupdate="CASCADE"),
        doc="The name of the expert it answers for.",
        indexed="idx_assistants_expert",
    )
    memory_type: Mapped[str] = column(Vocabulary(MemoryType), doc="What it remembers.", indexed=True)
    client_name: Mapped[str | None] = column(doc="The client it is for, as written then.")
    vector_id: Mapped[str | None] = column(doc="The vector store it searches, by its id at the provider.", indexed=True)
    created_at: Mapped[datetime | None] = created_at(nullable=True)
    updated_at: Mapped[datetime | None] = updated_at(nullable=True)
    owner_id: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who owns the assistant; null when it is the platform's.",
        indexed=True,
    )
    config_id: Mapped[UUID | None] = column(
        ForeignKey("assistant_configs.id", ondelete="SET NULL", use_alter=True),
        doc="The configuration in force.",
        indexed=True,
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """To creators: their own assistants and those that their clones use."""
        if kind is not ViewerKind.CREATOR:
            return NO_ROW
        return [cls.owner_id == VIEWER_ID, _answers_for_own_clone(cls.assistant_id)]

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The assistant's owner."""
        return owned_by_viewer(cls, kind)


class AssistantConfig(Row):
    """One version of how an assistant is configured. A version never changes; a change makes the next one."""

    __tablename__ = "assistant_configs"
    __table_args__ = (UniqueConstraint("assistant_id", "version"),)
    __order__ = (("version", "desc"),)

    assistant_id: Mapped[UUID] = column(
        ForeignKey("assistants.id", ondelete="CASCADE"), doc="The assistant.", indexed=True
    )
    version: Mapped[int] = column(doc="1 for the first, then counting up.", indexed=True)
    model: Mapped[str] = column(doc="The provider's model.")
    instructions: Mapped[str] = column(doc="What the model is told before every answer.")
    vector_store_ids: Mapped[list[str]] = column(
        doc="The vector stores it searches, by their ids at the provider.", server_default=text("'{}'")
    )
    temperature: Mapped[float | None] = column(Double, doc="How freely an answer may be worded, from 0 to 2.")
    max_output_tokens: Mapped[int | None] = column(doc="The longest answer, in tokens.")
    created_at: Mapped[datetime] = created_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the assistant."""
        return [sees_assistant(cls.assistant_id)] if kind is ViewerKind.CREATOR else NO_ROW


def sees_assistant(key: SQLColumnExpression[UUID]) -> Condition:
    """Whether the viewer, a creator, sees the assistant with this id. Conditions on other rows are made of it."""
    assistant: Any = aliased(Assistant)
    return exists().where(
        assistant.id == key, (assistant.owner_id == VIEWER_ID) | _answers_for_own_clone(assistant.assistant_id)
    )


def _answers_for_own_clone(assistant_id: SQLColumnExpression[str]) -> Condition:
    mine = aliased(Clone)
    return exists().where(mine.rag_assistant_id == assistant_id, mine.creator_id == VIEWER_ID)
