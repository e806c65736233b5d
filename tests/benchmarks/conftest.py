"""What the benchmark measures on: the large demo data, kept between runs, and the servers over it."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from db import demo, migrate
from db.demo.cast import Person
from db.embedded import EmbeddedServer
from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.benchmarks.operations import ADMIN, OPERATIONS, Operation, operations
from tests.benchmarks.peers import GATEWAY, GATEWAY_FOR_ADMIN, NO_RLS, PEERS, Peer, row_level_security, run_script
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


@dataclass(frozen=True)
class Selection:
    """What is measured beside the gateway: some peers, and some operations, by their names."""

    peers: list[Peer]
    operations: list[str]

    @classmethod
    def read(cls) -> "Selection":
        """What PEERS and OPERATIONS name in the environment; everything, unless they are set."""
        keys = _chosen("PEERS", [GATEWAY.key, *(peer.key for peer in PEERS)])
        return cls([peer for peer in PEERS if peer.key in keys], _chosen("OPERATIONS", OPERATIONS))

    @property
    def complete(self) -> bool:
        return len(self.peers) == len(PEERS) and len(self.operations) == len(OPERATIONS)


def _chosen(variable: str, known: Sequence[str]) -> list[str]:
    named = os.environ.get(variable, "").split()
    if unknown := set(named) - set(known):
        pytest.exit(f"{variable} can name {', '.join(known)}, and not {', '.join(sorted(unknown))}.", returncode=2)
    return [each for each in known if not named or each in named]


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Iterator[LargeDatabase]:
    data_dir = DATA_DIR / "postgresql"
    if not data_dir.exists():
        tell(pytestconfig, f"Loading the large demo data into {DATA_DIR.relative_to(ROOT)}: once, a minute or two.")
    server = EmbeddedServer.start(data_dir)
    try:
        url = asyncio.run(server.create_database())
        asyncio.run(run_script(url, NO_RLS))
        asyncio.run(migrate.upgrade(url))
        counts = asyncio.run(demo.load(url, demo.Scale.LARGE))
        asyncio.run(execute(url, "VACUUM (ANALYZE)"))
        version = asyncio.run(execute(url, "SHOW server_version"))[0][0]
        yield LargeDatabase(url, PostgreSQL.of(data_dir), version, sum(counts.values()))
    finally:
        server.stop()


@pytest.fixture(scope="session")
def selection() -> Selection:
    return Selection.read()


@pytest.fixture(scope="session")
def measured(database: LargeDatabase, selection: Selection) -> list[Operation]:
    return [each for each in asyncio.run(operations(database.url)) if each.name in selection.operations]


@pytest.fixture(scope="session")
def servers(database: LargeDatabase, selection: Selection, pytestconfig: pytest.Config) -> Iterator[list[Server]]:
    """Ours, once more with an admin's token if a peer is compared with that, and then the peers."""
    present = [peer for peer in selection.peers if not peer.missing]
    for peer in selection.peers:
        if peer.missing:
            tell(pytestconfig, f"Without {peer.name}: {peer.missing}.")
    with row_level_security(database.url), ExitStack() as stack:
        started = [
            stack.enter_context(running(each, database_url=database.url, authorization=authorization(each.viewer)))
            for each in [GATEWAY, *present]
        ]
        if ADMIN in [peer.viewer for peer in present]:
            for_admin = replace(started[0], peer=GATEWAY_FOR_ADMIN, authorization=authorization(ADMIN))
            stack.callback(for_admin.client.close)
            started.insert(1, for_admin)
        yield started


def authorization(person: Person) -> str:
    """What somebody's requests carry."""
    tokens = Tokens(SECRET, Settings(jwt_audience=None, jwt_issuer=None))
    return f"Bearer {tokens.sign(person.id)}"


def tell(config: pytest.Config, text: str) -> None:
    """Say something while the benchmark runs."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.write_line(f"\n{text}")
