"""The report: what was measured as tables, for the terminal and for docs/performance.md."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from tests.benchmarks.measure import ROUNDS, Cell, Cost
from tests.benchmarks.peers import GATEWAY, GATEWAYS, PEERS
from tests.benchmarks.servers import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- measured by make bench -->"
END: Final = "<!-- end of what make bench measured -->"

OURS: Final = GATEWAY.name
THEIRS: Final = "hand-written"
BASELINES: Final = {peer.name: GATEWAYS[peer.viewer].name for peer in PEERS}
"""By a peer's name: whom it is compared with."""


@dataclass(frozen=True)
class Answer:
    """What one answer of an operation is made of."""

    values: int
    size: int
    """In bytes."""
    statements: int


@dataclass(frozen=True)
class Facts:
    """What there is to say of a server, however it is asked. paged_rows: how many rows paging reaches."""

    name: str
    megabytes_at_rest: float
    megabytes_after_load: float
    paged_rows: int


@dataclass(frozen=True)
class Report:
    """Everything that was measured. The answers stand in the order of the operations."""

    postgresql: str
    rows: int
    cells: list[Cell]
    nothing: list[Cell]
    """What it costs the gateway to be asked for nothing."""
    growth: list[Cell]
    answers: list[Answer]
    grown_answers: list[Answer]
    servers: list[Facts]

    def __str__(self) -> str:
        parts = [self._circumstances()]
        if not BASELINES.keys().isdisjoint(self.cells[0].costs):
            parts += [
                "Requests/s, as a multiple of each peer's, over 1 connection and over 16:",
                self._multiples(Cell.ratio),
                "CPU time of a request, as a multiple of each peer's:",
                self._multiples(Cell.cpu_ratio),
            ]
        parts += [f"An answer of {OURS}:", self._answers(), "Each of them:", self._costs()]
        if self.growth:
            parts += ["The nested operation with more and more clones, over one connection:", self._growth()]
        return "\n\n".join([*parts, "Each server:", self._servers()])

    def write(self) -> None:
        """Put the tables into the page, in the place of the last ones."""
        put(BEGIN, END, str(self))

    def _circumstances(self) -> str:
        return circumstances(
            f"PostgreSQL {self.postgresql}, {self.rows:,} rows of demo data, medians of {ROUNDS} rounds"
        )

    def _servers(self) -> str:
        reachable = {each.name: each.paged_rows for each in self.servers}
        lines = [
            [
                each.name,
                f"{each.megabytes_at_rest:.0f}",
                f"{each.megabytes_after_load:.0f}",
                f"{each.paged_rows:,} of {reachable[BASELINES.get(each.name, each.name)]:,}",
            ]
            for each in self.servers
        ]
        return table(["server", "MB before the load", "MB after it", "rows reached by paging"], lines)

    def _multiples(self, of: Callable[[Cell, str, str], float]) -> str:
        """What `of` says of the gateway and each peer, for each cell."""
        head = [f"{OURS} :", *(f"{cell.operation.name}, {cell.connections}" for cell in self.cells)]
        lines = [
            [peer, *(_multiple(of(cell, BASELINES[peer], peer)) for cell in self.cells)]
            for peer in self.cells[0].costs
            if peer in BASELINES
        ]
        return table(head, lines)

    def _answers(self) -> str:
        operations = dict.fromkeys(cell.operation.name for cell in self.cells)
        lines = [
            ["statements", *(str(answer.statements) for answer in self.answers)],
            ["values", *(f"{answer.values:,}" for answer in self.answers)],
            ["bytes", *(f"{answer.size:,}" for answer in self.answers)],
        ]
        return table(["", *operations], lines)

    def _costs(self) -> str:
        cells = [*self.cells, *self.nothing]
        lines = [line for cell in cells for line in _lines(cell, cell.operation.name, _over(cell))]
        return table(["operation", "over", "server", *COST], lines)

    def _growth(self) -> str:
        lines = [
            line
            for cell, answer in zip(self.growth, self.grown_answers, strict=True)
            for line in _lines(cell, str(cell.operation.variables[0]["first"]), f"{answer.values:,}")
        ]
        return table(["clones", "values", "server", *COST], lines)


COST: Final = ("requests/s", "p50 ms", "p99 ms", "CPU ms", "CPU ms, PostgreSQL")


def _lines(cell: Cell, *labels: str) -> Iterator[list[str]]:
    """What a cell cost, a line for each server. labels: what the first line begins with."""
    for name, costs in cell.costs.items():
        yield [*labels, name, *_cost(costs)]
        labels = ("",) * len(labels)


def _multiple(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def put(begin: str, end: str, text: str) -> None:
    """Put what was measured into the page, between its two marks."""
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def circumstances(*more: str) -> str:
    """When and on what it was measured."""
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    return f"{datetime.now(UTC):%-d %B %Y}: {', '.join((machine, f'Python {platform.python_version()}', *more))}."


def _over(cell: Cell) -> str:
    return "1 connection" if cell.connections == 1 else f"{cell.connections} connections"


def _cost(costs: list[Cost]) -> list[str]:
    return [
        f"{median(cost.per_second for cost in costs):,.1f}",
        f"{median(cost.p50 for cost in costs):,.2f}",
        f"{median(cost.p99 for cost in costs):,.2f}",
        f"{median(cost.server_cpu for cost in costs):,.2f}",
        f"{median(cost.database_cpu for cost in costs):,.2f}",
    ]


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown, with its columns aligned for those who read it as text."""
    cells = [head, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    rows = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rows)
