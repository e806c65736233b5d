"""What is kept at the provider: stores with their files, and assistants with their configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import db
from db import FileStatus
from db.demo import local
from db.demo.batch import Batch
from db.demo.cast import CAST, Person
from db.demo.chance import dice, remote_id, stable_id
from db.demo.clock import DAY, MINUTE
from db.demo.content import names
from db.demo.local import sha256_of

FILES_IN_A_BATCH = 4
MODELS = ("gpt-4.1-mini", "gpt-5-mini")
"""The model of an assistant's first configuration, and of its second."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What something at the provider was made for, by whom and when. subject: as operations name it."""

    subject: str
    domain_name: str
    expert_name: str | None
    owner: Person | None
    at: datetime
    clone_key: str | None = None
    name_of: str | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from everything else."""
        return self.domain_name, self.expert_name or "", self.clone_key or ""

    @property
    def title(self) -> str:
        """What it is for, in words."""
        return self.name_of or self.expert_name or self.domain_name


@dataclass(frozen=True, slots=True)
class File:
    """A file that a store should hold."""

    title: str
    file_id: str | None
    text: str
    status: FileStatus
    error: str | None = None
    document_id: UUID | None = None
    knowledge_id: UUID | None = None

    @classmethod
    def of_document(cls, origin: Origin, document_id: UUID, title: str, file_id: str | None, text: str) -> "File":
        """A document's file. It waits if the document was never uploaded, and now and then it failed."""
        if file_id is None:
            return cls(title, None, text, FileStatus.PENDING, document_id=document_id)
        chance = dice("file", origin.name, document_id)
        if chance.maybe(0.04):
            error = chance.choice(names().upload_errors)
            return cls(title, None, text, FileStatus.FAILED, error, document_id)
        return cls(title, file_id, text, FileStatus.COMPLETED, document_id=document_id)


@dataclass(frozen=True, slots=True)
class Store:
    """A store that was made."""

    vector_id: str
    file_ids: list[str]


def add_store(batch: Batch, origin: Origin, owner_kind: db.StoreOwner, files: Sequence[File]) -> Store:
    """Add a store with its files; its arrays repeat what the rows of the files say."""
    key = remote_id("vs_", origin.name)
    vector_id = key.replace("vs_", "vs_local_")
    row_id = stable_id(origin.at, key)
    batch_ids: list[str] = []
    for number, file in enumerate(files):
        if file.file_id and number // FILES_IN_A_BATCH >= len(batch_ids):
            batch_ids.append(remote_id("vsfb_", key, number))
        added_at = origin.at + number * MINUTE
        batch.add(
            db.StoreFile,
            id=stable_id(added_at, key, number),
            vector_store_id=row_id,
            document_id=file.document_id,
            file_id=file.file_id,
            batch_id=batch_ids[-1] if file.file_id else None,
            status=file.status,
            error=file.error,
            size_bytes=len(file.text.encode()),
            knowledge_id=file.knowledge_id,
            sha256=sha256_of(file.text) if file.file_id else None,
            created_at=added_at,
            updated_at=added_at + MINUTE / 2,
        )
    file_ids = [file.file_id for file in files if file.file_id]
    batch.add(
        db.VectorStore,
        id=row_id,
        vector_id=vector_id,
        domain_name=origin.domain_name,
        expert_name=origin.expert_name,
        client_name=origin.owner and origin.owner.name,
        file_ids=file_ids,
        batch_ids=batch_ids,
        latest_batch_id=batch_ids[-1] if batch_ids else None,
        owner_kind=owner_kind,
        created_at=origin.at,
        updated_at=origin.at + len(files) * MINUTE,
        owner_id=origin.owner and origin.owner.id,
        provider=local.PROVIDER,
    )
    local.add_store(batch, vector_id, origin.subject, origin.title, file_ids, origin.at)
    has_failed = any(file.status is FileStatus.FAILED for file in files)
    status = db.OperationStatus.READY_PARTIAL if has_failed else db.OperationStatus.READY
    operation_id = add_operation(batch, origin, db.OperationKind.PROVISION_STORE, status, vector_store_id=row_id)
    for number, file in enumerate(files):
        batch.add(
            db.OperationStep,
            id=stable_id(origin.at, "step", key, number),
            operation_id=operation_id,
            kind=db.StepKind.FILE,
            key=f"document:{file.document_id}" if file.document_id else f"knowledge:{file.knowledge_id}",
            title=file.title,
            status=STEPS.get(file.status, db.StepStatus.SKIPPED),
            error=file.error,
            document_id=file.document_id,
            knowledge_id=file.knowledge_id,
            created_at=origin.at,
            updated_at=origin.at + number * MINUTE,
        )
    return Store(vector_id, file_ids)


STEPS = {FileStatus.COMPLETED: db.StepStatus.DONE, FileStatus.FAILED: db.StepStatus.FAILED}


def add_operation(
    batch: Batch,
    origin: Origin,
    kind: db.OperationKind,
    status: db.OperationStatus,
    *,
    vector_store_id: UUID | None = None,
    assistant_id: UUID | None = None,
) -> UUID:
    """Add something that was done at the provider when it was asked for, and return its id."""
    subject, _, key = origin.subject.partition(":")
    asked_by = origin.owner or next(person for person in CAST if person.key == "grace")
    ended_at = origin.at + 20 * MINUTE
    id_ = stable_id(origin.at, "operation", origin.subject, kind, vector_store_id, assistant_id)
    batch.add(
        db.Operation,
        id=id_,
        kind=kind,
        status=status,
        subject=origin.subject,
        title=origin.title,
        options={},
        progress=1.0,
        attempts=1,
        actor=f"user:{asked_by.id}",
        requested_by=asked_by.id,
        clone_id=UUID(key) if subject == "clone" else None,
        domain_id=UUID(key) if subject == "domain" else None,
        expert_id=UUID(key) if subject == "expert" else None,
        document_id=UUID(key) if subject == "document" else None,
        vector_store_id=vector_store_id,
        assistant_id=assistant_id,
        due_at=None,
        started_at=origin.at,
        ended_at=ended_at,
        created_at=origin.at,
        updated_at=ended_at,
    )
    return id_


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an assistant is told to answer."""

    memory: str
    instructions: str
    temperature: float = 0.3
    max_output_tokens: int | None = None


def add_assistant(batch: Batch, origin: Origin, store: Store, behaviour: Behaviour, versions: int) -> str:
    """Add an assistant with so many versions of its configuration, and return its public id.

    Without any version it is one from the retired Assistants API. Which version is in force is set by the loader,
    since assistants and configurations refer to each other.
    """
    assistant_id = remote_id("assistant_" if versions else "asst_", origin.name, behaviour.memory)
    row_id = stable_id(origin.at, assistant_id)
    batch.add(
        db.Assistant,
        id=row_id,
        assistant_id=assistant_id,
        expert_name=origin.expert_name,
        memory_type=behaviour.memory,
        client_name=origin.owner and origin.owner.name,
        vector_id=store.vector_id,
        created_at=origin.at,
        updated_at=origin.at,
        owner_id=origin.owner and origin.owner.id,
    )
    if versions:
        status = db.OperationStatus.READY
        add_operation(batch, origin, db.OperationKind.PROVISION_ASSISTANT, status, assistant_id=row_id)
    for version in range(1, versions + 1):
        configured_at = origin.at + MINUTE + (version - 1) * 60 * DAY
        caution = "" if version == 1 else " If the documents hold no answer, say so."
        batch.add(
            db.AssistantConfig,
            id=stable_id(configured_at, assistant_id, version),
            assistant_id=row_id,
            version=version,
            model=MODELS[version - 1],
            instructions=behaviour.instructions + caution,
            vector_store_ids=[store.vector_id],
            temperature=behaviour.temperature,
            max_output_tokens=behaviour.max_output_tokens,
            created_at=configured_at,
        )
    return assistant_id
