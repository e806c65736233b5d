"""A GraphQL request as it comes in: by POST as JSON, by GET in the address, or with files as a form."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gateway.errors import Code, RequestError
from gateway.negotiation import JSON_TYPE
from gateway.settings import Settings
from gateway.telemetry import CLIENT_GONE

FORM_TYPE = "multipart/form-data"
PREFLIGHT_HEADERS = ("graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name")
"""A browser sends none of these to another site without asking it first."""


class HTTPRequest(Request):
    """A request over HTTP, as fast to read as it is often read: each of its headers is decoded once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._headers = IndexedHeaders(scope=scope)


class IndexedHeaders(Headers):
    """Headers that are got by their names at once. Starlette's go through all of them each time."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        # Of several with one name, the first one counts.
        self._by_name = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(self.raw)}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a header."""
        return self._by_name.get(key.lower(), default)


@dataclass(frozen=True)
class GraphQLRequest:
    """The parameters of a GraphQL request: a document, or the id of one that the server knows, and its variables."""

    query: str | None = None
    document_id: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any) -> "GraphQLRequest":
        """The request in a decoded body. Raises RequestError when it is none."""
        if not isinstance(given, dict):
            raise _malformed('The body must be a JSON object like {"query": "{ viewer { fullName } }"}.')
        wanted = cls(
            _optional(given, "query", str, "a string with a GraphQL document"),
            _optional(given, "documentId", str, "a string"),
            _optional(given, "variables", dict, "an object") or {},
            _optional(given, "operationName", str, "a string"),
            _optional(given, "extensions", dict, "an object") or {},
        )
        if wanted.query is None and wanted.document_id is None and wanted.persisted_hash is None:
            raise _malformed("query is missing: it must be a string with a GraphQL document.")
        return wanted

    @property
    def persisted_hash(self) -> str | None:
        """The SHA-256 of the document, as Apollo's clients send it (automatic persisted queries)."""
        persisted = self.extensions.get("persistedQuery")
        if persisted is None:
            return None
        found = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if not isinstance(found, str) or persisted.get("version") != 1:
            raise _malformed('extensions.persistedQuery must be like {"version": 1, "sha256Hash": "..."}.')
        return found


async def read_request(request: Request, settings: Settings, *, signed_in: bool) -> GraphQLRequest:
    """The GraphQL request in an HTTP request. Raises RequestError. Nobody's files are taken: they would fill a disk."""
    if request.method != "POST":
        return GraphQLRequest.read(_of_address(request))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, Code.UNSUPPORTED_MEDIA_TYPE, "Send the request without a content encoding.")
    content_type, *parameters = request.headers.get("content-type", "").lower().replace(" ", "").split(";")
    if content_type == FORM_TYPE:
        from gateway.uploads import read_form

        require_preflight(request)
        if not signed_in:
            raise RequestError(401, Code.UNAUTHENTICATED, "Sign in to send files.", headers=CLOSE)
        return GraphQLRequest.read(await read_form(request, settings))
    if content_type != JSON_TYPE or not {"charset=utf-8", 'charset="utf-8"'}.issuperset(
        each for each in parameters if each.startswith("charset")
    ):
        raise RequestError(415, Code.UNSUPPORTED_MEDIA_TYPE, f"Send the request as {JSON_TYPE}, in UTF-8.")
    return GraphQLRequest.read(decode(await _body(request, settings), "The body"))


def require_preflight(request: Request) -> None:
    """Refuse what a form on somebody else's page could send in the name of the person looking at it."""
    if not any(header in request.headers for header in PREFLIGHT_HEADERS):
        raise RequestError(
            403, Code.PREFLIGHT_REQUIRED, "Send the header `GraphQL-Require-Preflight: 1` with requests of this kind."
        )


def decode(text: str | bytes, what: str) -> Any:
    """The value of a JSON text. Raises RequestError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, Code.BAD_REQUEST, f"{what} must be JSON: {error}.") from None


async def limited(request: Request, most: int, seconds: float) -> AsyncGenerator[bytes]:
    """The body of a request as it comes in. Raises RequestError when it is too large, or too slow.

    seconds: how long it may take from piece to piece.
    """
    pieces = request.stream()
    size = 0
    while True:
        with _patience(seconds):
            async with asyncio.timeout(seconds):
                piece = await anext(pieces, b"")
        if not piece:
            return
        size += len(piece)
        check_size(size, most)
        yield piece


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """A block that waits for a client no longer than that."""
    try:
        yield
    except ClientDisconnect:
        raise RequestError(CLIENT_GONE, Code.BAD_REQUEST, "The client hung up before all of it came.") from None
    except TimeoutError:
        raise RequestError(
            408, Code.REQUEST_TIMEOUT, f"Nothing came for {seconds:g} seconds. Send it again.", headers=CLOSE
        ) from None


def check_size(size: int, most: int) -> None:
    """Go on, if a body of so many bytes may be. Raises RequestError."""
    if size > most:
        raise RequestError(413, Code.REQUEST_TOO_LARGE, f"A request may have {most} bytes at most.", headers=CLOSE)


CLOSE = {"Connection": "close"}


async def _body(request: Request, settings: Settings) -> bytes:
    """The whole body, which may take so long in all."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal():
        check_size(int(announced), settings.max_body_bytes)
    body = bytearray()
    with _patience(settings.body_timeout):
        async with asyncio.timeout(settings.body_timeout):
            async for piece in request.stream():
                body += piece
                check_size(len(body), settings.max_body_bytes)
    return bytes(body)


def _of_address(request: Request) -> dict[str, Any]:
    """The parameters of a GET. An empty one counts as absent."""
    given: dict[str, Any] = {key: value for key, value in request.query_params.items() if value}
    for key in ("variables", "extensions"):
        if key in given:
            given[key] = decode(given[key], key)
    return given


def _optional(given: dict[str, Any], key: str, kind: type, what: str) -> Any:
    value = given.get(key)
    if value is not None and not isinstance(value, kind):
        raise _malformed(f"{key} must be {what}.")
    return value


def _malformed(message: str) -> RequestError:
    return RequestError(422, Code.BAD_REQUEST, message)
