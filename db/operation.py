"""Operations: what is done at the AI provider, step by step, and what there is at the provider because of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Index, UniqueConstraint, Uuid, exists, text
from sqlalchemy.orm import Mapped, aliased

from db.base import (
    NO_ROW,
    NOBODY,
    NOW,
    Alternatives,
    Base,
    Condition,
    Row,
    Vocabulary,
    Words,
    column,
    created_at,
    updated_at,
)
from db.clone import owns_clone
from db.viewer import VIEWER_ID, ViewerKind


class OperationKind(Words):
    """What an operation is to bring about."""

    PROVISION_STORE = "provision_store", "A vector store with its files."
    PROVISION_ASSISTANT = "provision_assistant", "A vector store with its files, and an assistant that searches it."
    PROVISION_CLONE = "provision_clone", "All that a clone needs to answer: files, vector store, assistant."
    SYNC = "sync", "That a vector store holds what it should hold by now."
    DEPROVISION = "deprovision", "That nothing of it is left at the provider."
    DELETE = "delete", "That it is deleted, with all that is at the provider because of it."
    REPAIR = "repair", "That the provider holds what the database says."
    UNKNOWN = "unknown", "A word that is not in this list."


class OperationStatus(Words):
    """How far an operation is."""

    QUEUED = "queued", "Not begun."
    UPLOADING = "uploading", "Files are sent to the provider."
    CREATING_STORE = "creating_store", "The vector store is being made."
    ATTACHING = "attaching", "Files are put into the vector store."
    INDEXING = "indexing", "The provider reads the files."
    CONFIGURING = "configuring", "The assistant is being set up."
    DELETING = "deleting", "Things at the provider are being deleted."
    READY = "ready", "Done."
    READY_PARTIAL = "ready_partial", "Done, but for some files. The steps say which, and why."
    FAILED = "failed", "Given up. The error says why, and what to do."
    CANCELLED = "cancelled", "Given up because somebody wished so."
    DELETED = "deleted", "Done: nothing is left."
    UNKNOWN = "unknown", "A word that is not in this list."


class StepKind(Words):
    """What a step of an operation is about."""

    FILE = "file", "A file that a vector store is to hold."
    STORE = "store", "A vector store."
    ASSISTANT = "assistant", "An assistant."
    REMOVAL = "removal", "Something that is to be there no longer."
    UNKNOWN = "unknown", "A word that is not in this list."


class StepStatus(Words):
    """How far a step is."""

    PENDING = "pending", "Not begun."
    RUNNING = "running", "On its way."
    DONE = "done", "Done."
    FAILED = "failed", "Not done; the error says why, and what to do."
    SKIPPED = "skipped", "Not wanted any more."
    UNKNOWN = "unknown", "A word that is not in this list."


class Operation(Row):
    """Something that is done at the AI provider. Seen by whoever asked for it, and by the creator of the clone.

    due_at: when the next thing is to be done. leased_until: until when a worker has it for itself, whose writes carry
    the number `fence`. is_stale: whether things changed since it looked at what there is to do.
    """

    __tablename__ = "operations"
    __table_args__ = (
        Index("idx_operations_open", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("idx_operations_due", "due_at", postgresql_where=text("ended_at IS NULL")),
    )
    __order__ = (("created_at", "desc"),)

    kind: Mapped[str] = column(Vocabulary(OperationKind), doc="What it is to bring about.", indexed=True)
    status: Mapped[str] = column(
        Vocabulary(OperationStatus), doc="How far it is.", indexed=True, server_default=text("'queued'")
    )
    subject: Mapped[str] = column(doc="What it is for, such as `clone:` and an id. One is done at a time for each.")
    title: Mapped[str] = column(doc="What it is for, in words.")
    options: Mapped[dict[str, Any]] = column(doc="How it was asked for.", server_default=text("'{}'"))
    progress: Mapped[float] = column(Double, doc="The part that is done, from 0 to 1.", server_default=text("0"))
    error_code: Mapped[str | None] = column(doc="Why it failed, as a code.")
    error_message: Mapped[str | None] = column(doc="Why it failed, and what to do.")
    is_retryable: Mapped[bool] = column(doc="Whether to try again may help.", server_default=text("false"))
    attempts: Mapped[int] = column(doc="How often it was begun.", server_default=text("0"))
    failures: Mapped[int] = column(doc="How often in a row the provider did not answer.", server_default=text("0"))
    indexing_since: Mapped[datetime | None] = column(doc="Since when the provider reads the files.")
    actor: Mapped[str] = column(doc="Who asked for it: `user:` or `service:` and the id.")
    requested_by: Mapped[UUID | None] = column(
        ForeignKey("user_profiles.id", ondelete="SET NULL"),
        doc="Who asked for it; null when it was a service.",
        indexed=True,
    )
    clone_id: Mapped[UUID | None] = column(
        ForeignKey("clones.id", ondelete="SET NULL"), doc="The clone that it is for.", indexed=True
    )
    domain_id: Mapped[UUID | None] = column(
        ForeignKey("domains.id", ondelete="SET NULL"), doc="The domain that it is for.", indexed=True
    )
    expert_id: Mapped[UUID | None] = column(
        ForeignKey("experts.id", ondelete="SET NULL"), doc="The expert that it is for.", indexed=True
    )
    document_id: Mapped[UUID | None] = column(
        ForeignKey("documents.id", ondelete="SET NULL"), doc="The document that it is for.", indexed=True
    )
    vector_store_id: Mapped[UUID | None] = column(
        ForeignKey("vector_stores.id", ondelete="SET NULL"), doc="The vector store that it is about.", indexed=True
    )
    assistant_id: Mapped[UUID | None] = column(
        ForeignKey("assistants.id", ondelete="SET NULL"), doc="The assistant that it is about.", indexed=True
    )
    is_stale: Mapped[bool] = column(doc="Whether things changed since.", server_default=text("false"))
    due_at: Mapped[datetime | None] = column(doc="When the next thing is to be done.", server_default=NOW)
    leased_until: Mapped[datetime | None] = column(doc="Until when a worker has it.")
    fence: Mapped[int] = column(BigInteger, doc="The number of the worker that has it.", server_default=text("0"))
    cancel_requested_at: Mapped[datetime | None] = column(doc="When somebody wished that it be given up.")
    started_at: Mapped[datetime | None] = column(doc="When it was begun.")
    ended_at: Mapped[datetime | None] = column(doc="When it came to its end.")
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """What one asked for, and what is done for one's own clones."""
        match kind:
            case ViewerKind.USER:
                return [cls.requested_by == VIEWER_ID]
            case ViewerKind.CREATOR:
                return [cls.requested_by == VIEWER_ID, owns_clone(cls.clone_id)]
        return NO_ROW

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """Whoever asked for it, and the clone's creator."""
        if kind is not ViewerKind.CREATOR:
            return NOBODY
        return (cls.requested_by == VIEWER_ID) | owns_clone(cls.clone_id)


class OperationStep(Row):
    """One step of an operation: a file, a store, an assistant."""

    __tablename__ = "operation_steps"
    __table_args__ = (UniqueConstraint("operation_id", "key"),)
    __order__ = (("created_at", "asc"),)

    operation_id: Mapped[UUID] = column(
        ForeignKey("operations.id", ondelete="CASCADE"), doc="The operation.", indexed=True
    )
    kind: Mapped[str] = column(Vocabulary(StepKind), doc="What it is about.")
    key: Mapped[str] = column(doc="What tells it from the other steps.")
    title: Mapped[str] = column(doc="What it is about, in words: of a file, its title.")
    status: Mapped[str] = column(Vocabulary(StepStatus), doc="How far it is.", server_default=text("'pending'"))
    error: Mapped[str | None] = column(doc="Why it was not done, and what to do.")
    document_id: Mapped[UUID | None] = column(
        ForeignKey("documents.id", ondelete="SET NULL"), doc="The document, if the file is one.", indexed=True
    )
    knowledge_id: Mapped[UUID | None] = column(
        ForeignKey("knowledge.id", ondelete="SET NULL"), doc="The knowledge, if the file is some.", indexed=True
    )
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = updated_at()

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Whoever sees the operation."""
        if kind not in (ViewerKind.USER, ViewerKind.CREATOR):
            return NO_ROW
        operation: Any = aliased(Operation)
        sees = operation.requested_by == VIEWER_ID
        if kind is ViewerKind.CREATOR:
            sees = sees | owns_clone(operation.clone_id)
        return [exists().where(operation.id == cls.operation_id, sees)]


class RemoteObject(Base):
    """A file or store at the provider: written down before it is made, so that a crash leaves nothing unknown.

    op_key: what it is made for. name: what it is called there, by which it is found. state: `intended` until its id is
    known, then `live`; `deleting` when it is to go, and `gone`.
    """

    __tablename__ = "remote_objects"
    __table_args__ = (
        UniqueConstraint("provider", "remote_id"),
        Index("idx_remote_objects_wanted", "provider", "op_key", unique=True, postgresql_where=text("state <> 'gone'")),
        Index("idx_remote_objects_operation_id", "operation_id", "id"),
    )

    id: Mapped[UUID] = column(Uuid, doc="The id.", primary_key=True, server_default=text("gen_random_uuid()"))
    provider: Mapped[str] = column(doc="Whose it is.")
    kind: Mapped[str] = column(doc="`file` or `store`.")
    op_key: Mapped[str] = column(doc="What it is made for.")
    name: Mapped[str] = column(doc="What it is called there.")
    remote_id: Mapped[str | None] = column(doc="Its id there, once it is known.")
    state: Mapped[str] = column(doc="How far it is.", server_default=text("'intended'"))
    sha256: Mapped[str | None] = column(doc="Of a file, the SHA-256 of what is in it.")
    operation_id: Mapped[UUID | None] = column(
        ForeignKey("operations.id", ondelete="SET NULL"), doc="The operation that makes or deletes it."
    )
    created_at: Mapped[datetime] = column(doc="When it was intended.", server_default=NOW)
    updated_at: Mapped[datetime] = column(doc="When this was last changed.", server_default=NOW)


class ProviderAccount(Base):
    """What all workers together may ask of a provider, and whether it is to be left alone for a while."""

    __tablename__ = "provider_accounts"

    provider: Mapped[str] = column(doc="Whose account it is.", primary_key=True)
    tokens: Mapped[float] = column(Double, doc="How many acts are left of the allowance.", server_default=text("0"))
    counted_at: Mapped[datetime] = column(doc="When that was so.", server_default=NOW)
    parked_until: Mapped[datetime | None] = column(doc="Until when nothing is asked of it.")
    parked_reason: Mapped[str | None] = column(doc="Why.")
