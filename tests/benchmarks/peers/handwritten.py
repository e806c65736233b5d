"""The server to compare with: bare ASGI, and for each operation one statement whose answer is sent on as it comes."""

import asyncio
import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from starlette.types import Receive, Scope, Send

from db.engine import SERVER_SETTINGS, Database
from gateway import process
from gateway.auth import Authenticator
from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.benchmarks.peers import statements
from tests.benchmarks.peers.asgi import serve

POOL_SIZE = 10


def _key(id_: str) -> UUID:
    return UUID(id_.rpartition("_")[2])


def _page(variables: dict[str, Any]) -> tuple[Any, ...]:
    if "after" not in variables:
        return statements.PAGED, variables["first"]
    rating, id_ = base64.b64decode(variables["after"]).decode().split(" ")
    if rating:
        return statements.PAGED_AFTER_RATED, variables["first"], Decimal(rating), UUID(id_)
    return statements.PAGED_AFTER_UNRATED, variables["first"], UUID(id_)


OPERATIONS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "Point": lambda variables: (statements.POINT, _key(variables["id"])),
    "Nested": lambda variables: (statements.NESTED, variables["first"]),
    "Wide": lambda variables: (statements.WIDE, variables["first"]),
    "Deep": lambda variables: (statements.DEEP, [_key(each) for each in variables["people"]]),
    "Paged": _page,
}
"""The statement of each operation, and what it is asked with, from the variables."""


class Handwritten:
    """Answers the operations by their names, and nothing else."""

    def __init__(self, url: str, tokens: Tokens) -> None:
        self.url = url
        self.database = Database(url)
        self.authenticator = Authenticator(self.database, tokens)
        self.idle: asyncio.LifoQueue[Any] = asyncio.LifoQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        identity = await self.authenticator.identify(dict(scope["headers"])[b"authorization"].decode())
        assert identity
        request = orjson.loads(await _body(receive))
        statement, *arguments = OPERATIONS[request["operationName"]](request["variables"])
        connection = await self.idle.get()
        try:
            answer = await connection.fetchval(statement, identity.viewer.id, *arguments)
        finally:
            self.idle.put_nowait(connection)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        connections = [await self._connect() for _ in range(POOL_SIZE)]
        for connection in connections:
            self.idle.put_nowait(connection)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for connection in connections:
            await connection.close()
        await self.database.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _connect(self) -> Any:
        """A connection that plans each statement once, and leaves JSON as the bytes it came in."""
        settings = {**SERVER_SETTINGS, "plan_cache_mode": "force_generic_plan"}
        connection = await asyncpg.connect(self.url, server_settings=settings)
        await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
        return connection


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            return bytes(body)


if __name__ == "__main__":
    settings = Settings.read()
    serve(Handwritten(str(settings.database_url), process.tokens(settings)))
