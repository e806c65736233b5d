"""Databases and gateways for the tests: on the server of DATABASE_URL, or on an embedded one."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from db import demo, migrate
from db.embedded import EmbeddedServer
from tests.serving import Gateway, serving

POINTS = 100_000_000
"""What the tests of one process can spend together on the gateway that they share."""


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    server = EmbeddedServer.start(tmp_path_factory.mktemp("postgresql"))
    yield server.url("postgres")
    server.stop()


@pytest.fixture(scope="session")
def pgvector(server_url: str) -> None:
    """The extension, which not every server has, and which nothing but the local provider's search makes use of."""
    if not asyncio.run(execute(server_url, "SELECT FROM pg_available_extensions WHERE name = 'vector'")):
        pytest.skip("the server of DATABASE_URL has no pgvector")


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a database with the demo data, to be copied and never to be connected to."""
    with fresh_database(server_url) as url:
        asyncio.run(migrate.upgrade(url))
        asyncio.run(demo.load(url, demo.Scale.SMALL))
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def demo_database(server_url: str, template: str) -> Iterator[str]:
    """A database with the demo data that all tests share. Look, don't touch."""
    with fresh_database(server_url, template) as url:
        yield url


@pytest.fixture
def own_database(server_url: str, template: str) -> Iterator[str]:
    """A database with the demo data, of this test's own."""
    with fresh_database(server_url, template) as url:
        yield url


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """A database with nothing in it, of this test's own."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture(scope="session")
def gateway(demo_database: str) -> Iterator[Gateway]:
    """A gateway over the shared demo data, with points for all tests of a process."""
    with serving(demo_database, settings={"points_capacity": POINTS}) as running:
        yield running


@pytest.fixture
def own_gateway(own_database: str) -> Iterator[Gateway]:
    """A gateway over demo data of this test's own."""
    with serving(own_database) as running:
        yield running


@pytest.fixture(autouse=True, scope="session")
def no_internet() -> Iterator[None]:
    """Nothing that a test starts in this process reaches beyond this machine."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            pytest.fail(f"a test reached for {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        yield


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """A new database on the server, dropped at the end of the block."""
    name = f"clonegraph_test_{uuid4().hex}"
    asyncio.run(execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def execute(url: str, statement: str, *arguments: Any) -> list[Any]:
    """The rows of a statement of the test's own."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()
