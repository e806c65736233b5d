"""Servers whose worker dies at a point of an answer, which a file names.

    python -m tests.dying FOLDER serve --port 0 --workers 2

is `clonegraph` that dies where FOLDER/fate says, once: `BEGIN before`, `FINISH commit`, `CLAIM after`.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from db import engine
from db.engine import Database
from db.transaction import Transaction
from gateway import start, workers
from resolvers import draft
from tests.crashing import SERVE

STATEMENTS = {statement: name for name in ("CLAIM", "BEGIN", "WRITE", "FINISH") if (statement := getattr(draft, name))}
MOMENTS = ("before", "commit", "after")
"""Before a statement, before what it did is committed, and after that."""

FATES = [f"{name} {moment}" for name in STATEMENTS.values() for moment in MOMENTS]


def command(folder: Path) -> tuple[str, ...]:
    """What starts such a server."""
    return (sys.executable, "-m", "tests.dying", str(folder), *SERVE)


class Doomed(Transaction):
    """A transaction that knows where its process is to die."""

    fate: Path
    name = ""

    async def fetch(self, statement: str, *arguments: Any, patience: float | None = None) -> list[asyncpg.Record]:
        """The rows of a statement, if one lives to see them."""
        name = STATEMENTS.get(statement, "")
        if name:
            self.reach(name, "before", arguments)
        rows = await super().fetch(statement, *arguments, patience=patience)
        if name and rows:
            self.name = name
        return rows

    def reach(self, name: str, moment: str, arguments: Sequence[Any] = ()) -> None:
        """Go on from a point, if this is not where the process is to die."""
        if not self.fate.exists() or self.fate.read_text() != f"{name} {moment}":
            return
        if name == "WRITE" and arguments and not arguments[2]:  # there is no word yet
            return
        self.fate.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def install(folder: Path) -> None:
    """Let this process, and all that it forks, die where the file says so."""
    write = Database.write

    @asynccontextmanager
    async def write_or_die(database: Database) -> AsyncIterator[Transaction]:
        async with write(database) as tx:
            assert isinstance(tx, Doomed)
            yield tx
            tx.reach(tx.name, "commit")
        tx.reach(tx.name, "after")

    Doomed.fate = folder / "fate"
    replaced: list[tuple[Any, str, Any]] = [
        (engine, "Transaction", Doomed),
        (Database, "write", write_or_die),
        (workers, "PAUSE", 0.0),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)


def main(folder: str, *arguments: str) -> None:
    """Be the command, with a fate."""
    install(Path(folder))
    sys.argv = ["clonegraph", *arguments]
    start.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
