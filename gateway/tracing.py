"""Spans for OpenTelemetry: one for each operation, and one for each statement, which is a loader's batch.

The SDK is loaded only where OpenTelemetry's own variables say where spans go. Without it, the spans of its API are
made here all the same, and cost next to nothing.
"""

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.metadata import version
from time import perf_counter, time_ns
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    ProxyTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_tracer_provider,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy.engine import make_url

from db.engine import Database
from db.trace import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SDKProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
FLUSH_SECONDS = 2.0

_TARGET = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+(\w+)")
_TOKEN = re.compile(r"[()]|\b(?P<select>SELECT)\b|\b(?P<from>FROM)\b(?:\s+(?P<table>\w+)\b(?!\s*\())?")
_w3c = TraceContextTextMapPropagator()
_nobody = Context()
_NOTHING = nullcontext(INVALID_SPAN)


def wanted() -> bool:
    """Whether the environment says where spans go."""
    return any(os.environ.get(name) for name in ENDPOINTS) and os.environ.get("OTEL_TRACES_EXPORTER") != "none"


class Tracing:
    """Makes the spans of one application."""

    def __init__(self, database: Database, provider: TracerProvider | None = None) -> None:
        """provider: unless given, that of an agent around the process, or else our own where the environment says."""
        self._own: SDKProvider | None = None
        if provider is None:
            provider = get_tracer_provider()
            if isinstance(provider, ProxyTracerProvider) and wanted():
                provider = self._own = _provider()
        self._tracer = provider.get_tracer("clonegraph", version("clonegraph"))
        url = make_url(database.read_url)
        self._database: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.namespace": url.database or "",
            "server.address": url.host or "",
            "server.port": url.port or 5432,
        }

    def begin(self, traceparent: str | None) -> Span:
        """The span of an operation, below that of its client."""
        context = _w3c.extract({"traceparent": traceparent}, _nobody) if traceparent else _nobody
        return self._tracer.start_span("GraphQL Operation", context, SpanKind.SERVER)

    def current(self, span: Span) -> AbstractContextManager[Span]:
        """A block where the span is the one that others find, if it is part of a trace."""
        if not span.get_span_context().is_valid:
            return _NOTHING
        return use_span(span, record_exception=False, set_status_on_exception=False)

    def describe(
        self, span: Span, type_: str | None, facts: Mapping[str, str | int | None], *, failed: bool, error: str | None
    ) -> None:
        """Put into the span of an operation what is known at its end."""
        if type_:
            # The operation's name is the client's choice, and so the conventions keep it out of the span's.
            span.update_name(type_)
        span.set_attributes({key: value for key, value in facts.items() if value is not None})
        if error:
            span.set_attribute("error.type", error)
        if failed:
            span.set_status(Status(StatusCode.ERROR, error))

    def statements(self, parent: Span, trace: Trace) -> None:
        """Add the spans of what was run, with the text of each statement: it holds no values."""
        context = set_span_in_context(parent, _nobody)
        epoch = time_ns() - int(perf_counter() * 1e9)
        for ran in trace.statements:
            operation, table = summary(ran.statement)
            facts = {
                **self._database,
                "db.operation.name": operation,
                "db.query.summary": f"{operation} {table}",
                "db.query.text": ran.statement,
                "db.response.returned_rows": ran.rows,
            }
            if table:
                facts["db.collection.name"] = table
            began = epoch + int(ran.start * 1e9)
            span = self._tracer.start_span(
                f"{operation} {table}", context, SpanKind.CLIENT, attributes=facts, start_time=began
            )
            if ran.error:
                span.set_attribute("error.type", ran.error)
                span.set_status(Status(StatusCode.ERROR))
            span.end(began + int(ran.seconds * 1e9))

    async def close(self) -> None:
        """Send what is left, for as long as a process can wait for that."""
        if self._own is not None:
            flushing = threading.Thread(target=self._own.shutdown, daemon=True)
            flushing.start()
            await asyncio.to_thread(flushing.join, FLUSH_SECONDS)


def _provider() -> "SDKProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider as SDKProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource({"service.name": "clonegraph", "service.version": version("clonegraph")})
    provider = SDKProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@lru_cache(maxsize=2048)
def summary(statement: str) -> tuple[str, str]:
    """What a statement does, and the table that its rows are of; "" where that is no table."""
    operation = statement.split(None, 1)[0].upper()
    if operation not in ("SELECT", "WITH"):
        found = _TARGET.search(statement)
        return operation, found[1] if found else ""
    # A select of a derived table is about the table of that. Those of conditions and columns lie deeper, and are not.
    depth, wanted = 0, None
    for token in _TOKEN.finditer(statement):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif token["select"] and wanted is None:
            wanted = depth
        elif token["from"] and wanted == depth:
            if token["table"]:
                return operation, token["table"]
            wanted = None
    return operation, ""
