"""Questions, and the answers that clones are to give, as the graph shows them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import qa_pair
from resolvers.done import Done
from schema.action import action
from schema.edge import edge
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import changes, idempotency_key, input_of, request
from schema.node import Node


@entity(db.QaPair)
class QaPair(Node):
    """A question and the answer a clone is to give."""

    question: str
    answer: str
    source: str | None
    quality: float | None
    is_active: bool
    created_at: datetime
    updated_at: datetime

    clone = edge(db.QaPair.clone_id, db.Clone.id, "The clone.")


@input_of(db.QaPair, "A question, and the answer that a clone is to give.")
class AddQaPairInput:
    """A question and its answer."""

    idempotency_key: UUID = idempotency_key()
    clone_id: strawberry.ID = strawberry.field(description="The clone, one of yours.")
    question: str
    answer: str
    source: str | None = None
    quality: float | None = None


@action(db.QaPair, operation=True)
async def add_qa_pair(
    info: Info,
    input: Annotated[AddQaPairInput, strawberry.argument(description="What to add.")],  # noqa: A002
) -> Done:
    """Tell a clone of yours what to answer to a question. If it has a vector store, it finds the answer there soon."""
    values = {name: getattr(input, name) for name in ("question", "answer", "source", "quality")}
    clone_id = key_of(db.Clone, input.clone_id)
    return await qa_pair.add_qa_pair(info.context, request("addQaPair", input), clone_id, values)


@input_of(db.QaPair, "What to change about a question and its answer. What is left out stays as it is.")
class UpdateQaPairInput:
    """What can be changed about a question and its answer."""

    id: strawberry.ID = strawberry.field(description="The pair.")
    question: strawberry.Maybe[str]
    answer: strawberry.Maybe[str]
    source: strawberry.Maybe[str | None]
    quality: strawberry.Maybe[float | None]
    is_active: strawberry.Maybe[bool]


@action(db.QaPair, operation=True)
async def update_qa_pair(
    info: Info,
    input: Annotated[UpdateQaPairInput, strawberry.argument(description="What to change.")],  # noqa: A002
) -> Done:
    """Change a question of a clone of yours, or its answer."""
    return await qa_pair.update_qa_pair(info.context, key_of(db.QaPair, input.id), changes(input))


@strawberry.input(description="A question to take away.")
class DeleteQaPairInput:
    """A question to take away."""

    id: strawberry.ID = strawberry.field(description="The pair.")


@action(db.QaPair, operation=True, deletes=True)
async def delete_qa_pair(
    info: Info,
    input: Annotated[DeleteQaPairInput, strawberry.argument(description="What to delete.")],  # noqa: A002
) -> Done:
    """Take a question away from a clone of yours, with its answer."""
    return await qa_pair.delete_qa_pair(info.context, key_of(db.QaPair, input.id))
