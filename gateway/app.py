"""The application: every route, and what they share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry.trace import TracerProvider
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from db.engine import Database
from db.storage import Storage
from gateway.auth import Authenticator
from gateway.deliveries import Deliveries
from gateway.documents import Documents
from gateway.explorer import Explorer
from gateway.files import Files, files_secret
from gateway.graphql import GraphQLEndpoint
from gateway.health import Health
from gateway.operation import Executor
from gateway.persisted import PersistedDocuments
from gateway.points import choose_points
from gateway.request import HTTPRequest
from gateway.security import SecurityHeaders, cross_origin
from gateway.settings import Settings
from gateway.sockets import Sockets
from gateway.stream import StreamEndpoint, wants_stream
from gateway.telemetry import RequestIds, Telemetry
from gateway.tokens import Tokens
from gateway.websocket import WebSocketEndpoint
from resolvers.feed import Feed
from resolvers.provisioning.provider import Provider
from resolvers.provisioning.providers import PROVIDERS
from resolvers.services import Services
from resolvers.worker import Worker
from schema.graph import graph

if TYPE_CHECKING:
    from gateway.shared_redis import SharedRedis


def create_app(
    database: Database,
    tokens: Tokens,
    explorer: Explorer | None = None,
    settings: Settings | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    provider: Provider | None = None,
) -> Starlette:
    """The gateway over a database, as an ASGI application.

    tracer_provider: what spans are made with, unless the environment says where they go.
    provider: the AI provider, if it is not the one that the settings choose.
    """
    settings = settings or Settings()
    explorer = explorer or Explorer()
    authenticator = Authenticator(database, tokens)
    shared = _shared(settings)
    documents = Documents(settings, PersistedDocuments(settings, database, shared))
    feed = Feed(database, window=settings.events_window)
    provider = provider or PROVIDERS[settings.chosen_provider](database, settings.provider_options)
    services = Services(
        database,
        feed,
        Storage(settings.storage_place),
        provider,
        settings.terms,
        settings.provider_instance,
        links=settings.links,
        secret=files_secret(settings, tokens),
    )
    executor = Executor(services, documents, choose_points(settings, shared), settings)
    worker = Worker(services, settings.operation_lease)
    telemetry = Telemetry(database, settings, tracer_provider)
    health = Health(database, shared, worker if settings.worker else None)
    endpoint = GraphQLEndpoint(executor, authenticator, telemetry, settings)
    deliveries = Deliveries(executor, authenticator)
    sockets = Sockets(authenticator, telemetry, settings)
    websocket = WebSocketEndpoint(deliveries, sockets, settings)
    stream = StreamEndpoint(endpoint, deliveries, sockets)

    async def schema_text(request: Request) -> Response:
        return PlainTextResponse(_schema_text())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as life:
            life.push_async_callback(database.close)
            life.push_async_callback(authenticator.close)
            life.push_async_callback(health.close)
            life.push_async_callback(provider.close)
            feed.start()
            life.push_async_callback(feed.close)
            if settings.worker:
                worker.start()
                life.push_async_callback(worker.close)
            if shared:
                from gateway.fanout import Fanout

                life.push_async_callback(shared.close)
                fanout = Fanout(shared, feed)
                fanout.start()
                life.push_async_callback(fanout.close)
            await life.enter_async_context(telemetry.running())
            await life.enter_async_context(sockets.running())
            yield

    app = Starlette(
        routes=[
            WebSocketRoute("/graphql", websocket.__call__),
            Route("/graphql/stream", stream.__call__, methods=METHODS),
            *([Route("/schema.graphql", schema_text)] if settings.introspection else ()),
            *Files(services).routes(),
            Route("/metrics", telemetry.metrics.page),
            *health.routes(),
            *(explorer.routes(settings) if settings.explorer else ()),
        ],
        middleware=[
            Middleware(RequestIds),
            Middleware(SecurityHeaders),
            *cross_origin(settings),
            Middleware(GraphQLOverHTTP, explorer if settings.explorer else None, stream, endpoint),
        ],
        lifespan=lifespan,
    )
    app.state.health = health
    app.state.worker = worker
    app.state.sockets = sockets
    return app


class GraphQLOverHTTP:
    """`/graphql`: the explorer for people, and what they asked for to programs. explorer: None where there is none.

    It stands before Starlette's router, which would take a tenth of the time of a small request.
    """

    def __init__(
        self, app: ASGIApp, explorer: Explorer | None, stream: StreamEndpoint, endpoint: GraphQLEndpoint
    ) -> None:
        self.app = app
        self.explorer = explorer
        self.stream = stream
        self.endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it pass to the router."""
        if scope["type"] != "http" or scope["path"] != "/graphql":
            await self.app(scope, receive, send)
            return
        request = HTTPRequest(scope, receive, send)
        if self.explorer and _is_person(request):
            response = await self.explorer.page(request)
        elif wants_stream(request.headers.get("accept", "")):
            response = await self.stream(request)
        else:
            response = await self.endpoint(request)
        await response(scope, receive, send)


PARAMETERS = {"query", "documentId", "extensions"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _shared(settings: Settings) -> "SharedRedis | None":
    """What the nodes share. Its library is loaded only where there is one."""
    if not settings.redis_url:
        return None
    from gateway.shared_redis import SharedRedis

    return SharedRedis(settings.redis_url)


@cache
def _schema_text() -> str:
    return graph.as_str()


def _is_person(request: Request) -> bool:
    """Whether somebody looks with a browser, rather than a program that asks for something."""
    wants_html = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and wants_html and PARAMETERS.isdisjoint(request.query_params)
