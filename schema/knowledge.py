"""Knowledge, as the graph shows it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import knowledge
from resolvers.done import Done
from resolvers.idempotency import Request
from resolvers.upload import Upload
from schema.action import action
from schema.download import download
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes, idempotency_key, input_of
from schema.node import Node
from schema.scalars import JSON, BigInt


@entity(db.Knowledge)
class Knowledge(Node):
    """A file, text or link that a clone knows. Its title and preview are public when the clone is."""

    title: str
    content_preview: str | None
    content_type: str | None
    description: str | None
    tags: list[str] | None
    file_name: str | None
    file_size_bytes: BigInt | None
    file_type: str | None
    file_url: str | None
    details: JSON | None
    original_url: str | None
    sha256: str | None
    openai_file_id: str | None
    included_in_default: bool | None
    processing_status: db.ProcessingStatus | None
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime

    download_url = download(db.Knowledge.file_url, db.Knowledge.title)

    clone = edge(db.Knowledge.clone_id, db.Clone.id, "The clone that knows it.")
    domain = edge(db.Knowledge.domain_id, db.Domain.id, "The domain that it belongs to.")
    files = edges(db.StoreFile.knowledge_id, "How far it is in each vector store, and why it failed if it did.")
    operation_steps = edges(db.OperationStep.knowledge_id, "The steps of operations that sent it.")
    sources = edges(db.MessageSource.knowledge_id, "The passages that answers were drawn from.")
    answered_messages = edges(
        db.Message.id,
        "The answers that were drawn from it.",
        link=(db.MessageSource.knowledge_id, db.MessageSource.message_id),
    )
    vector_store = edge(db.Knowledge.vector_store_id, db.VectorStore.vector_id, "The vector store that holds it.")


@strawberry.input(description="What a clone is to know: a text, a file, or what is at a link.", one_of=True)
class KnowledgeContent:
    """What a clone is to know: one of these."""

    text: strawberry.Maybe[str] = strawberry.field(description="A text.")
    file: strawberry.Maybe[Upload] = strawberry.field(description="A file: PDF, Word, Markdown, HTML or plain text.")
    url: strawberry.Maybe[str] = strawberry.field(
        description="A public address that begins with `https://`. What is there is fetched now, and kept as it is now."
    )


@input_of(db.Knowledge, "Something for a clone to know.")
class AddKnowledgeInput:
    """What knowledge is made of."""

    idempotency_key: UUID = idempotency_key()
    clone_id: strawberry.ID = strawberry.field(description="The clone, one of yours.")
    title: str
    content: KnowledgeContent = strawberry.field(description="What it is to know.")
    description: str | None = None
    tags: list[str] = strawberry.field(description=db.Knowledge.__mapper__.columns["tags"].doc, default_factory=list)
    domain_id: strawberry.ID | None = strawberry.field(description="The domain that it belongs to.", default=None)


@action(db.Knowledge, operation=True)
async def add_knowledge(
    info: Info,
    input: Annotated[AddKnowledgeInput, strawberry.argument(description="What to add.")],  # noqa: A002
) -> Done:
    """Give a clone of yours something to know. If it has a vector store, it can answer from it soon."""
    values = {
        "title": input.title,
        "description": input.description,
        "tags": input.tags,
        "domain_id": key_of(db.Domain, input.domain_id) if input.domain_id else None,
    }
    given = _given(input.content)
    clone_id = key_of(db.Clone, input.clone_id)
    sent = {**values, "clone_id": clone_id, "text": given.text, "url": given.url}
    request = Request("addKnowledge", input.idempotency_key, sent)
    return await knowledge.add_knowledge(info.context, request, clone_id, values, given)


@input_of(db.Knowledge, "What to change about what a clone knows. What is left out stays as it is.")
class UpdateKnowledgeInput:
    """What can be changed about what a clone knows."""

    id: strawberry.ID = strawberry.field(description="The knowledge.")
    title: strawberry.Maybe[str]
    description: strawberry.Maybe[str | None]
    tags: strawberry.Maybe[list[str]]
    content: KnowledgeContent | None = strawberry.field(
        description="What takes the place of its content.", default=None
    )


@action(db.Knowledge, operation=True)
async def update_knowledge(
    info: Info,
    input: Annotated[UpdateKnowledgeInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> Done:
    """Change what a clone of yours knows. It answers from the old content until the new one is ready."""
    given = _given(input.content) if input.content else None
    return await knowledge.update_knowledge(info.context, key_of(db.Knowledge, input.id), changes(input), given)


@strawberry.input(description="Something that a clone is to know no longer.")
class DeleteKnowledgeInput:
    """Something to forget."""

    id: strawberry.ID = strawberry.field(description="The knowledge.")


@action(db.Knowledge, operation=True, deletes=True)
async def delete_knowledge(
    info: Info,
    input: Annotated[DeleteKnowledgeInput, strawberry.argument(description="What to delete.")],  # noqa: A002
) -> Done:
    """Have a clone of yours know something no longer. Where its vector store has it, it goes when that let go of it."""
    return await knowledge.delete_knowledge(info.context, key_of(db.Knowledge, input.id))


def _given(content: KnowledgeContent) -> knowledge.Given:
    return knowledge.Given(**changes(content))
