"""Experts, as the graph shows them."""

from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import expert
from resolvers.done import Done
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes, idempotency_key, input_of, request
from schema.node import Node


@entity(db.Expert)
class Expert(Node):
    """A voice inside a domain, which clones and assistants speak with."""

    name: str
    context: str | None

    domain = edge(db.Expert.domain_name, db.Domain.name, "The expert's domain.")
    owner = edge(db.Expert.owner_id, db.User.id, "Who owns the expert; null when it is the platform's.")
    assistants = edges(db.Assistant.expert_name, "The assistants that answer for the expert.", key=db.Expert.name)
    vector_stores = edges(db.VectorStore.expert_name, "The expert's own vector stores.", key=db.Expert.name)
    documents = edges(db.Document.domain_name, "The documents that the expert can draw on.", key=db.Expert.domain_name)
    operations = edges(db.Operation.expert_id, "What was done for the expert at the AI provider, the newest first.")
    clones = edges(
        db.Clone.id,
        "The clones that the expert stands behind.",
        key=db.Expert.name,
        link=(db.CloneExpert.expert_name, db.CloneExpert.clone_id),
    )


@input_of(db.Expert, "An expert to be.")
class CreateExpertInput:
    """What an expert is made of."""

    idempotency_key: UUID = idempotency_key()
    domain_id: strawberry.ID = strawberry.field(description="The domain, one of yours.")
    name: str
    context: str


@action(db.Expert)
async def create_expert(
    info: Info,
    input: Annotated[CreateExpertInput, strawberry.argument(description="What to create.")],  # noqa: A002
) -> UUID:
    """Create an expert in a domain of yours."""
    values = {"name": input.name, "context": input.context}
    domain_id = key_of(db.Domain, input.domain_id)
    return await expert.create_expert(info.context, request("createExpert", input), domain_id, values)


@input_of(db.Expert, "What to change about an expert. What is left out stays as it is.")
class UpdateExpertInput:
    """What can be changed about an expert."""

    id: strawberry.ID = strawberry.field(description="The expert.")
    name: strawberry.Maybe[str]
    context: strawberry.Maybe[str]


@action(db.Expert)
async def update_expert(
    info: Info,
    input: Annotated[UpdateExpertInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> UUID:
    """Change an expert of yours. Under another name, its assistants, stores and clones go with it."""
    return await expert.update_expert(info.context, key_of(db.Expert, input.id), changes(input))


@strawberry.input(description="An expert to delete.")
class DeleteExpertInput:
    """An expert to delete."""

    id: strawberry.ID = strawberry.field(description="The expert.")


@action(db.Expert, operation=True, deletes=True)
async def delete_expert(
    info: Info,
    input: Annotated[DeleteExpertInput, strawberry.argument(description="What to delete.")],  # noqa: A002
) -> Done:
    """Delete an expert of yours, with its assistants. No clone of others may need it.

    Where its vector store is at the AI provider, it goes when that is gone.
    """
    return await expert.delete_expert(info.context, key_of(db.Expert, input.id))
