"""HTTP/1.1 as uvicorn speaks it, with bounds on what strangers can send, and on how long they can take."""

import asyncio

import orjson
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.errors import Code, RequestError
from gateway.negotiation import RESPONSE_TYPE
from gateway.operation import Answer
from gateway.settings import Settings

LARGEST_HEAD = 48_000
"""How many bytes the address and the headers of a request may have together."""

LONGEST_ADDRESS = 16_000
KEEP_ALIVE = 75
"""Longer than balancers keep a connection (60 s is usual), so that they never send into one that we just close."""

PING_SECONDS = 25
LINGER = 2.0
"""How long a client that was refused may go on sending, so that it gets to read why."""


class Config(uvicorn.Config):
    """How uvicorn serves the gateway."""

    def __init__(self, app: Starlette, settings: Settings) -> None:
        super().__init__(
            app,
            http=Protocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            ws_max_size=settings.max_body_bytes,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            # It would take as much memory as all else of a socket, for messages that are short.
            ws_per_message_deflate=False,
        )
        self.head_timeout = settings.body_timeout


class State(ServerState):
    """What the connections of a server have in common."""

    draining = False


class Protocol(HttpToolsProtocol):
    """A connection. What comes before, between and after bodies has to come in time, and to be of a sane size."""

    config: Config
    server_state: State

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._between = True
        self._overhead = 0
        self.url = b""
        self._leaving = False
        self._is_alone = True
        self._refusal: RequestError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless nobody here listens any more."""
        if self._leaving:
            return
        self._overhead += len(data)
        if self._between and self._deadline is None:
            self._set_deadline()
        super().data_received(data)
        if self._overhead > LARGEST_HEAD and not self._leaving:
            self._refuse(self._too_large())

    def on_headers_complete(self) -> None:
        """Begin to serve the request."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._refusal = self._too_large()
            raise self._refusal
        self._between = False
        self._overhead = 0
        self._clear_deadline()
        before = self.cycle
        super().on_headers_complete()
        self._is_alone = self.cycle is not before
        if self._is_alone:
            self.cycle.transport = _Lingering(self)  # type: ignore[assignment]
            self.cycle.keep_alive = self.cycle.keep_alive and not self.server_state.draining

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._overhead -= len(body)
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Expect a chunk of the body, or what comes after the last one."""
        self._overhead = 0

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        super().on_message_complete()
        self._between = True
        self._overhead = 0
        self._clear_deadline()

    def on_response_complete(self) -> None:
        """Wait for the next request, and before it for what has not come yet of this one."""
        if self._leaving:
            self.flow.resume_reading()
            return
        super().on_response_complete()
        if not self._between:
            self._set_deadline()

    def send_400_response(self, msg: str) -> None:
        """Answer to what could not be parsed."""
        self._refuse(self._refusal or RequestError(400, Code.BAD_REQUEST, "This is not a request of HTTP/1.1."))

    def stop(self) -> None:
        """Close with the next answer."""
        if self._owes_an_answer:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close now, unless a request has begun to come in."""
        if self._owes_an_answer:
            self.cycle.keep_alive = False
        elif self._overhead <= 0:
            self.transport.close()

    def leave(self) -> None:
        """Close when all is sent, and, if the client is not done, a little later.

        What came after the close would make it a reset, and then the client could not read the answer.
        """
        if self._between:
            self.transport.close()
        elif not self._leaving and not self.transport.is_closing():
            self._leaving = True
            self._clear_deadline()
            self._unset_keepalive_if_required()
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.close)

    @property
    def _owes_an_answer(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.config.head_timeout, self._too_slow)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._owes_an_answer:
            self.cycle.keep_alive = False
        elif self._overhead <= 0 or not self._between:
            self.transport.close()
        else:
            seconds = f"{self.config.head_timeout:g} seconds"
            self._refuse(RequestError(408, Code.REQUEST_TIMEOUT, f"The request did not come within {seconds}."))

    def _too_large(self) -> RequestError:
        if len(self.url) > LONGEST_ADDRESS:
            return RequestError(414, Code.REQUEST_TOO_LARGE, "The address is too long. Send the request with POST.")
        most = f"{LARGEST_HEAD // 1000} KB"
        return RequestError(431, Code.REQUEST_TOO_LARGE, f"The headers are too large. They may have {most}.")

    def _refuse(self, refusal: RequestError) -> None:
        if self._owes_an_answer:
            if self.cycle.response_started or not self._is_alone:
                self.transport.close()
                return
            # Whoever is at work on the request learns that nobody waits for it any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = orjson.dumps(Answer.refusal(refusal).content)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", f"{RESPONSE_TYPE}; charset=utf-8".encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = STATUS_LINE[refusal.status] + b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(head + b"\r\n" + body)
        self._between = False
        self.leave()


class _Lingering:
    """The transport of an answer. It is not closed before the client can have read that, and may be lost before.

    What an answer begins with goes out together with what follows at once: to send costs as much as many fields.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._transport = protocol.transport
        self._loop = protocol.loop
        self._leave = protocol.leave
        self._head: bytes | None = None
        self.is_closing = protocol.transport.is_closing

    def write(self, data: bytes) -> None:
        """Send, if somebody is there."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self._flush)
        elif not self.is_closing():
            head, self._head = self._head, b""
            self._transport.write(head + data)

    def close(self) -> None:
        """Close when all is sent."""
        self._flush()
        self._leave()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")
