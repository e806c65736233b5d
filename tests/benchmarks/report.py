"""The report: what was measured as tables, for the terminal and for docs/performance.md."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from tests.benchmarks.measure import ROUNDS, Cell, Cost
from tests.benchmarks.servers import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- measured by make bench -->"
END: Final = "<!-- end of what make bench measured -->"

OURS: Final = "CloneGraph"
THEIRS: Final = "hand-written"


@dataclass(frozen=True)
class Answer:
    """What one answer of an operation is made of."""

    values: int
    size: int
    """In bytes."""
    statements: int


@dataclass(frozen=True)
class Report:
    """Everything that was measured. The answers stand in the order of the operations."""

    postgresql: str
    rows: int
    cells: list[Cell]
    growth: list[Cell]
    answers: list[Answer]
    grown_answers: list[Answer]
    megabytes_at_rest: float
    megabytes_after_load: float

    def __str__(self) -> str:
        return "\n\n".join(
            [
                self._circumstances(),
                f"{OURS} in relation to {THEIRS}:",
                self._ratios(),
                "Each of them:",
                self._costs(),
                "The nested operation with more and more clones, over one connection:",
                self._growth(),
                self._memory(),
            ]
        )

    def write(self) -> None:
        """Put the tables into the page, in the place of the last ones."""
        put(BEGIN, END, str(self))

    def _circumstances(self) -> str:
        return circumstances(
            f"PostgreSQL {self.postgresql}, {self.rows:,} rows of demo data, medians of {ROUNDS} rounds"
        )

    def _memory(self) -> str:
        before, after = self.megabytes_at_rest, self.megabytes_after_load
        return f"Memory of {OURS}: {before:.0f} MB before the first request, {after:.0f} MB after the last one."

    def _ratios(self) -> str:
        by_operation: dict[str, list[Cell]] = {}
        for cell in self.cells:
            by_operation.setdefault(cell.operation.name, []).append(cell)
        alike = list(zip(*by_operation.values(), strict=True))
        lines = [
            *([f"requests/s, {_over(cells[0])}", *(f"{cell.ratio:.3f}" for cell in cells)] for cells in alike),
            *([f"CPU time, {_over(cells[0])}", *(f"{cell.cpu_ratio:.1f} times" for cell in cells)] for cells in alike),
            ["statements", *(str(answer.statements) for answer in self.answers)],
            ["values in an answer", *(f"{answer.values:,}" for answer in self.answers)],
            ["bytes of an answer", *(f"{answer.size:,}" for answer in self.answers)],
        ]
        return table(["", *by_operation], lines)

    def _costs(self) -> str:
        head = ["operation", "over", "server", "requests/s", "p50 ms", "p99 ms", "CPU ms", "CPU ms, PostgreSQL"]
        lines: list[list[str]] = []
        for cell in self.cells:
            lines.append([cell.operation.name, _over(cell), OURS, *_cost(cell.ours)])
            lines.append(["", "", THEIRS, *_cost(cell.theirs)])
        return table(head, lines)

    def _growth(self) -> str:
        head = ["clones", "values", "server", "requests/s", "p50 ms", "p99 ms", "CPU ms", "CPU ms, PostgreSQL"]
        lines: list[list[str]] = []
        for cell, answer in zip(self.growth, self.grown_answers, strict=True):
            first = cell.operation.variables[0]["first"]
            lines.append([str(first), f"{answer.values:,}", OURS, *_cost(cell.ours)])
            lines.append(["", "", THEIRS, *_cost(cell.theirs)])
        return table(head, lines)


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
