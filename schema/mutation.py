"""The root of the graph where mutations begin. Each runs when the one before it has been committed."""

from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import clone, document
from schema.action import action
from schema.clone import UpdateCloneInput
from schema.document import UploadDocumentInput
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes


@action(db.Clone)
async def update_clone(
    info: Info,
    input: Annotated[UpdateCloneInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> UUID:
    """Change a clone of yours. Fields that are left out stay as they are."""
    return await clone.update_clone(info.context, key_of(db.Clone, input.id), changes(input))


@action(db.Document)
async def upload_document(
    info: Info,
    input: Annotated[UploadDocumentInput, strawberry.argument(description="What to keep.")],  # noqa: A002
) -> UUID:
    """Add a document of your own to a domain, with the file that goes with the request (`multipart/form-data`)."""
    return await document.upload_document(info.context, key_of(db.Domain, input.domain_id), input.name, input.file)


@strawberry.type(description="Where changes begin. They are made one after the other, and each is whole by itself.")
class Mutation:
    """Where mutations begin."""

    update_clone = update_clone
    upload_document = upload_document
