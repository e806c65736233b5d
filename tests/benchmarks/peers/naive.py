"""Strawberry over SQLAlchemy's ORM, as tutorials put the two together.

A resolver asks for the rows of one parent, whole, in a session of its own; lists are lists. Nothing is wrong with the
answers, and nobody thought of the number of statements.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import jwt
import strawberry
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

import db
from db import Row, ViewerKind
from db.engine import SERVER_SETTINGS
from gateway.settings import Settings
from tests.benchmarks.peers.asgi import serve

settings = Settings.read()
assert settings.database_url
assert settings.jwt_secret
secret = settings.jwt_secret.get_secret_value()
engine = create_async_engine(
    make_url(settings.database_url).set(drivername="postgresql+asyncpg"),
    connect_args={"server_settings": SERVER_SETTINGS},
    pool_size=10,
    max_overflow=0,
)
open_session = async_sessionmaker(engine)


async def find(
    info: strawberry.Info,
    row: type[Row],
    *conditions: ColumnElement[bool],
    first: int,
    skip: int = 0,
    order_by: str | None = None,
) -> list[Any]:
    """The first rows that the viewer sees, in their order or another. Each says whether to read its private columns."""
    rules = row.rules_for(ViewerKind.CREATOR)
    columns = row.columns()
    name, direction = (order_by, "asc") if order_by else row.__order__[0]
    order = [getattr(columns[each], direction)() for each in (name, "id")]
    statement = (
        select(row, rules.private).where(or_(*rules.visible), *conditions).order_by(*order).limit(first).offset(skip)
    )
    async with open_session() as session:
        found: Sequence[Any] = (await session.execute(statement, {"viewer_id": info.context["viewer_id"]})).all()
    for each, readable in found:
        each.readable = readable
    return [each for each, _ in found]


async def find_one(info: strawberry.Info, row: type[Row], condition: ColumnElement[bool]) -> Any:
    return next(iter(await find(info, row, condition, first=1)), None)


def private(kind: Any, name: str) -> Any:
    """A field of this type that is null to whom it does not concern."""

    def resolve(root: Any) -> Any:
        return getattr(root, name) if root.readable else None

    return strawberry.field(resolver=resolve, graphql_type=kind | None)


@strawberry.type
class Assistant:
    assistant_id: str
    memory_type: str

    @strawberry.field
    def is_legacy(self) -> bool:
        return self.assistant_id.startswith("asst_")


@strawberry.type
class Expert:
    name: str

    @strawberry.field
    async def assistants(self, info: strawberry.Info, first: int = 20) -> list[Assistant]:
        return await find(info, db.Assistant, db.Assistant.expert_name == self.name, first=first)


@strawberry.type
class Document:
    name: str
    document_link: str | None = private(str, "document_link")
    openai_file_id: str | None = private(str, "openai_file_id")


@strawberry.type
class VectorStore:
    vector_id: str
    owner_kind: str
    file_ids: list[str] | None


@strawberry.type
class Domain:
    name: str

    @strawberry.field
    async def experts(self, info: strawberry.Info, first: int = 20) -> list[Expert]:
        return await find(info, db.Expert, db.Expert.domain_name == self.name, first=first)

    @strawberry.field
    async def documents(self, info: strawberry.Info, first: int = 20) -> list[Document]:
        return await find(info, db.Document, db.Document.domain_name == self.name, first=first)

    @strawberry.field
    async def vector_stores(self, info: strawberry.Info, first: int = 20) -> list[VectorStore]:
        return await find(info, db.VectorStore, db.VectorStore.domain_name == self.name, first=first)


@strawberry.type
class Message:
    id: UUID
    sender_type: str
    tokens_used: int | None
    created_at: datetime
    content: str | None = private(str, "content")


@strawberry.type
class Session:
    id: UUID
    status: str
    start_time: datetime
    clone_id: strawberry.Private[UUID]

    @strawberry.field
    async def messages(self, info: strawberry.Info, first: int = 20) -> list[Message]:
        return await find(info, db.Message, db.Message.session_id == self.id, first=first)

    @strawberry.field
    async def clone(self, info: strawberry.Info) -> "Clone | None":
        found: Clone | None = await find_one(info, db.Clone, db.Clone.id == self.clone_id)
        return found


@strawberry.type
class User:
    id: UUID
    full_name: str

    @strawberry.field
    async def sessions(self, info: strawberry.Info, first: int = 20) -> list[Session]:
        return await find(info, db.Session, db.Session.user_id == self.id, first=first)


@strawberry.type
class Clone:
    id: UUID
    name: str
    bio: str | None
    category: str | None
    base_price: Decimal
    is_published: bool
    total_sessions: int
    average_rating: Decimal | None
    created_at: datetime
    memory_type: str | None
    creator_id: strawberry.Private[UUID | None]
    domain_id: strawberry.Private[UUID | None]
    temperature: float | None = private(float, "temperature")
    max_tokens: int | None = private(int, "max_tokens")
    system_prompt: str | None = private(str, "system_prompt")

    @strawberry.field
    async def creator(self, info: strawberry.Info) -> User | None:
        found: User | None = await find_one(info, db.User, db.User.id == self.creator_id)
        return found

    @strawberry.field
    async def domain(self, info: strawberry.Info) -> Domain | None:
        found: Domain | None = await find_one(info, db.Domain, db.Domain.id == self.domain_id)
        return found


@strawberry.type
class Query:
    @strawberry.field
    async def clone(self, info: strawberry.Info, id: UUID) -> Clone | None:  # noqa: A002 (it names the argument)
        found: Clone | None = await find_one(info, db.Clone, db.Clone.id == id)
        return found

    @strawberry.field
    async def clones(
        self, info: strawberry.Info, first: int = 20, skip: int = 0, order_by: str | None = None
    ) -> list[Clone]:
        return await find(info, db.Clone, first=first, skip=skip, order_by=order_by)

    @strawberry.field
    async def users(self, info: strawberry.Info, ids: list[UUID], first: int = 20) -> list[User]:
        return await find(info, db.User, db.User.id.in_(ids), first=first)


class Naive(GraphQL[dict[str, Any], None]):
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> dict[str, Any]:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return {"viewer_id": UUID(jwt.decode(token, secret, algorithms=["HS256"])["sub"])}


if __name__ == "__main__":
    serve(Naive(strawberry.Schema(Query)))
