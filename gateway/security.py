"""What browsers are told about our answers, and which pages of other origins they may show them to.

`Strict-Transport-Security` is not here: TLS ends at the proxy, and only the proxy knows for which names it does.
"""

import re
from functools import lru_cache

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.settings import Settings

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

LOADS_NOTHING = b"default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page, workers included."""

PAGE = (
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "font-src 'self'",
    "img-src 'self'",
    "connect-src 'self'{sockets}",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
"""The policy of the explorer's page. Monaco writes style attributes and style elements as it goes, so that neither
nonces nor hashes can name them. Its scripts and workers are files of ours."""

HOST = re.compile(rb"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")

REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "graphql-cost",
    "graphql-plan",
    "graphql-client-name",
    "graphql-client-version",
    "apollographql-client-name",
    "apollographql-client-version",
    "last-event-id",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
)
ANSWER_HEADERS = ("x-request-id", "retry-after")
REMEMBERED_SECONDS = 3600


def cross_origin(settings: Settings) -> list[Middleware]:
    """What lets the pages of CORS_ORIGINS read our answers. Credentials of the browser's are never asked for."""
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
            max_age=REMEMBERED_SECONDS,
        )
    ]


class SecurityHeaders:
    """Adds to every answer what keeps a browser from doing more with it than showing it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                media_type = next((value for name, value in headers if name == b"content-type"), b"")
                policy = (b"content-security-policy", _policy(media_type, scope))
                message["headers"] = [*headers, *HEADERS, policy]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _policy(media_type: bytes, scope: Scope) -> bytes:
    if media_type.startswith(b"text/html"):
        return _page_policy(next((value for name, value in scope["headers"] if name == b"host"), b""))
    return LOADS_NOTHING


@lru_cache(maxsize=100)
def _page_policy(host: bytes) -> bytes:
    """The policy of a page that was asked for under this name. Not every browser counts sockets as 'self'."""
    name = host.decode() if HOST.fullmatch(host) else ""
    return "; ".join(PAGE).format(sockets=f" ws://{name} wss://{name}" if name else "").encode()
