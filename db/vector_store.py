"""Vector stores: where the provider keeps documents for search, and the state of each file in them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    SQLColumnExpression,
    UniqueConstraint,
    any_,
    exists,
    func,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Mapped, aliased

from db.base import (
    NO_ROW,
    Alternatives,
    Condition,
    Row,
    Vocabulary,
    Words,
    column,
    created_at,
    updated_at,
)
from db.clone import Clone
from db.user import owned_by_viewer
from db.viewer import VIEWER_ID, ViewerKind


class StoreOwner(Words):
    """What a vector store was made for."""

    DOMAIN = "domain", "A domain."
    EXPERT = "expert", "An expert."
    CLIENT = "client", "A client."
    UNKNOWN = "unknown", "A word that is not in this list."


class FileStatus(Words):
    """How far the provider is with a file."""

    PENDING = "pending", "Not begun."
    IN_PROGRESS = "in_progress", "The provider is working on it."
    COMPLETED = "completed", "It can be searched."
    FAILED = "failed", "It could not be read; the error says why."
    CANCELLED = "cancelled", "It was given up."
    UNKNOWN = "unknown", "A word that is not in this list."


class VectorStore(Row):
    """A provider's store of documents. Seen by its owner and by creators whose clones use it."""

    __tablename__ = "vector_stores"
    __order__ = (("created_at", "asc"),)

    vector_id: Mapped[str] = column(doc="The store's id at the provider.", unique=True, indexed=True)
    domain_name: Mapped[str] = column(
        ForeignKey("domains.domain_name", ondelete="CASCADE", onupdate="CASCADE"),
        doc="The name of the domain.",
        indexed=True,
    )
    expert_name: Mapped[str | None] = column(doc="The name of the expert, if the store is an expert's.", indexed=True)
    client_name: Mapped[str | None] = column(doc="The client the store is for, as written then.")
    file_ids: Mapped[list[str] | None] = column(
        doc="The files in the store, by their ids at the provider.", server_default=text("'{}'")
    )
    batch_ids: Mapped[list[str] | None] = column(
        doc="The batches that filled the store, by their ids at the provider.", server_default=text("'{}'")
    )
    latest_batch_id: Mapped[str | None] = column(doc="The newest of the batches.")
    owner_kind: Mapped[str] = column(
        "owner", Vocabulary(StoreOwner), doc="What the store was made for.", indexed="idx_vector_stores_owner"
    )
    created_at: Mapped[datetime | None] = created_at(nullable=True)
    updated_at: Mapped[datetime | None] = updated_at(nullable=True)
    owner_id: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who owns the store; null when it is the platform's.",
        indexed=True,
    )
    provider: Mapped[str | None] = column(
        doc="Where the store is: `openai` or `local`; null when another program made it."
    )

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """To creators: their own stores and those that their clones use."""
        if kind is not ViewerKind.CREATOR:
            return NO_ROW
        return [cls.owner_id == VIEWER_ID, _own_clone_uses(cls.vector_id)]

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """The store's owner."""
        return owned_by_viewer(cls, kind)


class StoreFile(Row):
    """One document in one vector store, and how far the provider is with it."""

    __tablename__ = "store_files"
    __table_args__ = (
        UniqueConstraint("vector_store_id", "document_id"),
        Index("idx_store_files_knowledge", "vector_store_id", "knowledge_id", unique=True),
        Index("idx_store_files_clone", "vector_store_id", "clone_id", unique=True),
    )
    __order__ = (("created_at", "asc"),)

    vector_store_id: Mapped[UUID] = column(
        ForeignKey("vector_stores.id", ondelete="CASCADE"), doc="The store.", indexed=True
    )
    document_id: Mapped[UUID | None] = column(
        ForeignKey("documents.id", ondelete="CASCADE"), doc="The document, if the file is one.", indexed=True
    )
    file_id: Mapped[str | None] = column(doc="The file's id at the provider, once there is one.", indexed=True)
    batch_id: Mapped[str | None] = column(doc="The batch that brought the file, by its id at the provider.")
    status: Mapped[str] = column(
        Vocabulary(FileStatus), doc="How far the provider is with it.", indexed=True, server_default=text("'pending'")
    )
    error: Mapped[str | None] = column(doc="Why it failed, in the provider's words.")
    size_bytes: Mapped[int | None] = column(BigInteger, doc="The size, in bytes.")
    knowledge_id: Mapped[UUID | None] = column(
        ForeignKey("knowledge.id", ondelete="CASCADE"),
        doc="The knowledge of a clone, if the file is some.",
        indexed=True,
    )
    clone_id: Mapped[UUID | None] = column(
        ForeignKey("clones.id", ondelete="CASCADE"),
        doc="The clone whose questions and answers it holds, if the file does.",
        indexed=True,
    )
    sha256: Mapped[str | None] = column(doc="The SHA-256 of what readers find.")
    incoming_file_id: Mapped[str | None] = column(
        doc="The file that is to take its place once it can be searched, by its id at the provider.", indexed=True
    )
    incoming_sha256: Mapped[str | None] = column(doc="The SHA-256 of what is in that.")
    removed_at: Mapped[datetime | None] = column(
        doc="When it was taken out of the store; its row goes once the provider has let go of the file."
    )
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the store."""
        return [sees_store(cls.vector_store_id)] if kind is ViewerKind.CREATOR else NO_ROW


def sees_store(store_id: SQLColumnExpression[UUID]) -> Condition:
    """Whether the viewer, a creator, sees the vector store with this id. Conditions on other rows are made of it.

    The stores are looked up once for a statement, as an array: the files of a document or of a store are many.
    """
    own, used, mine = aliased(VectorStore), aliased(VectorStore), aliased(Clone)
    stores = union_all(
        select(own.id).where(own.owner_id == VIEWER_ID),
        select(used.id).join(mine, mine.vector_store_id == used.vector_id).where(mine.creator_id == VIEWER_ID),
    )
    return store_id == any_(func.array(stores.scalar_subquery()))


def _own_clone_uses(vector_id: SQLColumnExpression[str]) -> Condition:
    mine = aliased(Clone)
    return exists().where(mine.vector_store_id == vector_id, mine.creator_id == VIEWER_ID)
