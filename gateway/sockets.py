"""Sockets: the WebSockets and event streams that are open, how many there may be, and when each has to end."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

import structlog

from db import ViewerKind
from gateway.auth import Authenticator
from gateway.errors import Code, RequestError
from gateway.operation import Caller
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.tokens import EXPIRED, Unauthenticated

LOOK_SECONDS = 2.0
"""How often it is looked whether everybody may go on. Most of the time, that looks at nothing but what is known."""

STALLED_SECONDS = 30
"""How long a client may take nothing of what is sent to it."""

RETRY = {"Retry-After": "5"}

log = structlog.get_logger()


class Restart(RequestError):
    """The server stops, and another one takes over."""

    def __init__(self) -> None:
        super().__init__(503, Code.UNAVAILABLE, "The server restarts. Connect again.", headers=RETRY)


class Stalled(RequestError):
    """The client does not read what is sent to it."""

    def __init__(self) -> None:
        super().__init__(408, Code.REQUEST_TIMEOUT, "Nobody read what was sent. Connect again.")


class Socket:
    """A WebSocket or an event stream. ended: why it has to end, once it has."""

    def __init__(self, sockets: "Sockets", caller: Caller) -> None:
        self.caller = caller
        self.ended: RequestError | None = None
        self._sockets = sockets
        self._at_limit: RequestError = Stalled()
        self._limit = asyncio.timeout(None)
        self._is_limited = False

    def sign_in(self, caller: Caller) -> None:
        """Let it be this caller's from now on, until the token ends. Raises RequestError when these are too many."""
        self._sockets.move(self, caller)
        expires = caller.expires
        self.end_in(None if expires is None else expires - time.time(), Unauthenticated(EXPIRED))

    def end_in(self, seconds: float | None, why: RequestError) -> None:
        """End it then; never without a number, but for other reasons."""
        self._at_limit = why
        self._set_limit(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def end(self, why: RequestError) -> None:
        """End it now."""
        if self.ended is None:
            self.ended = why
            self._set_limit(0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """A block that is broken off when the socket has to end."""
        try:
            async with self._limit:
                self._is_limited = True
                if self.ended:
                    self._set_limit(0)
                yield
        except TimeoutError:
            if not self._limit.expired():
                raise
            self.ended = self.ended or self._at_limit
        finally:
            self._is_limited = False

    def _set_limit(self, when: float | None) -> None:
        if self._is_limited and not self._limit.expired():
            self._limit.reschedule(when)


class Sockets:
    """The sockets of one process."""

    def __init__(self, authenticator: Authenticator, telemetry: Telemetry, settings: Settings) -> None:
        self.authenticator = authenticator
        self.telemetry = telemetry
        self.settings = settings
        self.draining = False
        self._open: set[Socket] = set()
        self._by_principal: Counter[str] = Counter()
        self._gone = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A block in which those who may not go on are found."""
        looking = asyncio.create_task(self._look_again_and_again())
        try:
            yield
        finally:
            looking.cancel()

    @contextmanager
    def opened(self, transport: str, caller: Caller) -> Iterator[Socket]:
        """A socket that counts as long as the block. Raises RequestError when there are too many."""
        if self.draining:
            raise Restart
        most = self.settings.max_sockets
        if len(self._open) >= most:
            raise RequestError(503, Code.UNAVAILABLE, f"All {most} sockets are taken. Try again later.", headers=RETRY)
        socket = Socket(self, caller)
        self._count(caller)
        self._open.add(socket)
        try:
            with self.telemetry.metrics.open_socket(transport):
                yield socket
        finally:
            self._open.discard(socket)
            self._discount(socket.caller)
            self._gone.set()

    def move(self, socket: Socket, caller: Caller) -> None:
        """Count a socket as this caller's. Raises RequestError when these are too many."""
        self._discount(socket.caller)
        try:
            self._count(caller)
        except RequestError:
            self._by_principal[socket.caller.principal] += 1
            raise
        socket.caller = caller

    async def drain(self) -> None:
        """Let every socket end, so that its client connects to another process. What runs there is answered first."""
        self.draining = True
        for socket in self._open:
            socket.end(Restart())
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_seconds):
                while self._open:
                    self._gone.clear()
                    await self._gone.wait()

    def _count(self, caller: Caller) -> None:
        most = self.settings.max_sockets_per_viewer
        if self._by_principal[caller.principal] >= most:
            raise RequestError(
                429, Code.RATE_LIMITED, f"You have {most} sockets open, which are all you may have.", headers=RETRY
            )
        self._by_principal[caller.principal] += 1

    def _discount(self, caller: Caller) -> None:
        self._by_principal[caller.principal] -= 1
        if not self._by_principal[caller.principal]:
            del self._by_principal[caller.principal]

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 (it is looked again in a moment)
                log.warning("sockets_not_looked_at", reason=str(error) or type(error).__name__)

    async def _look(self) -> None:
        """End the sockets of everybody who was locked out."""
        # Sockets of one person may have tokens of their own, and each ends with its token by itself.
        callers = {
            socket.caller.principal: replace(socket.caller, expires=None)
            for socket in self._open
            if socket.caller.viewer.kind is not ViewerKind.ANONYMOUS
        }
        found = await asyncio.gather(*map(self.authenticator.refresh, callers.values()), return_exceptions=True)
        refused = {
            principal: error
            for principal, error in zip(callers, found, strict=True)
            if isinstance(error, Unauthenticated)
        }
        if refused:
            for socket in self._open:
                if error := refused.get(socket.caller.principal):
                    socket.end(error)
