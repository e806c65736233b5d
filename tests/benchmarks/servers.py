"""The processes that are measured: servers of their own, and the PostgreSQL that all of them ask."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil
import pytest
from sqlalchemy.engine import make_url

from tests.benchmarks.operations import Operation
from tests.benchmarks.peers import Peer

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "a secret for the benchmark, long enough"  # noqa: S105 (tokens of the demo, on this machine)


@dataclass(frozen=True)
class Page:
    """A page of a list: the request for it, and its rows."""

    request: dict[str, Any]
    rows: Sequence[Any]


@dataclass
class Server:
    """A peer in a process of its own, and a token for it."""

    peer: Peer
    address: str
    authorization: str
    process: psutil.Process
    _pages: dict[str, list[Page]] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def endpoint(self) -> str:
        return f"{self.address}graphql"

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it took so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def megabytes(self) -> float:
        """The memory that it holds now."""
        return float(self.process.memory_info().rss / 2**20)

    @cached_property
    def client(self) -> httpx2.Client:
        headers = {"authorization": self.authorization, "accept": "application/graphql-response+json"}
        return httpx2.Client(headers=headers, timeout=60, trust_env=False)

    def requests(self, operation: Operation) -> list[dict[str, Any]]:
        """The bodies of the requests that clients send in turn."""
        if operation.paged:
            return [page.request for page in self.pages(operation)]
        return self.peer.dialect.translate(operation).requests

    def pages(self, operation: Operation) -> list[Page]:
        """All pages of a list, each fetched where the one before it ended."""
        if operation.name not in self._pages:
            (request,) = self.peer.dialect.translate(operation).requests
            first, pages, after = request["variables"], list[Page](), None
            while after is not None or not pages:
                variables = first if after is None else {**first, "after": after}
                before = sum(len(page.rows) for page in pages)
                asked = {**request, "variables": variables}
                rows, after = self.peer.dialect.page(self.ask(asked), before, first["first"])
                pages.append(Page(asked, rows))
            self._pages[operation.name] = pages
        return self._pages[operation.name]

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer to a request."""
        return self.client.post(self.endpoint, json=request).raise_for_status().json()


@dataclass(frozen=True)
class PostgreSQL:
    """The server of a data folder."""

    process: psutil.Process

    @classmethod
    def of(cls, data_dir: Path) -> "PostgreSQL":
        return cls(psutil.Process(int((data_dir / "postmaster.pid").read_text().split()[0])))

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all its processes so far. Those that ended count on in the time of the first one."""
        times = self.process.cpu_times()
        seconds = float(times.user + times.system + times.children_user + times.children_system)
        for child in self.process.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            seconds += float(times.user + times.system)
        return seconds


@contextmanager
def running(peer: Peer, *, database_url: str, authorization: str) -> Iterator[Server]:
    """A peer that serves a database, for as long as the block. It prints where."""
    url = make_url(database_url)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "POINTS_CAPACITY": str(10**9),
        "POINTS_PER_SECOND": str(10**9),
        "DATABASE_URL": url.set(username=peer.role or url.username).render_as_string(hide_password=False),
        "DATABASE_POOL_SIZE": "10",
        "JWT_SECRET": SECRET,
        **peer.settings,
    }
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            peer.command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
        try:
            assert process.stdout
            found = next((found for line in process.stdout if (found := re.search(r"http://\S+", line))), None)
            if not found:
                complaints.seek(0)
                pytest.fail(f"{peer.name} did not start:\n{complaints.read()}", pytrace=False)
            server = Server(peer, found[0], authorization, psutil.Process(process.pid))
            yield server
            server.client.close()
        finally:
            process.terminate()
            process.communicate(timeout=20)


def wait_until_idle(*processes: Server | PostgreSQL) -> None:
    """Wait until they have answered what nobody waits for any more, two minutes at most."""
    for _ in range(600):
        before = sum(each.cpu_seconds for each in processes)
        time.sleep(0.2)
        if sum(each.cpu_seconds for each in processes) - before < 0.02:
            return
