"""Four operations, on the gateway and on SQL written by hand: first the same answers, then what they cost."""

import shutil
from typing import Any

import pytest

from tests.benchmarks.conftest import LargeDatabase, tell
from tests.benchmarks.measure import measure, warm_up
from tests.benchmarks.operations import VIEWER, Operation, nested
from tests.benchmarks.report import Answer, Report
from tests.benchmarks.servers import Server
from tests.serving import serving

pytestmark = pytest.mark.benchmark

CONNECTIONS = (1, 16)
GROWTH = (1, 10, 50, 100)


def test_both_servers_give_the_same_answers(servers: tuple[Server, Server], measured: list[Operation]) -> None:
    for operation in [*measured, *map(nested, GROWTH)]:
        for request in operation.requests:
            ours, theirs = (without_cursors(server.ask(request).json()) for server in servers)

            assert "errors" not in ours
            assert ours == theirs


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_no_request_fails_under_load(
    servers: tuple[Server, Server],
    database: LargeDatabase,
    measured: list[Operation],
    pytestconfig: pytest.Config,
) -> None:
    grown = [nested(first) for first in GROWTH]
    at_rest = servers[0].megabytes

    failures = warm_up(servers, measured, max(CONNECTIONS))
    cells = measure(servers, database.postgresql, [(each, number) for each in measured for number in CONNECTIONS])
    growth = measure(servers, database.postgresql, [(each, 1) for each in grown])

    report = Report(
        postgresql=database.version,
        rows=database.rows,
        cells=cells,
        growth=growth,
        answers=answers(database.url, measured),
        grown_answers=answers(database.url, grown),
        megabytes_at_rest=at_rest,
        megabytes_after_load=servers[0].megabytes,
    )
    report.write()
    tell(pytestconfig, str(report))
    assert failures + sum(cell.failures for cell in [*cells, *growth]) == 0


def without_cursors(value: Any) -> Any:
    """An answer but for its cursors, of which each server has its own."""
    if isinstance(value, list):
        return [without_cursors(each) for each in value]
    if isinstance(value, dict):
        return {name: without_cursors(each) for name, each in value.items() if name != "endCursor"}
    return value


def answers(url: str, operations: list[Operation]) -> list[Answer]:
    """What the gateway's answers are made of."""
    with serving(url) as gateway:
        return [
            Answer(values=values(answer.data), size=len(answer.response.content), statements=len(answer.statements))
            for each in operations
            for answer in [gateway.ask(each.text, as_=VIEWER.key, **each.variables[0])]
        ]


def values(data: Any) -> int:
    """How many values there are in an answer, lists and objects not counted."""
    if isinstance(data, list | dict):
        return sum(map(values, data.values() if isinstance(data, dict) else data))
    return 1
