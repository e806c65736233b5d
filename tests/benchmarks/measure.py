"""Measurements: what an answer costs under load, on each server in turn, several times over."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.load import load
from tests.benchmarks.operations import Operation
from tests.benchmarks.servers import PostgreSQL, Server, wait_until_idle

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = 1
MOST_SECONDS = 20


@dataclass(frozen=True)
class Cost:
    """What an operation costs on a server. Times are milliseconds; of CPU, they are per request."""

    per_second: float
    p50: float
    p99: float
    server_cpu: float
    database_cpu: float
    failures: int = 0

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu


@dataclass(frozen=True)
class Cell:
    """An operation over a number of connections: by the server's name, what each round measured on it.

    A slow server has the first round only.
    """

    operation: Operation
    connections: int
    costs: dict[str, list[Cost]]

    def ratio(self, ours: str, theirs: str) -> float:
        """Our requests per second, as a multiple of theirs."""
        return median(our.per_second / their.per_second for our, their in self._rounds(ours, theirs))

    def cpu_ratio(self, ours: str, theirs: str) -> float:
        """Our CPU time, PostgreSQL's included, as a multiple of theirs."""
        return median(our.cpu / their.cpu for our, their in self._rounds(ours, theirs))

    def _rounds(self, ours: str, theirs: str) -> list[tuple[Cost, Cost]]:
        return list(zip(self.costs[ours], self.costs[theirs], strict=False))

    @property
    def failures(self) -> int:
        return sum(cost.failures for costs in self.costs.values() for cost in costs)


def cost(server: Server, postgresql: PostgreSQL, operation: Operation, connections: int, seconds: int) -> Cost:
    """What it costs in one run. The requests that wrk leaves unanswered at the end count as well: they are answered."""
    server_before, database_before = server.cpu_seconds, postgresql.cpu_seconds
    done = load(server, operation, connections=connections, seconds=seconds)
    wait_until_idle(server, postgresql)
    answered = done.requests + connections
    return Cost(
        per_second=done.per_second,
        p50=done.p50,
        p99=done.p99,
        server_cpu=1000 * (server.cpu_seconds - server_before) / answered,
        database_cpu=1000 * (postgresql.cpu_seconds - database_before) / answered,
        failures=done.failures,
    )


def warm_up(servers: Sequence[Server], operations: Sequence[Operation], connections: int) -> int:
    """Let everything happen that happens once only. Gives the number of answers with errors in them.

    A slow server has nothing that gets faster.
    """
    return sum(
        load(server, each, connections=connections, seconds=_seconds(server, each, connections), check=True).failures
        for each in operations
        for server in servers
        if not server.peer.slow
    )


def measure(servers: Sequence[Server], postgresql: PostgreSQL, cases: Sequence[tuple[Operation, int]]) -> list[Cell]:
    """Operations over numbers of connections, in rounds, so that a change in the machine's mood meets all alike."""
    cells = [Cell(operation, connections, {each.name: [] for each in servers}) for operation, connections in cases]
    for number in range(ROUNDS):
        for cell in cells:
            for server in servers:
                if number == 0 or not server.peer.slow:
                    seconds = _seconds(server, cell.operation, cell.connections)
                    costs = cost(server, postgresql, cell.operation, cell.connections, seconds)
                    cell.costs[server.name].append(costs)
    return cells


def _seconds(server: Server, operation: Operation, connections: int) -> int:
    """How long to measure: long enough for every connection to see a few answers, within reason."""
    start = time.perf_counter()
    server.ask(server.requests(operation)[0])
    answering = time.perf_counter() - start
    return min(MOST_SECONDS, max(SECONDS, math.ceil(3 * connections * answering)))
