"""The process: what it starts, what it serves, and how it ends with nothing left behind."""

import asyncio
import gc
import resource
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from starlette.applications import Starlette

from db.embedded import EmbeddedServer
from db.engine import Database
from gateway.settings import Settings, SettingsError
from gateway.tokens import Tokens


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
        pooler=settings.database_pooler,
        pool_size=settings.database_pool_size,
        statement_timeout=settings.database_statement_timeout,
    )


def tokens(settings: Settings, *, demo: bool = False) -> Tokens:
    """Reads tokens with the secret and the published keys of the settings, and signs with the secret.

    The demo, and an embedded database, bring a secret of their own, kept in the data folder. Raises SettingsError
    where a real database would be served without a way to tell who asks.
    """
    if settings.jwt_secret:
        return Tokens(settings.jwt_secret.get_secret_value(), settings)
    if settings.database_url and not demo:
        if settings.jwt_jwks_url:
            return Tokens(None, settings)
        raise SettingsError(
            "Set JWT_SECRET, the secret that your application signs its tokens with (HS256), or JWT_JWKS_URL,"
            " where its public keys are."
        )
    kept = settings.data_dir / "secret"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(48))
    return Tokens(kept.read_text(), settings)


class PortTaken(Exception):
    """Another program listens on the port already."""


class WorkerFailed(Exception):
    """A worker could not start. The log says why."""


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


def serve(
    make_app: Callable[[], Starlette],
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[], None],
    workers: int = 1,
) -> None:
    """Serve an application until the process is told to stop, and what has been asked until then is answered."""
    from gateway.server import Server
    from gateway.workers import Worker, keep_serving

    _allow_many_connections()
    _collect_less_often()
    if workers > 1:
        keep_serving(
            workers, listener, lambda ready: Worker(make_app(), settings, ready).run(sockets=[listener]), on_ready
        )
        return
    with suppress(KeyboardInterrupt):
        Server(make_app(), settings, on_ready).run(sockets=[listener])


def _allow_many_connections() -> None:
    """Each is an open file, of which a process may often have 1,024 only, and more for the asking."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _collect_less_often() -> None:
    """Let the garbage collector pass over what is there to stay, and not follow every few hundred new objects.

    A thousand subscriptions that are told of an event at a time are all alive: it would look at each again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def end_in_order() -> None:
    """Let SIGTERM end the process the way Ctrl-C does: through every `finally`."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
