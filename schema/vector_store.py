"""Vector stores, as the graph shows them."""

from datetime import datetime

import strawberry

import db
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import computed
from schema.node import Node
from schema.scalars import BigInt


@strawberry.type(description="A batch of files that was put into a vector store.")
class StoreBatch:
    """A batch of files that was put into a vector store."""

    batch_id: str = strawberry.field(description="The batch's id at the provider.")
    is_latest: bool = strawberry.field(description="Whether it is the newest one.")


def batches(batch_ids: list[str | None] | None, latest: str | None) -> list[StoreBatch]:
    """The batches that filled the store, in the order they were made."""
    return [StoreBatch(batch_id=each, is_latest=each == latest) for each in batch_ids or () if each]


@entity(db.VectorStore)
class VectorStore(Node):
    """A provider's store of documents, in which they can be searched."""

    vector_id: str
    owner_kind: db.StoreOwner
    client_name: str | None
    provider: str | None
    file_ids: list[str | None] | None
    created_at: datetime | None
    updated_at: datetime | None

    batches = computed(batches, db.VectorStore.batch_ids, db.VectorStore.latest_batch_id)

    domain = edge(db.VectorStore.domain_name, db.Domain.name, "The domain that the store belongs to.")
    expert = edge(db.VectorStore.expert_name, db.Expert.name, "The expert that the store is for, if it is an expert's.")
    owner = edge(db.VectorStore.owner_id, db.User.id, "Who owns the store; null when it is the platform's.")
    operations = edges(db.Operation.vector_store_id, "What was done at the provider about the store.")
    files = edges(db.StoreFile.vector_store_id, "The files in the store, and how far each one is.", implied=True)
    documents = edges(
        db.Document.id,
        "The documents in the store.",
        link=(db.StoreFile.vector_store_id, db.StoreFile.document_id),
    )
    clones = edges(db.Clone.vector_store_id, "The clones whose own store it is.", key=db.VectorStore.vector_id)
    assistants = edges(db.Assistant.vector_id, "The assistants that search the store.", key=db.VectorStore.vector_id)
    knowledge = edges(
        db.Knowledge.vector_store_id, "The clones' knowledge that the store holds.", key=db.VectorStore.vector_id
    )


@entity(db.StoreFile)
class StoreFile(Node):
    """One document in one vector store, and how far the provider is with it."""

    file_id: str | None
    batch_id: str | None
    status: db.FileStatus
    error: str | None
    size_bytes: BigInt | None
    removed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    vector_store = edge(db.StoreFile.vector_store_id, db.VectorStore.id, "The store.")
    document = edge(db.StoreFile.document_id, db.Document.id, "The document, if the file is one.")
    knowledge = edge(db.StoreFile.knowledge_id, db.Knowledge.id, "The clone's knowledge, if the file is some.")
