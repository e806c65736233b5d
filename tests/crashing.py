"""Servers that are killed: by others, at any moment, or by themselves, at a point that an idempotency key names.

    python -m tests.crashing FOLDER serve --port 0 --workers 2

is `clonegraph` with such points, of which the product knows nothing. A key kills once: FOLDER remembers which have.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psutil

from db import engine
from db.engine import Database
from db.transaction import Transaction
from gateway import start, workers
from resolvers.idempotency import CLAIM
from resolvers.problems import Problem

ROOT = Path(__file__).parents[1]
READY = "CloneGraph is ready: "
SERVE = ("serve", "--port", "0", "--workers", "2")
CLONEGRAPH = (str(Path(sys.executable).with_name("clonegraph")), *SERVE)


class Server:
    """A server in processes of its own: a first one, and workers that answer. folder: for what it writes."""

    def __init__(self, environment: dict[str, str], folder: Path, command: tuple[str, ...] = CLONEGRAPH) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "TMPDIR": str(folder),
            **environment,
        }
        self.log = folder / "log"
        self.command = command
        self.address = ""
        self._orphans: list[psutil.Process] = []

    @classmethod
    def crashing(cls, environment: dict[str, str], folder: Path) -> "Server":
        """One that kills itself."""
        return cls(environment, folder, (sys.executable, "-m", "tests.crashing", str(folder), *SERVE))

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout
        with self.process.stdout as lines:
            ready = next((line for line in lines if line.startswith(READY)), None)
        assert ready, self.log.read_text()
        self.address = ready.removeprefix(READY).strip()

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []

    def kill(self) -> None:
        """End its first process, so that nothing is cleaned up. The workers notice, and end in order."""
        self._orphans += self.workers()
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End all of it at once."""
        self.kill()
        for left in self._orphans:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        psutil.wait_procs(self._orphans, timeout=10)


class Point(IntEnum):
    """Where the process of a mutation is to die. A transaction of fewer statements never gets to some."""

    BEFORE_STATEMENT_1 = 1
    BEFORE_STATEMENT_2 = 2
    BEFORE_STATEMENT_3 = 3
    BEFORE_STATEMENT_4 = 4
    BEFORE_STATEMENT_5 = 5
    BEFORE_STATEMENT_6 = 6
    BEFORE_COMMIT = 7
    WHILE_COMMITTING = 8
    AFTER_COMMIT = 9
    AFTER_REFUSAL = 10


BITS = 112


def key_for(point: Point) -> UUID:
    """A new idempotency key that kills whoever takes it to this point."""
    return UUID(int=point << BITS | secrets.randbits(BITS))


class Doomed(Transaction):
    """A transaction that knows where its process is to die."""

    folder: Path
    key: UUID | None = None
    statements = 0

    async def fetch(self, statement: str, *arguments: Any, patience: float | None = None) -> list[asyncpg.Record]:
        """The rows of a statement, if one lives to see them."""
        if statement == CLAIM:
            self.key = arguments[1]
        self.statements += 1
        self.reach(self.statements)
        return await super().fetch(statement, *arguments, patience=patience)

    def is_over(self, point: int) -> bool:
        """Whether this is where the process is to die."""
        return self.key is not None and self.key.int >> BITS == point and not (self.folder / str(self.key)).exists()

    def reach(self, point: int) -> None:
        """Go on from a point, if this is not where the process is to die."""
        if self.is_over(point):
            self.die()

    def die(self) -> None:
        """End the process at once, so that nothing of it is cleaned up."""
        (self.folder / str(self.key)).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def install(folder: Path) -> None:
    """Let this process, and all that it forks, die where keys say so."""
    write = Database.write

    @asynccontextmanager
    async def write_or_die(database: Database) -> AsyncIterator[Transaction]:
        try:
            async with write(database) as tx:
                assert isinstance(tx, Doomed)
                yield tx
                tx.reach(Point.BEFORE_COMMIT)
                if tx.is_over(Point.WHILE_COMMITTING):  # as soon as COMMIT is sent, and one waits for the answer
                    asyncio.get_running_loop().call_soon(tx.die)
            tx.reach(Point.AFTER_COMMIT)
        except Problem:
            assert isinstance(tx, Doomed)
            tx.reach(Point.AFTER_REFUSAL)
            raise

    Doomed.folder = folder
    replaced: list[tuple[Any, str, Any]] = [
        (engine, "Transaction", Doomed),
        (Database, "write", write_or_die),
        (workers, "PAUSE", 0.0),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)


def main(folder: str, *arguments: str) -> None:
    """Be the command, with failpoints."""
    install(Path(folder))
    sys.argv = ["clonegraph", *arguments]
    start.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
