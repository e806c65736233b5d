"""Documents, as the graph shows them."""

from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import document
from resolvers.upload import Upload
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import input_of
from schema.node import Node

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
    file: Upload = strawberry.field(description="The file.")


@action(db.Document)
async def upload_document(
    info: Info,
    input: Annotated[UploadDocumentInput, strawberry.argument(description="What to keep.")],  # noqa: A002
) -> UUID:
    """Add a document of your own to a domain, with the file that goes with the request (`multipart/form-data`)."""
    return await document.upload_document(info.context, key_of(db.Domain, input.domain_id), input.name, input.file)
