"""Clones, as the graph shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

import db
from resolvers import clone
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes, idempotency_key, input_of, request
from schema.node import Node
from schema.scalars import JSON

_documents = db.clone_documents().c


@entity(db.Clone)
class Clone(Node):
    """An AI expert that a creator offers. Public once published and active; before that its creator's own."""

    name: str
    bio: str | None
    category: str | None
    expertise_areas: list[str]
    base_price: Decimal
    personality_traits: JSON | None
    communication_style: JSON | None
    system_prompt: str | None
    temperature: float | None
    max_tokens: int | None
    is_published: bool
    is_active: bool
    total_sessions: int
    total_earnings: Decimal | None
    average_rating: Decimal | None
    total_ratings: int
    expert_context: str | None
    memory_type: db.MemoryType | None
    openai_file_ids: list[str] | None
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None

    creator = edge(db.Clone.creator_id, db.User.id, "Who created the clone.")
    domain = edge(db.Clone.domain_id, db.Domain.id, "The domain that the clone works in.")
    assistant = edge(db.Clone.rag_assistant_id, db.Assistant.assistant_id, "The assistant that answers for the clone.")
    vector_store = edge(db.Clone.vector_store_id, db.VectorStore.vector_id, "The clone's own vector store.")
    experts = edges(
        db.Expert.name,
        "The experts behind the clone.",
        link=(db.CloneExpert.clone_id, db.CloneExpert.expert_name),
    )
    documents = edges(
        db.Document.id,
        "The documents of the clone's domain, and those in its own vector store.",
        link=(_documents.clone_id, _documents.document_id),
    )
    knowledge = edges(db.Knowledge.clone_id, "What the creator gave the clone to know.")
    sessions = edges(db.Session.clone_id, "The sessions with the clone, the latest first.")
    operations = edges(db.Operation.clone_id, "What was done for the clone at the AI provider, the newest first.")
    qa_pairs = edges(db.QaPair.clone_id, "The questions that the clone has answers for.")
    memory_usage = edges(db.MemoryUsage.clone_id, "What the clone remembered, day by day.")
    analytics = edges(db.CreatorAnalytics.clone_id, "The clone's figures, day by day.")
    creator_entries = edges(db.CreatorEntry.clone_id, "What the clone earned, the newest first.")


@input_of(db.Clone, "What to change about a clone. What is left out stays as it is; null empties what can be empty.")
class UpdateCloneInput:
    """What a creator may change about a clone."""

    id: strawberry.ID = strawberry.field(description="The clone.")
    name: strawberry.Maybe[str | None]
    bio: strawberry.Maybe[str | None]
    category: strawberry.Maybe[str | None]
    expertise_areas: strawberry.Maybe[list[str] | None]
    base_price: strawberry.Maybe[Decimal | None]
    personality_traits: strawberry.Maybe[JSON | None]
    communication_style: strawberry.Maybe[JSON | None]
    system_prompt: strawberry.Maybe[str | None]
    temperature: strawberry.Maybe[float | None]
    max_tokens: strawberry.Maybe[int | None]
    is_published: strawberry.Maybe[bool | None]
    is_active: strawberry.Maybe[bool | None]
    memory_type: strawberry.Maybe[db.MemoryType | None]
    domain_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="The domain that the clone works in."
    )


@action(db.Clone)
async def update_clone(
    info: Info,
    input: Annotated[UpdateCloneInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> UUID:
    """Change a clone of yours. Fields that are left out stay as they are."""
    return await clone.update_clone(info.context, key_of(db.Clone, input.id), _values(input))


@input_of(db.Clone, "A clone to be.")
class CreateCloneInput:
    """What a clone is made of."""

    idempotency_key: UUID = idempotency_key()
    name: str
    bio: strawberry.Maybe[str | None]
    category: strawberry.Maybe[str | None]
    expertise_areas: strawberry.Maybe[list[str]]
    base_price: strawberry.Maybe[Decimal]
    personality_traits: strawberry.Maybe[JSON]
    communication_style: strawberry.Maybe[JSON]
    system_prompt: strawberry.Maybe[str | None]
    temperature: strawberry.Maybe[float]
    max_tokens: strawberry.Maybe[int]
    memory_type: strawberry.Maybe[db.MemoryType]
    domain_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="The domain that the clone works in."
    )


@action(db.Clone)
async def create_clone(
    info: Info,
    input: Annotated[CreateCloneInput, strawberry.argument(description="What to create.")],  # noqa: A002
) -> UUID:
    """Create a clone of your own. Nobody else sees it until you publish it."""
    values = {"name": input.name, **_values(input)}
    return await clone.create_clone(info.context, request("createClone", input), values)


def _values(given: Any) -> dict[str, Any]:
    """The columns that an input gives values for."""
    values = changes(given)
    if values.get("domain_id"):
        values["domain_id"] = key_of(db.Domain, values["domain_id"])
    return values


@strawberry.input(description="A clone to be published.")
class PublishCloneInput:
    """A clone to be published."""

    id: strawberry.ID = strawberry.field(description="The clone.")


@action(db.Clone)
async def publish_clone(
    info: Info,
    input: Annotated[PublishCloneInput, strawberry.argument(description="Which clone.")],  # noqa: A002
) -> UUID:
    """Bring a clone of yours to the marketplace. From then on it takes sessions."""
    return await clone.publish(info.context, key_of(db.Clone, input.id))


@strawberry.input(description="A clone to be taken out of the marketplace.")
class UnpublishCloneInput:
    """A clone to be taken out of the marketplace."""

    id: strawberry.ID = strawberry.field(description="The clone.")


@action(db.Clone)
async def unpublish_clone(
    info: Info,
    input: Annotated[UnpublishCloneInput, strawberry.argument(description="Which clone.")],  # noqa: A002
) -> UUID:
    """Take a clone of yours out of the marketplace. Sessions that are open go on."""
    return await clone.unpublish(info.context, key_of(db.Clone, input.id))


@strawberry.input(description="A clone to be archived.")
class ArchiveCloneInput:
    """A clone to be archived."""

    id: strawberry.ID = strawberry.field(description="The clone.")


@action(db.Clone)
async def archive_clone(
    info: Info,
    input: Annotated[ArchiveCloneInput, strawberry.argument(description="Which clone.")],  # noqa: A002
) -> UUID:
    """Take a clone of yours out of the marketplace for good: it takes no more sessions, and keeps what it has."""
    return await clone.archive(info.context, key_of(db.Clone, input.id))


@strawberry.input(description="Who is to stand behind a clone.")
class AssignExpertsInput:
    """The experts of a clone."""

    id: strawberry.ID = strawberry.field(description="The clone.")
    expert_ids: list[strawberry.ID] = strawberry.field(description="The experts: exactly these, and no others.")


@action(db.Clone)
async def assign_experts(
    info: Info,
    input: Annotated[AssignExpertsInput, strawberry.argument(description="The clone and its experts.")],  # noqa: A002
) -> UUID:
    """Have exactly these experts stand behind a clone of yours."""
    expert_ids = [key_of(db.Expert, each) for each in input.expert_ids]
    return await clone.assign_experts(info.context, key_of(db.Clone, input.id), expert_ids)
