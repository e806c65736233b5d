"""The application: every route, and what they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from db.engine import Database
from db.errors import DatabaseError
from gateway.auth import Authenticator, Tokens
from gateway.explorer import Explorer
from gateway.graphql import GraphQLEndpoint
from schema.graph import graph


def create_app(database: Database, tokens: Tokens, explorer: Explorer | None = None) -> Starlette:
    """The gateway over a database, as an ASGI application."""
    explorer = explorer or Explorer()
    endpoint = GraphQLEndpoint(database, Authenticator(database, tokens))

    async def graphql(request: Request) -> Response:
        if request.method == "GET" and "query" not in request.query_params and _wants_html(request):
            return await explorer.page(request)
        return await endpoint(request)

    async def schema_text(request: Request) -> Response:
        return PlainTextResponse(graph.as_str())

    async def health(request: Request) -> Response:
        try:
            await database.fetch("SELECT 1", ())
        except DatabaseError as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, 503)
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await database.close()

    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=["GET", "POST"]),
            Route("/schema.graphql", schema_text),
            Route("/health", health),
            *explorer.routes(),
        ],
        lifespan=lifespan,
    )


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
