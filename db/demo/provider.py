"""What is kept at the provider: stores with their files, and assistants with their configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import db
from db import FileStatus
from db.demo.batch import Batch
from db.demo.cast import Person
from db.demo.chance import dice, remote_id, stable_id
from db.demo.clock import DAY, MINUTE
from db.demo.content import names

FILES_IN_A_BATCH = 4
MODELS = ("gpt-4.1-mini", "gpt-5-mini")
"""The model of an assistant's first configuration, and of its second."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What something at the provider was made for, by whom and when."""

    domain_name: str
    expert_name: str | None
    owner: Person | None
    at: datetime
    clone_key: str | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from everything else."""
        return self.domain_name, self.expert_name or "", self.clone_key or ""


@dataclass(frozen=True, slots=True)
class File:
    """A file that a store should hold."""

    document_id: UUID | None
    file_id: str | None
    size_bytes: int
    status: FileStatus
    error: str | None = None

    @classmethod
    def of_document(cls, origin: Origin, document_id: UUID, file_id: str | None, size_bytes: int) -> "File":
        """A document's file. It waits if the document was never uploaded, and now and then it failed."""
        if file_id is None:
            return cls(document_id, None, size_bytes, FileStatus.PENDING)
        chance = dice("file", origin.name, document_id)
        if chance.maybe(0.04):
            return cls(document_id, None, size_bytes, FileStatus.FAILED, chance.choice(names().upload_errors))
        return cls(document_id, file_id, size_bytes, FileStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class Store:
    """A store that was made."""

    vector_id: str
    file_ids: list[str]


def add_store(batch: Batch, origin: Origin, owner_kind: db.StoreOwner, files: Sequence[File]) -> Store:
    """Add a store with its files; its arrays repeat what the rows of the files say."""
    vector_id = remote_id("vs_", origin.name)
    row_id = stable_id(origin.at, vector_id)
    batch_ids: list[str] = []
    for number, file in enumerate(files):
        if file.file_id and number // FILES_IN_A_BATCH >= len(batch_ids):
            batch_ids.append(remote_id("vsfb_", vector_id, number))
        added_at = origin.at + number * MINUTE
        batch.add(
            db.StoreFile,
            id=stable_id(added_at, vector_id, number),
            vector_store_id=row_id,
            document_id=file.document_id,
            file_id=file.file_id,
            batch_id=batch_ids[-1] if file.file_id else None,
            status=file.status,
            error=file.error,
            size_bytes=file.size_bytes,
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
    )
    return Store(vector_id, file_ids)


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
