"""The process: what it starts, what it serves, and how it ends with nothing left behind."""

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from db.embedded import EmbeddedServer
from db.engine import Database
from gateway.auth import Tokens
from gateway.settings import Settings, SettingsError


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The database of the settings, or an embedded one that runs as long as the block."""
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedServer.start(settings.data_dir / "postgresql")
    try:
        yield asyncio.run(server.create_database())
    finally:
        server.stop()


def database(settings: Settings, url: str) -> Database:
    """The database of the settings, not yet connected."""
    return Database(
        url,
        read_url=settings.database_read_url,
        pool_size=settings.database_pool_size,
        statement_timeout=settings.database_statement_timeout,
    )


def tokens(settings: Settings, *, demo: bool = False) -> Tokens:
    """Signs and reads tokens with the secret of the settings.

    The demo, and an embedded database, bring a secret of their own, kept in the data folder. Raises SettingsError
    where a real database would be opened to tokens that nobody set a secret for.
    """
    if settings.jwt_secret:
        return Tokens(settings.jwt_secret.get_secret_value(), settings)
    if settings.database_url and not demo:
        raise SettingsError("Set JWT_SECRET: the secret that your application signs its tokens with (HS256).")
    kept = settings.data_dir / "secret"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(48))
    return Tokens(kept.read_text(), settings)


class PortTaken(Exception):
    """Another program listens on the port already."""


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on. Raises PortTaken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"{host}:{port} cannot be listened on ({error.strerror}). Choose another with --port."
        ) from error
    return listener


class Server(uvicorn.Server):
    """uvicorn, with word of when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept requests, and say so."""
        await super().startup(sockets)
        if self.started:
            self.on_ready()


def serve(app: ASGIApp, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve an application until the process is told to stop."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on", timeout_graceful_shutdown=10
    )
    Server(config, on_ready).run(sockets=[listener])


def end_in_order() -> None:
    """Let SIGTERM end the process the way Ctrl-C does: through every `finally`."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
