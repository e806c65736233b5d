"""Documents: the texts that vector stores are filled from."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Subquery, and_, exists, select, text, union
from sqlalchemy.orm import Mapped, aliased

from db.base import NO_ROW, NOBODY, Alternatives, Condition, Row, column
from db.clone import Clone
from db.domain import Domain
from db.user import owned_by_viewer
from db.vector_store import StoreFile, VectorStore, sees_store
from db.viewer import VIEWER_ID, ViewerKind


class Document(Row):
    """A text of a domain. Creators see the shared ones and their own."""

    __tablename__ = "documents"
    __table_args__ = (Index("idx_documents_domain_name", "domain", "name", "id"),)
    __order__ = (("name", "asc"),)
    __search__ = ("name",)

    name: Mapped[str] = column(doc="The document's name; no two are the same.", unique=True, indexed=True)
    document_link: Mapped[str] = column(doc="Where the text is.", private=True)
    created_by: Mapped[str | None] = column(doc="Who brought the document in, as written then.", private=True)
    domain_name: Mapped[str] = column(
        "domain",
        ForeignKey("domains.domain_name", ondelete="CASCADE", onupdate="CASCADE"),
        doc="The name of the document's domain.",
        indexed="idx_documents_domain",
    )
    included_in_default: Mapped[bool] = column(
        doc="Whether the domain's default vector store holds the document.", indexed=True, server_default=text("false")
    )
    client_name: Mapped[str | None] = column(doc="The client the document is for, as written then.", private=True)
    openai_file_id: Mapped[str | None] = column(doc="The document's file at the provider.", private=True, indexed=True)
    owner_id: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who owns the document; null when it is shared.",
        indexed=True,
    )
    sha256: Mapped[str | None] = column(doc="The SHA-256 of the file, once it is known.", private=True)
    size_bytes: Mapped[int | None] = column(BigInteger, doc="The size of the file, in bytes.")
    media_type: Mapped[str | None] = column(doc="The media type of the file.")
    original_url: Mapped[str | None] = column(
        doc="Where the text was fetched from, if it came by a link.", private=True
    )
    deleted_at: Mapped[datetime | None] = column(
        doc="When it was deleted; its row goes once the provider has let go of the file."
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """To creators: the shared documents, until they are deleted, and their own."""
        if kind is ViewerKind.CREATOR:
            return [and_(cls.owner_id.is_(None), cls.deleted_at.is_(None)), cls.owner_id == VIEWER_ID]
        return NO_ROW

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """The owner, and the creator of a clone whose vector store holds the document."""
        if kind is not ViewerKind.CREATOR:
            return NOBODY
        file = aliased(StoreFile)
        return (cls.owner_id == VIEWER_ID) | exists().where(
            file.document_id == cls.id, sees_store(file.vector_store_id)
        )

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The document's owner."""
        return owned_by_viewer(cls, kind)


def clone_documents() -> Subquery[Any]:
    """Pairs of clone and document: those of the clone's domain, and those in the clone's own vector store."""
    of_domain = (
        select(Clone.id.label("clone_id"), Document.id.label("document_id"))
        .join(Domain, Domain.id == Clone.domain_id)
        .join(Document, Document.domain_name == Domain.name)
    )
    in_own_store = (
        select(Clone.id.label("clone_id"), StoreFile.document_id.label("document_id"))
        .join(VectorStore, VectorStore.vector_id == Clone.vector_store_id)
        .join(StoreFile, StoreFile.vector_store_id == VectorStore.id)
        .where(StoreFile.document_id.is_not(None))
    )
    return union(of_domain, in_own_store).subquery("clone_documents")
