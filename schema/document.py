"""Documents, as the graph shows them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import document
from resolvers.done import Done
from resolvers.upload import Upload
from schema.action import action
from schema.download import download
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes, idempotency_key, input_of, request
from schema.node import Node
from schema.scalars import BigInt

_clones = db.clone_documents().c


@entity(db.Document)
class Document(Node):
    """A text that vector stores are filled from, and answers are drawn from."""

    name: str
    included_in_default: bool
    document_link: str | None
    created_by: str | None
    client_name: str | None
    openai_file_id: str | None
    sha256: str | None
    size_bytes: BigInt | None
    media_type: str | None
    original_url: str | None
    deleted_at: datetime | None

    download_url = download(db.Document.document_link, db.Document.name)

    domain = edge(db.Document.domain_name, db.Domain.name, "The document's domain.")
    owner = edge(db.Document.owner_id, db.User.id, "Who owns the document; null when it is shared.")
    files = edges(db.StoreFile.document_id, "How far the document is in each vector store.")
    vector_stores = edges(
        db.VectorStore.id,
        "The vector stores that hold the document.",
        link=(db.StoreFile.document_id, db.StoreFile.vector_store_id),
    )
    experts = edges(db.Expert.domain_name, "The experts that can draw on the document.", key=db.Document.domain_name)
    clones = edges(
        db.Clone.id,
        "The clones that can draw on the document.",
        link=(_clones.document_id, _clones.clone_id),
    )
    operations = edges(db.Operation.document_id, "What was done about the document alone at the AI provider.")
    operation_steps = edges(db.OperationStep.document_id, "The steps of operations that sent the document.")
    sources = edges(db.MessageSource.document_id, "The passages that answers were drawn from.")
    answered_messages = edges(
        db.Message.id,
        "The answers that were drawn from the document.",
        link=(db.MessageSource.document_id, db.MessageSource.message_id),
    )


@input_of(db.Document, "A document to be, and the file that it is.")
class UploadDocumentInput:
    """What a document is made of."""

    domain_id: strawberry.ID = strawberry.field(description="The domain that it is about.")
    name: str
    file: Upload = strawberry.field(description="The file: PDF, Word, Markdown, HTML or plain text.")
    included_in_default: bool = False


@action(db.Document)
async def upload_document(
    info: Info,
    input: Annotated[UploadDocumentInput, strawberry.argument(description="What to keep.")],  # noqa: A002
) -> UUID:
    """Add a document of your own to a domain, with the file that goes with the request (`multipart/form-data`)."""
    domain_id = key_of(db.Domain, input.domain_id)
    return await document.upload_document(
        info.context, domain_id, input.name, input.file, included_in_default=input.included_in_default
    )


@input_of(db.Document, "A document to be, and where its text is.")
class AddDocumentLinkInput:
    """What a document is made of."""

    idempotency_key: UUID = idempotency_key()
    domain_id: strawberry.ID = strawberry.field(description="The domain that it is about.")
    name: str
    url: str = strawberry.field(description="Where the text is: a public address that begins with `https://`.")
    included_in_default: bool = False


@action(db.Document)
async def add_document_link(
    info: Info,
    input: Annotated[AddDocumentLinkInput, strawberry.argument(description="What to fetch.")],  # noqa: A002
) -> UUID:
    """Add what is at a link as a document of your own to a domain. It is fetched now, and kept as it is now."""
    return await document.add_document_link(
        info.context,
        request("addDocumentLink", input),
        key_of(db.Domain, input.domain_id),
        input.name,
        input.url,
        included_in_default=input.included_in_default,
    )


@input_of(db.Document, "What to change about a document. What is left out stays as it is.")
class UpdateDocumentInput:
    """What can be changed about a document."""

    id: strawberry.ID = strawberry.field(description="The document.")
    name: strawberry.Maybe[str]
    included_in_default: strawberry.Maybe[bool]
    file: Upload | None = strawberry.field(description="The file that takes the place of its text.", default=None)


@action(db.Document)
async def update_document(
    info: Info,
    input: Annotated[UpdateDocumentInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> UUID:
    """Change a document of yours. Where vector stores hold it, answers use the old text until the new one is ready."""
    return await document.update_document(info.context, key_of(db.Document, input.id), changes(input), input.file)


@strawberry.input(description="A document to delete.")
class DeleteDocumentInput:
    """A document to delete."""

    id: strawberry.ID = strawberry.field(description="The document.")


@action(db.Document, operation=True, deletes=True)
async def delete_document(
    info: Info,
    input: Annotated[DeleteDocumentInput, strawberry.argument(description="What to delete.")],  # noqa: A002
) -> Done:
    """Delete a document of yours. Where vector stores hold it, it goes when they have let go of it."""
    return await document.delete_document(info.context, key_of(db.Document, input.id))
