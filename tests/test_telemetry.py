"""Metrics for Prometheus, and spans for OpenTelemetry."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import MOST_NAMES, OTHER_NAME, worker_ended
from gateway.tracing import summary
from tests.serving import Gateway, serving
from tests.test_process import started

TOKEN = "a token of the one who scrapes, and long"  # noqa: S105
SHOWN = {"metrics_token": TOKEN}
SECRET = "a secret of the tests, which is long enough"  # noqa: S105
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class Numbers:
    """What /metrics told."""

    def __init__(self, text: str) -> None:
        self.samples = [each for family in text_string_to_metric_families(text) for each in family.samples]

    def total(self, metric: str, **labels: str) -> float:
        return sum(each.value for each in self.samples if each.name == metric and labels.items() <= each.labels.items())

    def names(self) -> set[str]:
        return {each.labels["name"] for each in self.samples if each.name == "clonegraph_operations_total"}


def scrape(url: str, token: str = TOKEN) -> Numbers:
    with httpx2.Client(base_url=url, trust_env=False) as client:
        response = client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return Numbers(response.text)


@pytest.fixture
def shown(demo_database: str) -> Iterator[Gateway]:
    with serving(demo_database, SHOWN) as running:
        yield running


def test_metrics_are_for_those_who_have_the_token(shown: Gateway, gateway: Gateway) -> None:
    assert shown.client.get("/metrics").status_code == 401
    assert shown.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert shown.client.get("/metrics", headers={b"authorization": b"Bearer \xe9"}).status_code == 401
    assert gateway.client.get("/metrics").status_code == 404
    assert scrape(shown.url).samples


def test_in_development_everybody_sees_metrics(demo_database: str) -> None:
    with serving(demo_database, {"development": True}) as gateway:
        assert gateway.client.get("/metrics").status_code == 200


def test_operations_are_counted_with_what_they_took(shown: Gateway) -> None:
    for _ in range(3):
        shown.ask("query Names { clones(first: 2) { nodes { name } } }", as_="maya")
    shown.ask("query Names { colour }", as_="maya")
    shown.ask("{")

    numbers = scrape(shown.url)
    assert numbers.total("clonegraph_operations_total", type="query", name="Names", status="200", code="") == 3
    assert numbers.total("clonegraph_operations_total", code="GRAPHQL_VALIDATION_FAILED", status="422", name="") == 1
    assert numbers.total("clonegraph_operations_total", code="GRAPHQL_PARSE_FAILED") == 1
    assert numbers.total("clonegraph_operation_duration_seconds_count", type="query", name="Names") == 3
    assert 0 < numbers.total("clonegraph_operation_duration_seconds_sum", name="Names") < 60
    assert numbers.total("clonegraph_statements_total") == 3
    assert numbers.total("clonegraph_rows_total") >= 6
    assert numbers.total("clonegraph_points_total", kind="taken") >= numbers.total(
        "clonegraph_points_total", kind="used"
    )
    assert numbers.total("clonegraph_points_total", kind="used") > 0
    assert numbers.total("clonegraph_documents_total", known="yes") == 2
    assert numbers.total("clonegraph_documents_total", known="no") == 3
    assert numbers.total("clonegraph_database_connections") >= 1
    assert numbers.total("process_resident_memory_bytes") > 0


def test_strangers_cannot_fill_the_memory_with_names(shown: Gateway) -> None:
    for number in range(20):
        shown.ask(f"query Stranger{number} {{ __typename }}")
    for number in range(MOST_NAMES + 20):
        shown.ask(f"query Friend{number} {{ __typename }}", as_="maya")

    names = scrape(shown.url).names()
    assert len(names) == MOST_NAMES + 1
    assert OTHER_NAME in names
    assert not any(name.startswith("Stranger") for name in names)


def test_two_gateways_of_one_process_count_apart(shown: Gateway, demo_database: str) -> None:
    shown.ask("{ __typename }")

    with serving(demo_database, SHOWN) as other:
        assert scrape(other.url).total("clonegraph_operations_total") == 0
    assert scrape(shown.url).total("clonegraph_operations_total") == 1


def test_any_worker_tells_the_numbers_of_all(demo_database: str) -> None:
    environment = {"DATABASE_URL": demo_database, "JWT_SECRET": SECRET, "METRICS_TOKEN": TOKEN}
    with started("serve", "--port", "0", "--workers", "2", **environment) as (process, address):
        for _ in range(12):
            with httpx2.Client(base_url=address, trust_env=False) as client:
                client.post("/graphql", json={"query": "{ __typename }"})
        numbers = scrape(address)
        pids = {each.labels["pid"] for each in numbers.samples if each.name == "process_resident_memory_bytes"}

        assert numbers.total("clonegraph_operations_total", status="200") == 12
        assert len(pids) == 2
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def test_what_a_worker_had_open_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for kind in ("gauge_livesum", "gauge_liveall", "counter"):
        (tmp_path / f"{kind}_7.db").touch()

    worker_ended(7)

    assert [path.name for path in tmp_path.iterdir()] == ["counter_7.db"]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(demo_database: str, spans: InMemorySpanExporter) -> Iterator[Gateway]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with serving(demo_database, tracer_provider=provider) as running:
        yield running


def finished(spans: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The span of the operation, and those of its statements in the order of their starts."""
    (operation,) = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    statements = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    return operation, sorted(statements, key=lambda span: span.start_time or 0)


def test_an_operation_has_a_span_and_each_statement_one_below_it(traced: Gateway, spans: InMemorySpanExporter) -> None:
    query = "query Names($n: Int!) { clones(first: $n) { nodes { name domain { experts { nodes { name } } } } } }"
    body = {"query": query, "variables": {"n": 77}}
    traced.client.post("/graphql", json=body, headers={"traceparent": PARENT, **traced.headers("maya")})

    operation, statements = finished(spans)
    context = operation.get_span_context()
    assert context
    assert operation.parent
    assert operation.attributes
    assert operation.name == "query"
    assert operation.attributes["graphql.operation.name"] == "Names"
    assert operation.attributes["graphql.operation.type"] == "query"
    assert operation.attributes["http.response.status_code"] == 200
    assert f"{context.trace_id:032x}" == TRACE_ID
    assert f"{operation.parent.span_id:016x}" == PARENT.split("-")[2]
    assert [span.name for span in statements] == ["SELECT clones", "SELECT experts"]
    for span in statements:
        assert span.parent
        assert span.attributes
        assert span.start_time
        assert span.end_time
        assert span.parent.span_id == context.span_id
        assert (operation.start_time or 0) <= span.start_time <= span.end_time <= (operation.end_time or 0)
        assert span.attributes["db.system.name"] == "postgresql"
        assert span.attributes["db.operation.name"] == "SELECT"
        assert span.attributes["db.collection.name"] == span.name.split()[1]
        assert int(str(span.attributes["db.response.returned_rows"])) > 0
    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "nodes" not in everything
    assert not any("77" in str((span.attributes or {})["db.query.text"]) for span in statements)


def test_the_number_of_spans_does_not_grow_with_the_objects(traced: Gateway, spans: InMemorySpanExporter) -> None:
    rows = traced.ask(
        "{ clones(first: 50) { nodes { id creator { fullName } domain { experts { nodes { id } } } } } }"
    ).data

    assert len(rows["clones"]["nodes"]) > 5
    assert len(spans.get_finished_spans()) == 3


def test_a_failure_of_ours_marks_the_span_and_a_mistake_of_the_client_does_not(
    spans: InMemorySpanExporter,
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with serving("postgresql://127.0.0.1:1/nowhere", tracer_provider=provider) as gateway:
        gateway.ask("{ colour }")
        gateway.ask("{ __typename }", as_="maya")

    mistake, failure = spans.get_finished_spans()
    assert mistake.name == failure.name == "GraphQL Operation"
    assert mistake.status.status_code is StatusCode.UNSET
    assert mistake.attributes
    assert mistake.attributes["error.type"] == "GRAPHQL_VALIDATION_FAILED"
    assert failure.status.status_code is StatusCode.ERROR
    assert failure.attributes
    assert failure.attributes["error.type"] == "DATABASE_UNAVAILABLE"


@pytest.mark.parametrize("odd", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff" * 500])
def test_an_odd_parent_is_no_parent(traced: Gateway, spans: InMemorySpanExporter, odd: str) -> None:
    traced.client.post("/graphql", json={"query": "{ __typename }"}, headers={"traceparent": odd})

    operation, _ = finished(spans)
    assert operation.parent is None


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A receiver of OTLP over HTTP, and what it received."""
    received: list[ExportTraceServiceRequest] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_spans_arrive_where_the_environment_says(demo_database: str) -> None:
    with collector() as (endpoint, received):
        environment = {"DATABASE_URL": demo_database, "JWT_SECRET": SECRET, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        with started("serve", "--port", "0", **environment) as (process, address):
            with httpx2.Client(base_url=address, trust_env=False) as client:
                client.post("/graphql", json={"query": "query A { clones(first: 1) { nodes { id } } }"})
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)

    (resource,) = received[0].resource_spans
    service = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert service["service.name"] == "clonegraph"
    assert service["service.version"]
    assert [span.name for span in resource.scope_spans[0].spans] == ["SELECT clones", "query"]


def test_a_collector_that_is_away_does_not_keep_the_process_from_ending(demo_database: str) -> None:
    environment = {
        "DATABASE_URL": demo_database,
        "JWT_SECRET": SECRET,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces",
    }
    with started("serve", "--port", "0", **environment) as (process, address):
        with httpx2.Client(base_url=address, trust_env=False) as client:
            assert client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)

    assert process.returncode is not None


def test_the_sdk_is_not_loaded_unless_spans_go_somewhere() -> None:
    program = """
import sys
from db.engine import Database
from gateway.app import create_app
from gateway.settings import Settings
from gateway.tokens import Tokens
create_app(Database("postgresql://nobody@127.0.0.1/x"), Tokens("x" * 40, Settings()))
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=CLEAN)

    assert result.stdout.strip() == "[]"


CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("SELECT a FROM clones WHERE EXISTS (SELECT FROM experts)", ("SELECT", "clones")),
        ("SELECT (SELECT count(*) FROM experts) FROM clones", ("SELECT", "clones")),
        ("SELECT page.a FROM ((SELECT a FROM clones) UNION ALL (SELECT a FROM experts)) AS page", ("SELECT", "clones")),
        (
            "SELECT p.n FROM unnest($1) WITH ORDINALITY AS p JOIN LATERAL (SELECT a FROM documents) AS c ON true",
            ("SELECT", "documents"),
        ),
        ("SELECT 1", ("SELECT", "")),
        ("INSERT INTO clones (id) SELECT $1", ("INSERT", "clones")),
        ("UPDATE clones SET a = $1", ("UPDATE", "clones")),
        ("DELETE FROM clones", ("DELETE", "clones")),
    ],
)
def test_a_statement_is_summed_up_by_its_table(statement: str, what: tuple[str, str]) -> None:
    assert summary(statement) == what
