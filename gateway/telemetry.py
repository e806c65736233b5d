"""What is told of operations: a line in the log, numbers for Prometheus, and spans for OpenTelemetry.

A transport opens a record for each operation, and whoever learns something of it on the way writes it down there:

    with telemetry.operation("websocket", connection) as record:
        ...  # Executor.prepare, Executor.run
        record.answered(answer.status, answer.codes)
"""

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import Span, TracerProvider
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db import ViewerKind
from db.engine import Database
from db.trace import Trace
from gateway.engine.way import Way
from gateway.logs import IDS, clean
from gateway.metrics import Finished, Metrics
from gateway.settings import Settings
from gateway.tracing import Tracing

if TYPE_CHECKING:
    from gateway.operation import Caller

log = structlog.get_logger()

SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
CLIENT_GONE = 499
"""The status of what nobody waited for. It is never sent."""
BROKEN = 500
DOCUMENT_DIGITS = 16


@dataclass(slots=True)
class Record:
    """What is known of an operation. What is None never became known: it was refused before.

    name: what the client calls it. document: the id of its text. statements, rows: what it asked of the database.
    """

    transport: str = "http"
    name: str | None = None
    type: str | None = None
    document: str | None = None
    document_known: bool | None = None
    trusted: bool = False
    viewer: ViewerKind | None = None
    principal: str | None = None
    client_name: str | None = None
    client_version: str | None = None
    cost: int | None = None
    cost_actual: int | None = None
    statements: int = 0
    rows: int = 0
    way: Way | None = None
    events: int | None = None
    status: int | None = None
    codes: Sequence[str] = ()
    start: float = field(default_factory=perf_counter)
    on_executed: Callable[[Trace], None] | None = None

    def asked_by(self, caller: "Caller") -> None:
        """Who asks, and with which program."""
        self.viewer = caller.viewer.kind
        self.principal = caller.principal
        self.client_name = caller.client_name
        self.client_version = caller.client_version

    def executed(self, trace: Trace) -> None:
        """It was executed once, and this is what that took. A subscription is executed for each event."""
        self.statements += len(trace.statements)
        self.rows += trace.rows
        if self.on_executed:
            self.on_executed(trace)

    def answered(self, status: int, codes: Sequence[str]) -> None:
        """What came of it, for a client that knows the modern media type, whichever it really was."""
        self.status = status
        self.codes = list(dict.fromkeys(map(str, codes)))


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def record() -> Record:
    """The record of the operation that is being dealt with; one that nobody reads, outside of any."""
    return _current.get() or Record()


class Telemetry:
    """Tells of the operations of one application."""

    def __init__(self, database: Database, settings: Settings, provider: TracerProvider | None = None) -> None:
        self.metrics = Metrics(database, settings)
        self.tracing = Tracing(database, provider)
        # The log of one node can be read beside that of another, where they share a secret.
        secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else settings.database_url
        self._key = hashlib.blake2b((secret or secrets.token_hex()).encode(), person=b"clonegraph log").digest()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A block as long as the application runs. What is left to be told is told at its end."""
        async with self.metrics.running():
            yield
        await self.tracing.close()

    @contextmanager
    def operation(self, transport: str, connection: HTTPConnection) -> Iterator[Record]:
        """The record of an operation that lasts as long as the block, and is told of at its end."""
        record = Record(transport)
        span = self.tracing.begin(connection.headers.get("traceparent"))
        recording = span.is_recording()
        if recording:
            record.on_executed = partial(self.tracing.statements, span)
        context = span.get_span_context()
        ids = {"request_id": connection.scope["request_id"]}
        if context.is_valid:
            ids["trace_id"] = f"{context.trace_id:032x}"
        token, ids_token = _current.set(record), IDS.set(ids)
        try:
            with self.tracing.current(span):
                yield record
        except BaseException as error:
            # Nobody waits for what is cancelled.
            record.status = BROKEN if isinstance(error, Exception) else CLIENT_GONE
            raise
        finally:
            seconds = perf_counter() - record.start
            _current.reset(token)
            record.name = clean(record.name)
            record.client_name, record.client_version = clean(record.client_name), clean(record.client_version)
            self._count(record, seconds)
            self._log(record, seconds)
            IDS.reset(ids_token)
            if recording:
                self._describe(record, span)
            span.end()

    def _log(self, record: Record, seconds: float) -> None:
        status = record.status or BROKEN
        facts = {
            "name": record.name,
            "type": record.type,
            "document": record.document and record.document[:DOCUMENT_DIGITS],
            "transport": record.transport,
            "viewer": record.viewer,
            "principal": record.principal and self._pseudonym(record.principal),
            "client": record.client_name,
            "client_version": record.client_version,
            "ms": round(seconds * 1000, 1),
            "statements": record.statements,
            "rows": record.rows,
            "way": record.way,
            "cost": record.cost,
            "cost_actual": record.cost_actual,
            "events": record.events,
            "status": status,
            "codes": record.codes or None,
        }
        say = log.warning if status >= BROKEN else log.info
        say("operation", **{key: value for key, value in facts.items() if value is not None})

    def _pseudonym(self, principal: str) -> str:
        """The same for the same principal. Nobody can tell from it, or try out, which person or address it is."""
        return hashlib.blake2b(principal.encode(), key=self._key, digest_size=8).hexdigest()

    def _count(self, record: Record, seconds: float) -> None:
        metrics = self.metrics
        signed_in = record.viewer is not None and record.viewer is not ViewerKind.ANONYMOUS
        # Without a type it never was an operation, and its name is but a claim.
        name = record.name if record.type and record.name else ""
        what = Finished(
            record.type or "",
            metrics.bounded_name(name, trusted=record.trusted, signed_in=signed_in),
            record.status or BROKEN,
            record.codes[0] if record.codes else "",
        )
        metrics.finished(what, seconds, statements=record.statements, rows=record.rows)
        if record.way is not None:
            metrics.executed[record.way].inc()
        if record.document_known is not None:
            (metrics.documents_known if record.document_known else metrics.documents_unknown).inc()
        if record.cost is not None and record.cost_actual is not None:
            metrics.points_taken.inc(record.cost)
            metrics.points_used.inc(record.cost_actual)
        elif record.cost is not None and "RATE_LIMITED" in record.codes:
            metrics.points_refused.inc(record.cost)

    def _describe(self, record: Record, span: Span) -> None:
        self.tracing.describe(
            span,
            record.type,
            {
                "graphql.operation.name": record.name,
                "graphql.operation.type": record.type,
                "http.response.status_code": record.status or BROKEN,
                "clonegraph.document.id": record.document,
                "clonegraph.transport": record.transport,
                "clonegraph.cost.requested": record.cost,
                "clonegraph.cost.actual": record.cost_actual,
                "clonegraph.client.name": record.client_name,
                "clonegraph.client.version": record.client_version,
            },
            failed=(record.status or BROKEN) >= BROKEN or "INTERNAL" in record.codes,
            error=record.codes[0] if record.codes else None,
        )


class RequestIds:
    """Gives every request an id, its own `X-Request-Id` if that is sane, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = b"%032x" % getrandbits(128)  # to tell requests apart, and nothing that must not be guessed
        for name, value in scope["headers"]:
            if name == b"x-request-id" and SANE_ID.fullmatch(value):
                request_id = value
        scope["request_id"] = request_id.decode()
        header = (b"x-request-id", request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self.app(scope, receive, send_with_id)
