"""Operations, as the graph shows them."""

from datetime import datetime

import strawberry

import db
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import computed
from schema.node import Node


@strawberry.type(description="Why an operation failed.")
class OperationError:
    """Why an operation failed."""

    code: str = strawberry.field(description="The reason, as a code: `PROVIDER_KEY_REFUSED`.")
    message: str = strawberry.field(description="The reason, and what to do about it.")
    retryable: bool = strawberry.field(description="Whether `retryOperation` may help.")


def error(code: str | None, message: str | None, is_retryable: bool) -> OperationError | None:
    """Why it failed; null if it did not."""
    return OperationError(code=code, message=message or code, retryable=is_retryable) if code else None


@entity(db.Operation)
class Operation(Node):
    """Something that is done at the AI provider: begun by a mutation, gone on with whatever crashes."""

    kind: db.OperationKind
    status: db.OperationStatus
    title: str
    progress: float
    attempts: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None

    error = computed(error, db.Operation.error_code, db.Operation.error_message, db.Operation.is_retryable)

    steps = edges(
        db.OperationStep.operation_id, "What there is to do: each file, the store, the assistant.", implied=True
    )
    requested_by = edge(db.Operation.requested_by, db.User.id, "Who asked for it; null when it was a service.")
    clone = edge(db.Operation.clone_id, db.Clone.id, "The clone that it is for.")
    domain = edge(db.Operation.domain_id, db.Domain.id, "The domain that it is for.")
    expert = edge(db.Operation.expert_id, db.Expert.id, "The expert that it is for.")
    document = edge(db.Operation.document_id, db.Document.id, "The document that it is for.")
    vector_store = edge(db.Operation.vector_store_id, db.VectorStore.id, "The vector store that came of it.")
    assistant = edge(db.Operation.assistant_id, db.Assistant.id, "The assistant that came of it.")


@entity(db.OperationStep)
class OperationStep(Node):
    """One step of an operation: a file, a store, an assistant."""

    kind: db.StepKind
    title: str
    status: db.StepStatus
    error: str | None
    created_at: datetime
    updated_at: datetime

    operation = edge(db.OperationStep.operation_id, db.Operation.id, "The operation.")
    document = edge(db.OperationStep.document_id, db.Document.id, "The document, if the file is one.")
    knowledge = edge(db.OperationStep.knowledge_id, db.Knowledge.id, "The knowledge, if the file is some.")
