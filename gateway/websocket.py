"""GraphQL over WebSocket: the protocol graphql-transport-ws."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any

import orjson
import structlog
from graphql import OperationType
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from db import ANONYMOUS
from gateway.auth import address
from gateway.deliveries import Deliveries, Delivery
from gateway.errors import Code, RequestError
from gateway.negotiation import RESPONSE_TYPE
from gateway.operation import Answer, Caller, Wishes
from gateway.request import GraphQLRequest
from gateway.settings import Settings
from gateway.sockets import STALLED_SECONDS, Restart, Socket, Sockets, Stalled
from gateway.tokens import Unauthenticated

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10
"""How long a client may take to say who it is."""

LONGEST_REASON = 123
"""How many bytes the reason in a close frame may have."""

CLOSE_CODES = {
    # The clients of graphql-ws give up at 4401, and connect again at 4403: then they ask the application for a token,
    # and get a new one where the old one has expired. So 4403 stands for every token that will not do.
    Code.UNAUTHENTICATED: 4403,
    Code.REQUEST_TIMEOUT: 4408,
    # Service restart, and try again later: clients do both.
    Code.UNAVAILABLE: 1012,
    Code.DATABASE_UNAVAILABLE: 1013,
    Code.TIMEOUT: 1013,
    Code.RATE_LIMITED: 1013,
    Code.INTERNAL: 4500,
}

log = structlog.get_logger()


class Violation(Exception):
    """The client does not keep to the protocol. code: what the socket is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WebSocketEndpoint:
    """Serves `/graphql` to those who upgrade to a WebSocket."""

    def __init__(self, deliveries: Deliveries, sockets: Sockets, settings: Settings) -> None:
        self.deliveries = deliveries
        self.sockets = sockets
        self.settings = settings
        self.executor = deliveries.executor
        self.authenticator = deliveries.authenticator
        self.telemetry = sockets.telemetry

    async def __call__(self, websocket: WebSocket) -> None:
        """One WebSocket, from its opening to its end."""
        try:
            self._check_origin(websocket)
            with self.sockets.opened("websocket", Caller(ANONYMOUS, address(websocket))) as socket:
                await Conversation(self, websocket, socket).hold()
        except RequestError as error:
            answer = Answer.refusal(error)
            with suppress(WebSocketDisconnect):
                await websocket.send_denial_response(
                    Response(orjson.dumps(answer.content), answer.status, answer.headers, RESPONSE_TYPE)
                )

    def _check_origin(self, websocket: WebSocket) -> None:
        """Refuse what the page of another site opens in the name of the person looking at it."""
        origin, host = websocket.headers.get("origin"), websocket.headers.get("host")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}", *self.settings.cors_origins):
            raise RequestError(403, Code.FORBIDDEN, f"Pages of {origin} may not connect here. CORS_ORIGINS says which.")


class Conversation:
    """What is said on one WebSocket."""

    def __init__(self, endpoint: WebSocketEndpoint, websocket: WebSocket, socket: Socket) -> None:
        self.endpoint = endpoint
        self.websocket = websocket
        self.socket = socket
        self.has_begun = False
        self.caller: Caller | None = None
        self.wishes = Wishes()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._unsent = 0

    async def hold(self) -> None:
        """Talk until one of the two has enough, and leave nothing behind."""
        close = None
        try:
            if PROTOCOL not in self.websocket.scope["subprotocols"]:
                await self.websocket.accept()
                raise Violation(4406, f"Only the subprotocol {PROTOCOL} is spoken here")  # noqa: TRY301
            await self.websocket.accept(PROTOCOL)
            async with self.socket.open():
                self.socket.end_in(INIT_SECONDS, _init_timeout())
                await self._listen()
            if self.socket.ended:
                close = _close_of(self.socket.ended)
                if isinstance(self.socket.ended, Restart):
                    await self._finish()
        except Violation as violation:
            close = violation.code, str(violation)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 (what nobody foresaw ends this socket only)
            close = _close_of(error)
        finally:
            await _cancel(self._tasks)
        if close:
            with suppress(WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(STALLED_SECONDS):
                    await self.websocket.close(close[0], _cut(close[1]))

    async def _listen(self) -> None:
        while (received := await self.websocket.receive())["type"] != "websocket.disconnect":
            message = _message(received)
            id_, payload = message.get("id"), message.get("payload")
            match message.get("type"):
                case "connection_init":
                    await self._begin(_object(payload, "payload"))
                case "ping":
                    await self._send(_text({"type": "pong"} | ({"payload": payload} if payload is not None else {})))
                case "pong":
                    pass
                case "subscribe":
                    if self.caller is None:
                        raise Violation(4401, "Unauthorized: send connection_init, and wait for connection_ack")
                    await self._subscribe(_id(id_), payload)
                case "complete":
                    if task := self._operations.pop(_id(id_), None):
                        task.cancel()
                case other:
                    raise Violation(4400, f"Unknown type of message: {_text(other)}")

    async def _begin(self, payload: Mapping[str, Any]) -> None:
        if self.has_begun:
            raise Violation(4429, "Too many initialisation requests")
        self.has_begun = True
        given = _parameters(payload)
        if "authorization" not in given and "token" in given:
            given["authorization"] = f"Bearer {given['token']}"
        self.caller = await self.endpoint.authenticator.caller(self.websocket, given)
        self.wishes = Wishes.read(given, self.endpoint.settings)
        self.socket.sign_in(self.caller)
        await self._send('{"type":"connection_ack"}')

    async def _subscribe(self, id_: str, payload: Any) -> None:
        if id_ in self._operations:
            raise Violation(4409, f"Subscriber for {id_} already exists")
        try:
            request = GraphQLRequest.read(payload)
        except RequestError as error:
            raise Violation(4400, f"The payload of subscribe is no request: {error.errors[0].message}") from None
        most = self.endpoint.settings.max_operations_per_socket
        if len(self._operations) >= most:
            refusal = RequestError(429, Code.LIMIT_EXCEEDED, f"A socket may run {most} operations at a time.")
            await self._send(_error(_text(id_), Answer.refusal(refusal)))
            return
        task = asyncio.create_task(self._operate(id_, request))
        self._operations[id_] = task
        self._tasks.add(task)

    async def _operate(self, id_: str, request: GraphQLRequest) -> None:
        """One operation, until its end. It is cancelled when the client completes it, or is gone."""
        task = asyncio.current_task()
        assert task
        assert self.caller
        json_id = _text(id_)
        try:
            with self.endpoint.telemetry.operation("websocket", self.websocket) as known:
                known.asked_by(self.caller)
                try:
                    caller = await self.endpoint.authenticator.refresh(self.caller)
                    operation = await self.endpoint.executor.prepare(request, caller)
                    if operation.type is OperationType.SUBSCRIPTION:
                        self._subscriptions.add(task)
                    async with aclosing(self.endpoint.deliveries.of(operation, caller, self.wishes)) as deliveries:
                        async for each in deliveries:
                            known.answered(each.answer.status, each.answer.codes)
                            await self._send(_next(json_id, each))
                            if each.is_refusal:
                                return
                    await self._send(f'{{"id":{json_id},"type":"complete"}}')
                except Unauthenticated as error:
                    known.answered(error.status, [error.code])
                    self.socket.end(error)
                except asyncio.CancelledError:
                    if task not in self._subscriptions:
                        raise
                    known.answered(200, ())  # that is how subscriptions end
                except Exception as error:  # noqa: BLE001 (what nobody foresaw must not reach a client as it is)
                    answer = Answer.refusal(error)
                    known.answered(answer.status, answer.codes)
                    await self._send(_error(json_id, answer))
        finally:
            if self._operations.get(id_) is task:
                del self._operations[id_]
            self._tasks.discard(task)
            self._subscriptions.discard(task)

    async def _send(self, text: str) -> None:
        """Send it when what was sent before is on its way. A client that does not read is given up after a while."""
        self._unsent += len(text)
        try:
            waits = STALLED_SECONDS if self._unsent <= len(text) + self.endpoint.settings.max_response_bytes else 0
            async with asyncio.timeout(waits), self._sending:
                await self.websocket.send_text(text)
        except TimeoutError:
            self.socket.end(Stalled())
        except WebSocketDisconnect:
            pass  # whoever listens hears of it
        finally:
            self._unsent -= len(text)

    async def _finish(self) -> None:
        """Let what answers once come to its end, and nothing else."""
        for task in self._subscriptions:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.endpoint.settings.drain_seconds)


def _message(received: Mapping[str, Any]) -> Mapping[str, Any]:
    text = received.get("text")
    if text is None:
        raise Violation(4400, "Messages must be text, not binary")
    try:
        return _object(orjson.loads(text), "message", needed=True)
    except orjson.JSONDecodeError as error:
        raise Violation(4400, f"Messages must be JSON: {error}") from None


def _object(value: Any, what: str, *, needed: bool = False) -> Mapping[str, Any]:
    if value is None and not needed:
        return {}
    if not isinstance(value, dict):
        raise Violation(4400, f"The {what} must be a JSON object")
    return value


def _id(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Violation(4400, "The id must be a string that is not empty")
    return value


def _parameters(payload: Mapping[str, Any]) -> dict[str, str]:
    """What a client says at the beginning, named like the headers that a browser cannot send with a WebSocket."""
    headers = payload.get("headers")
    given = {**payload, **headers} if isinstance(headers, dict) else payload
    return {key.lower(): value for key, value in given.items() if isinstance(value, str)}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _next(json_id: str, delivery: Delivery) -> str:
    if delivery.is_refusal:
        return _error(json_id, delivery.answer)
    return f'{{"id":{json_id},"type":"next","payload":{delivery.text}}}'


def _error(json_id: str, answer: Answer) -> str:
    return f'{{"id":{json_id},"type":"error","payload":{_text(answer.content["errors"])}}}'


def _init_timeout() -> RequestError:
    return RequestError(408, Code.REQUEST_TIMEOUT, "Connection initialisation timeout")


def _close_of(error: Exception) -> tuple[int, str]:
    [entry, *_] = Answer.refusal(error).content["errors"]
    return CLOSE_CODES.get(entry["extensions"]["code"], 4400), entry["message"]


def _cut(reason: str) -> str:
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
