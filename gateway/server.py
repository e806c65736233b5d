"""The server: uvicorn, with an end that loses no request.

It ends like this. Readiness is off, sockets are told to reconnect, and each answer closes its connection. Nobody
new is let in; who has been is served. Connections that are idle stay for a last call, since a client may have sent
its next request just now. Then what still runs has DRAIN_SECONDS.
"""

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from gateway.protocol import Config, Protocol, State
from gateway.settings import Settings
from gateway.sockets import STALLED_SECONDS

ROUND_TRIP = 0.1
"""How long a connection may take that is just being begun."""

LAST_CALL = 1.0
"""How long connections that are idle may still bring a request."""


class Server(uvicorn.Server):
    """uvicorn, with word of when it is ready.

    shares_door: whether other processes accept connections from the same socket, and go on to do so after SIGTERM.
    """

    server_state: State

    def __init__(
        self, app: Starlette, settings: Settings, on_ready: Callable[[], None], *, shares_door: bool = False
    ) -> None:
        super().__init__(Config(app, settings))
        self.server_state = State()
        self.app = app
        self.on_ready = on_ready
        self.drain_seconds = settings.drain_seconds
        self.shares_door = shares_door

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept requests, and say so."""
        for each in sockets or ():
            _give_up_stalled_clients(each)
        await super().startup(sockets)
        # The schema and all modules stay for good. A full collection would look through them, and nobody is answered
        # in the 200 ms that this takes.
        gc.freeze()
        if self.started:
            self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Come to an end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.drain_seconds
        self.server_state.draining = True
        self.app.state.health.draining = True
        sockets_end = loop.create_task(self.app.state.sockets.drain())
        for connection in self.server_state.connections:
            if isinstance(connection, Protocol):
                connection.stop()
        await self._close_door(sockets or [])
        await _until(lambda: not self.server_state.connections)
        await sockets_end
        self.config.timeout_graceful_shutdown = max(0, round(deadline - loop.time()))
        await super().shutdown(sockets)

    async def _close_door(self, sockets: list[socket.socket]) -> None:
        """Let nobody new in, and serve those who are before the door: a listener that is closed would reset them."""
        doors = [] if self.shares_door else [socket.fromfd(each.fileno(), each.family, each.type) for each in sockets]
        for server in self.servers:
            server.close()
        if doors:
            await asyncio.sleep(ROUND_TRIP)
        last = []
        for door in doors:
            door.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    last.append(door.accept()[0])
            door.close()
        for each in sockets:
            each.close()
        loop = asyncio.get_running_loop()
        for connection in last:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)


def _give_up_stalled_clients(listener: socket.socket) -> None:
    """Let the system end connections that take nothing: each would keep its answer in memory."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_SECONDS * 1000)


async def _until(over: Callable[[], bool]) -> None:
    """Wait for it, for a last call at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_CALL):
            while not over():  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
