"""Metrics for Prometheus: of one process, or of several workers together."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from db.engine import Database
from gateway.engine.way import Way
from gateway.settings import Settings

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
MOST_NAMES = 200
OTHER_NAME = "(other)"
"""The name of operations that do not get one of their own. No operation can be called so."""

LOOK_SECONDS = 5.0
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


@contextmanager
def several_workers() -> Iterator[None]:
    """A folder where workers started inside the block keep their metrics, so that each of them can tell those of all.

    It is for the parent process, whose forks the workers may be. A folder that the operator has set is used, and
    emptied of what an earlier run left.
    """
    with _folder():
        # The library looks at the environment when it is imported, which may have been before.
        alone, values.ValueClass = values.ValueClass, values.get_value_class()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            values.ValueClass = alone


@contextmanager
def _folder() -> Iterator[None]:
    if chosen := os.environ.get(FOLDER):
        folder = Path(chosen)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):
            left.unlink()
        yield
        return
    with tempfile.TemporaryDirectory(prefix="clonegraph-metrics-") as made:
        os.environ[FOLDER] = made
        try:
            yield
        finally:
            del os.environ[FOLDER]


def worker_ended(pid: int) -> None:
    """Forget what a worker had open. What it had counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


class Finished(NamedTuple):
    """What the metrics tell apart of operations. name: one of `bounded_name`."""

    type: str
    name: str
    status: int
    code: str


class Metrics:
    """The metrics of one application.

    Strangers choose the names of their operations, and every name takes memory for good: only those of trusted
    documents and the first ones of callers who are signed in are told apart.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.shared = values.ValueClass is not values.MutexValue
        self._registry = CollectorRegistry()
        self._names: set[str] = set()
        self._finished: dict[Finished, tuple[Counter, Histogram]] = {}
        self._define()

    def _define(self) -> None:
        where = self._registry
        self._operations = Counter(
            "clonegraph_operations",
            "Operations that came to an end. status is that of the modern media type; code is that of the first error.",
            ("type", "name", "status", "code"),
            registry=where,
        )
        self._seconds = Histogram(
            "clonegraph_operation_duration_seconds",
            "How long operations took, from the first byte of the request to the last of the answer's text.",
            ("type", "name"),
            registry=where,
            buckets=SECONDS,
        )
        self._statements = Counter("clonegraph_statements", "SQL statements of operations.", registry=where)
        self._rows = Counter("clonegraph_rows", "Rows that they gave.", registry=where)
        executed = Counter(
            "clonegraph_executions",
            "Executions, by their way: by a plan, by graphql-core after an anomaly, or by graphql-core alone.",
            ("way",),
            registry=where,
        )
        self.executed = {way: executed.labels(way) for way in Way}
        points = Counter(
            "clonegraph_points",
            "Points of operations: taken before they ran, used in fact, or refused to those who had too few.",
            ("kind",),
            registry=where,
        )
        self.points_taken, self.points_used, self.points_refused = map(points.labels, ("taken", "used", "refused"))
        documents = Counter(
            "clonegraph_documents",
            "Documents that were asked for, by whether they had been checked before.",
            ("known",),
            registry=where,
        )
        self.documents_known, self.documents_unknown = map(documents.labels, ("yes", "no"))
        self._sockets = Gauge(
            "clonegraph_open_sockets",
            "WebSockets and event streams that are open.",
            ("transport",),
            registry=where,
            multiprocess_mode="livesum",
        )
        self._connections = Gauge(
            "clonegraph_database_connections",
            "Connections to the database, in use or idle.",
            ("state",),
            registry=where,
            multiprocess_mode="livesum",
        )
        self._process: _Process | None = None
        if self.shared:
            self._process = _Process(where)
        else:
            ProcessCollector(registry=where)

    def finished(self, what: Finished, seconds: float, *, statements: int, rows: int) -> None:
        """Count an operation."""
        found = self._finished.get(what)
        if found is None:  # looking labels up by their names takes longer than counting does
            found = self._operations.labels(*map(str, what)), self._seconds.labels(what.type, what.name)
            self._finished[what] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)
        if statements:
            self._statements.inc(statements)
            self._rows.inc(rows)

    def bounded_name(self, name: str, *, trusted: bool, signed_in: bool) -> str:
        """The name that an operation is counted under."""
        if not name or trusted or name in self._names:
            return name
        if signed_in and len(self._names) < MOST_NAMES:
            self._names.add(name)
            return name
        return OTHER_NAME

    def open_socket(self, transport: str) -> AbstractContextManager[None]:
        """A block that lasts as long as a socket."""
        return self._sockets.labels(transport).track_inprogress()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A block in which the others learn again and again what only this process can measure."""
        looking = asyncio.create_task(self._look_again_and_again()) if self.shared else None
        try:
            yield
        finally:
            if looking:
                looking.cancel()

    async def _look_again_and_again(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Measure what is not counted as it happens."""
        connections = self.database.connections
        self._connections.labels("in use").set(connections.in_use)
        self._connections.labels("idle").set(connections.idle)
        if self._process:
            self._process.look()

    async def page(self, request: Request) -> Response:
        """`GET /metrics`."""
        token = self.settings.metrics_token
        if token is None and not self.settings.development:
            return PlainTextResponse("Metrics are shown when METRICS_TOKEN is set.\n", 404)
        if token is not None:
            expected = f"Bearer {token.get_secret_value()}"
            if not secrets.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
                return PlainTextResponse(
                    "Send METRICS_TOKEN as `Authorization: Bearer <token>`.\n", 401, {"WWW-Authenticate": "Bearer"}
                )
        self.look()
        registry = self._registry
        if self.shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})


class _Process:
    """What prometheus-client tells of one process only, for each of several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._collector = ProcessCollector(registry=None)
        self._memory = Gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self._files = Gauge(
            "process_open_fds", "Number of open file descriptors.", registry=registry, multiprocess_mode="liveall"
        )
        self._cpu = Counter("process_cpu_seconds", "User and system CPU time spent in seconds.", registry=registry)
        self._cpu_counted = 0.0

    def look(self) -> None:
        found = {each.name: each.value for family in self._collector.collect() for each in family.samples}
        self._memory.set(found.get("process_resident_memory_bytes", 0))
        self._files.set(found.get("process_open_fds", 0))
        cpu = found.get("process_cpu_seconds_total", 0.0)
        self._cpu.inc(cpu - self._cpu_counted)
        self._cpu_counted = cpu
