"""Five operations, on the gateway and on its peers: first the same answers, then what they cost."""

import shutil
from typing import Any

import pytest

from tests.benchmarks.conftest import LargeDatabase, Selection, tell
from tests.benchmarks.dialects import comparable
from tests.benchmarks.measure import measure, warm_up
from tests.benchmarks.operations import NOTHING, VIEWER, Operation, nested
from tests.benchmarks.report import BASELINES, OURS, THEIRS, Answer, Facts, Report
from tests.benchmarks.servers import Server
from tests.serving import serving

pytestmark = pytest.mark.benchmark

CONNECTIONS = (1, 16)
GROWTH = (1, 10, 50, 100)


def test_all_servers_give_the_same_answers(servers: list[Server], measured: list[Operation]) -> None:
    ours = {server.peer.viewer: server for server in servers if server.name not in BASELINES}
    for other in servers:
        dialect = other.peer.dialect
        our = ours[other.peer.viewer]
        for operation in [each for each in [*measured, *map(nested, GROWTH)] if not each.paged]:
            for our_request, request in zip(our.requests(operation), other.requests(operation), strict=True):
                our_answer, answer = our.ask(our_request), other.ask(request)

                assert "errors" not in our_answer
                assert comparable(answer, pages=True) == comparable(our_answer, pages=dialect.pages), other.name


def test_paging_reaches_each_row_once_and_in_the_order_of_the_others(
    servers: list[Server], measured: list[Operation]
) -> None:
    ours = {server.peer.viewer: server for server in servers if server.name not in BASELINES}
    for operation in [each for each in measured if each.paged]:
        for server in servers:
            our = ours[server.peer.viewer]
            all_rows, rows = (
                [comparable(row, pages=True) for page in each.pages(operation) for row in page.rows]
                for each in (our, server)
            )
            (counted,) = our.ask({"query": "{ clones(first: 0) { totalCount } }"})["data"].values()

            assert len({row["id"] for row in all_rows}) == len(all_rows) == counted["totalCount"]
            assert rows == all_rows[: len(rows)], server.name
            assert (len(rows) < len(all_rows)) == server.peer.dialect.loses_nulls, server.name


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_no_request_fails_under_load(
    servers: list[Server],
    database: LargeDatabase,
    selection: Selection,
    measured: list[Operation],
    pytestconfig: pytest.Config,
) -> None:
    ours = servers[0]
    ours_and_theirs = [each for each in servers if each.name in (OURS, THEIRS)]
    grown = [nested(first) for first in GROWTH] if selection.complete else []
    at_rest = [server.megabytes for server in servers]

    failures = warm_up(servers, measured, max(CONNECTIONS))
    cells = measure(servers, database.postgresql, [(each, number) for each in measured for number in CONNECTIONS])
    nothing = measure([ours], database.postgresql, [(NOTHING, max(CONNECTIONS))])
    growth = measure(ours_and_theirs, database.postgresql, [(each, 1) for each in grown])

    report = Report(
        postgresql=database.version,
        rows=database.rows,
        cells=cells,
        nothing=nothing,
        growth=growth,
        answers=answers(database.url, measured),
        grown_answers=answers(database.url, grown),
        servers=[
            Facts(server.name, megabytes, server.megabytes, paged_rows(server, measured))
            for server, megabytes in zip(servers, at_rest, strict=True)
        ],
    )
    if selection.complete:
        report.write()
    tell(pytestconfig, str(report))
    assert failures + sum(cell.failures for cell in [*cells, *nothing, *growth]) == 0


def answers(url: str, operations: list[Operation]) -> list[Answer]:
    """What the gateway's answers are made of."""
    with serving(url) as gateway:
        return [
            Answer(values=values(answer.data), size=len(answer.response.content), statements=len(answer.statements))
            for each in operations
            for answer in [gateway.ask(each.text, as_=VIEWER.key, **each.variables[0])]
        ]


def paged_rows(server: Server, operations: list[Operation]) -> int:
    """How many rows a server gives to those who page through their list."""
    return sum(len(page.rows) for each in operations if each.paged for page in server.pages(each))


def values(data: Any) -> int:
    """How many values there are in an answer, lists and objects not counted."""
    if isinstance(data, list | dict):
        return sum(map(values, data.values() if isinstance(data, dict) else data))
    return 1
