"""What the benchmark measures on: the large demo data, kept between runs, and both servers over it."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db import demo, migrate
from db.embedded import EmbeddedServer
from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.benchmarks.operations import VIEWER, Operation, operations
from tests.benchmarks.servers import ROOT, SECRET, PostgreSQL, Server, running
from tests.conftest import execute

DATA_DIR = ROOT / ".clonegraph" / "bench"
"""Delete it to load the demo data anew."""


@dataclass(frozen=True)
class LargeDatabase:
    """A database with the large demo data."""

    url: str
    postgresql: PostgreSQL
    version: str
    rows: int


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Iterator[LargeDatabase]:
    data_dir = DATA_DIR / "postgresql"
    if not data_dir.exists():
        tell(pytestconfig, f"Loading the large demo data into {DATA_DIR.relative_to(ROOT)}: once, a minute or two.")
    server = EmbeddedServer.start(data_dir)
    try:
        url = asyncio.run(server.create_database())
        asyncio.run(migrate.upgrade(url))
        counts = asyncio.run(demo.load(url, demo.Scale.LARGE))
        asyncio.run(execute(url, "VACUUM (ANALYZE)"))
        version = asyncio.run(execute(url, "SHOW server_version"))[0][0]
        yield LargeDatabase(url, PostgreSQL.of(data_dir), version, sum(counts.values()))
    finally:
        server.stop()


@pytest.fixture(scope="session")
def measured(database: LargeDatabase) -> list[Operation]:
    return asyncio.run(operations(database.url))


@pytest.fixture(scope="session")
def servers(database: LargeDatabase) -> Iterator[tuple[Server, Server]]:
    """Ours, and the hand-written one."""
    tokens = Tokens(SECRET, Settings(jwt_audience=None, jwt_issuer=None))
    where = {"database_url": database.url, "authorization": f"Bearer {tokens.sign(VIEWER.id)}"}
    gateway = [str(Path(sys.executable).with_name("clonegraph")), "serve", "--port", "0"]
    handwritten = [sys.executable, "-m", "tests.benchmarks.handwritten"]
    with running("the gateway", *gateway, **where) as ours, running("the other", *handwritten, **where) as theirs:
        yield ours, theirs


def tell(config: pytest.Config, text: str) -> None:
    """Say something while the benchmark runs."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.write_line(f"\n{text}")
