"""Knowledge: what a creator gave a clone to know."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, and_, text
from sqlalchemy.orm import Mapped

from db.base import (
    NOBODY,
    Alternatives,
    Condition,
    Row,
    Vocabulary,
    Words,
    column,
    created_at,
    updated_at,
)
from db.clone import is_public, owns_clone
from db.viewer import ViewerKind


class ProcessingStatus(Words):
    """How far a piece of knowledge is on its way into a vector store."""

    PENDING = "pending", "Not begun."
    PROCESSING = "processing", "On its way."
    COMPLETED = "completed", "The clone knows it."
    FAILED = "failed", "It could not be read."
    UNKNOWN = "unknown", "A word that is not in this list."


class Knowledge(Row):
    """A file, text or link that a clone knows. Its title and preview are public when the clone is."""

    __tablename__ = "knowledge"
    __table_args__ = (Index("idx_knowledge_clone_type", "clone_id", "content_type"),)
    __order__ = (("created_at", "asc"),)
    __search__ = ("title", "content_preview")

    clone_id: Mapped[UUID] = column(
        ForeignKey("clones.id", ondelete="CASCADE"), doc="The clone that knows it.", indexed=True
    )
    title: Mapped[str] = column(doc="What it is called.", indexed=True)
    content_type: Mapped[str | None] = column(
        doc="The kind of content, such as pdf, text or url.", private=True, indexed=True
    )
    file_name: Mapped[str | None] = column(doc="The name of the uploaded file.", private=True)
    file_size_bytes: Mapped[int | None] = column(BigInteger, doc="The size of the file, in bytes.", private=True)
    file_type: Mapped[str | None] = column(doc="The media type of the file.", private=True)
    file_url: Mapped[str | None] = column(doc="Where the file is.", private=True)
    content_preview: Mapped[str | None] = column(doc="The first words of the content.")
    description: Mapped[str | None] = column(doc="What the creator says about it.", private=True)
    tags: Mapped[list[str]] = column(doc="Words to find it by.", private=True, server_default=text("'{}'"))
    details: Mapped[dict[str, Any]] = column(
        "metadata", doc="Whatever the uploading program noted.", private=True, server_default=text("'{}'")
    )
    original_url: Mapped[str | None] = column(doc="Where the content came from.", private=True)
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()
    domain_id: Mapped[UUID | None] = column(
        ForeignKey("domains.id", ondelete="SET NULL"), doc="The domain it belongs to.", indexed="idx_knowledge_domain"
    )
    openai_file_id: Mapped[str | None] = column(doc="Its file at the provider.", private=True)
    included_in_default: Mapped[bool | None] = column(
        doc="Whether the domain's default vector store holds it.", private=True, server_default=text("false")
    )
    processing_status: Mapped[str | None] = column(
        Vocabulary(ProcessingStatus),
        doc="How far it is on its way into the vector store.",
        private=True,
        indexed="idx_knowledge_processing",
        server_default=text("'pending'"),
    )
    vector_store_id: Mapped[str | None] = column(
        doc="The vector store that holds it, by its id at the provider.", private=True, indexed=True
    )
    sha256: Mapped[str | None] = column(doc="The SHA-256 of the content, once it is known.", private=True)
    deleted_at: Mapped[datetime | None] = column(
        doc="When it was deleted; its row goes once the provider has let go of the file.", private=True
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """What a published clone knows to everybody, until it is deleted, and what one's own clones know."""
        public = and_(is_public(cls.clone_id), cls.deleted_at.is_(None))
        return [public, owns_clone(cls.clone_id)] if kind is ViewerKind.CREATOR else [public]

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The clone's creator."""
        return owns_clone(cls.clone_id) if kind is ViewerKind.CREATOR else NOBODY

    editable_by = private_to
