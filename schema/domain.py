"""Domains, as the graph shows them."""

from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import domain
from resolvers.done import Done
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.health import Health
from schema.ids import key_of
from schema.inputs import idempotency_key, input_of, request
from schema.node import Node


@entity(db.Domain)
class Domain(Node):
    """A field of knowledge, with the experts, documents and clones that belong to it."""

    name: str

    health = Health()

    owner = edge(db.Domain.owner_id, db.User.id, "Who owns the domain; null when it is the platform's.")
    clones = edges(db.Clone.domain_id, "The clones that work in the domain.")
    experts = edges(db.Expert.domain_name, "The experts of the domain.", key=db.Domain.name)
    documents = edges(db.Document.domain_name, "The documents of the domain.", key=db.Domain.name)
    vector_stores = edges(db.VectorStore.domain_name, "The vector stores of the domain.", key=db.Domain.name)
    assistants = edges(
        db.Assistant.expert_name,
        "The assistants of the domain's experts.",
        key=db.Domain.name,
        link=(db.Expert.domain_name, db.Expert.name),
    )
    operations = edges(db.Operation.domain_id, "What was done for the domain at the AI provider, the newest first.")
    knowledge = edges(db.Knowledge.domain_id, "What creators gave their clones to know in the domain.")


@input_of(db.Domain, "A domain to be.")
class CreateDomainInput:
    """What a domain is made of."""

    idempotency_key: UUID = idempotency_key()
    name: str


@action(db.Domain)
async def create_domain(
    info: Info,
    input: Annotated[CreateDomainInput, strawberry.argument(description="What to create.")],  # noqa: A002
) -> UUID:
    """Create a domain of your own."""
    return await domain.create_domain(info.context, request("createDomain", input), input.name)


@input_of(db.Domain, "Another name for a domain.")
class RenameDomainInput:
    """Another name for a domain."""

    id: strawberry.ID = strawberry.field(description="The domain.")
    name: str


@action(db.Domain)
async def rename_domain(
    info: Info,
    input: Annotated[RenameDomainInput, strawberry.argument(description="The domain and its name.")],  # noqa: A002
) -> UUID:
    """Give a domain of yours another name. Its experts, documents, stores and clones go with it."""
    return await domain.rename_domain(info.context, key_of(db.Domain, input.id), input.name)


@strawberry.input(description="A domain to delete.")
class DeleteDomainInput:
    """A domain to delete."""

    id: strawberry.ID = strawberry.field(description="The domain.")


@action(db.Domain, operation=True, deletes=True)
async def delete_domain(
    info: Info,
    input: Annotated[DeleteDomainInput, strawberry.argument(description="What to delete.")],  # noqa: A002
) -> Done:
    """Delete a domain of yours, with your documents and experts in it. Nothing of others may be in it.

    Where something of it is at the AI provider, it goes when that is gone.
    """
    return await domain.delete_domain(info.context, key_of(db.Domain, input.id))
