"""Messages and their sources, as the graph shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers import message, reply
from schema.action import action
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import Info
from schema.ids import key_of
from schema.inputs import idempotency_key, input_of, request
from schema.node import Node
from schema.scalars import JSON


@entity(db.Message)
class Message(Node):
    """One message of a session."""

    sender_type: db.SenderType
    content: str | None
    context_used: str | None
    cost_increment: Decimal | None
    tokens_used: int | None
    source_notes: JSON | None
    attachments: JSON | None
    created_at: datetime

    session = edge(db.Message.session_id, db.Session.id, "The session it belongs to.")
    sources = edges(
        db.MessageSource.message_id, "The passages that the answer was drawn from, the best first.", implied=True
    )
    documents = edges(
        db.Document.id,
        "The documents that the answer was drawn from.",
        link=(db.MessageSource.message_id, db.MessageSource.document_id),
    )
    knowledge = edges(
        db.Knowledge.id,
        "The clone's knowledge that the answer was drawn from.",
        link=(db.MessageSource.message_id, db.MessageSource.knowledge_id),
    )
    answer = edge(
        db.Message.id, db.Reply.question_id, "The clone's answer to it; null unless it was asked by `sendMessage`."
    )
    reply = edge(db.Message.id, db.Reply.message_id, "How the answer came about; null unless a clone wrote it here.")
    credit_entries = edges(db.CreditEntry.message_id, "What the message cost, charge by charge.")


@entity(db.MessageSource)
class MessageSource(Node):
    """A passage of a document that an answer was drawn from."""

    rank: int
    score: float | None
    passage: str | None

    message = edge(db.MessageSource.message_id, db.Message.id, "The answer.")
    document = edge(db.MessageSource.document_id, db.Document.id, "The document, if the passage is from one.")
    knowledge = edge(db.MessageSource.knowledge_id, db.Knowledge.id, "The clone's knowledge, if it is from some.")


@strawberry.input(description="A passage that an answer was drawn from.")
class SourceInput:
    """A source of an answer."""

    document_id: strawberry.ID = strawberry.field(description="The document.")
    passage: str = strawberry.field(description="The words of the document.")
    score: float | None = strawberry.field(description="How well it fits the question; higher is better.", default=None)


@input_of(db.Message, "A message to be kept, with what it is charged by.")
class RecordMessageInput:
    """A message that was said elsewhere."""

    idempotency_key: UUID = idempotency_key()
    session_id: strawberry.ID = strawberry.field(description="The session.")
    sender_type: db.SenderType
    content: str
    context_used: str | None = strawberry.field(description="What the clone was given to answer from.", default=None)
    input_tokens: int = strawberry.field(description="How many tokens the model was given.", default=0)
    output_tokens: int = strawberry.field(description="How many tokens the model wrote.", default=0)
    cost: Decimal | None = strawberry.field(
        description="What it costs, in credits, if that does not follow from the tokens. Only services say that.",
        default=None,
    )
    attachments: list[JSON] = strawberry.field(description="What is attached.", default_factory=list)
    sources: list[SourceInput] = strawberry.field(
        description="The passages that an answer was drawn from, the best first.", default_factory=list
    )


@action(db.Message)
async def record_message(
    info: Info,
    input: Annotated[RecordMessageInput, strawberry.argument(description="What was said.")],  # noqa: A002
) -> UUID:
    """Keep a message of a session, and charge it. A chat back end records both sides with a service token."""
    wanted = message.Record(
        session_id=key_of(db.Session, input.session_id),
        sender_type=input.sender_type,
        content=input.content,
        context_used=input.context_used,
        input_tokens=input.input_tokens,
        output_tokens=input.output_tokens,
        cost=input.cost,
        attachments=input.attachments,
        sources=[
            message.Source(key_of(db.Document, source.document_id), source.passage, source.score)
            for source in input.sources
        ],
    )
    return await message.record(info.context, request("recordMessage", input), wanted)


@strawberry.input(description="What you want to know of a clone.")
class SendMessageInput:
    """A question."""

    idempotency_key: UUID = idempotency_key()
    session_id: strawberry.ID = strawberry.field(description="The session, which must be going on.")
    content: str = strawberry.field(description=f"The question, {reply.LONGEST_QUESTION} characters at most.")


@action(db.Message, reply=edge(db.Message.id, db.Reply.question_id, "The clone's answer to it, as far as it is."))
async def send_message(
    info: Info,
    input: Annotated[SendMessageInput, strawberry.argument(description="What to ask.")],  # noqa: A002
) -> UUID:
    """Ask the clone of a session. The answer is written by and by: read it in `messageStream`, or in `reply`."""
    return await reply.send(
        info.context, request("sendMessage", input), key_of(db.Session, input.session_id), input.content
    )
