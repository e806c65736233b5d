"""GraphQL over Server-Sent Events: the protocol graphql-sse, in its mode of distinct connections.

What a client cannot mend in its document is refused over HTTP; the protocol wants all else told in the stream, since
a browser's EventSource shows nobody the body of a 4xx.
"""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import lru_cache

import orjson
from graphql import FieldNode, OperationType, VariableNode
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.deliveries import Deliveries
from gateway.errors import Code, RequestError
from gateway.graphql import GraphQLEndpoint, hung_up
from gateway.negotiation import RESPONSE_TYPE, quality
from gateway.operation import Answer, Caller, Operation, Wishes
from gateway.sockets import STALLED_SECONDS, Restart, Sockets, Stalled
from gateway.telemetry import CLIENT_GONE, Record
from gateway.uploads import close_files

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = 12
"""How often something is sent, so that nobody in between takes the connection for dead. In seconds."""

COMMENT = ":\n\n"
COMPLETE = "event: complete\ndata:\n\n"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events back until it has some kilobytes of them
}
TOKEN = "x-graphql-event-stream-token"  # noqa: S105 (the name of a header)


@lru_cache(maxsize=1000)
def wants_stream(accept: str) -> bool:
    """Whether an Accept header wants an event stream and nothing else. Clients list it who just could read one."""
    return [each.partition(";")[0].strip().lower() for each in accept.split(",")] == [EVENT_STREAM]


class StreamEndpoint:
    """Answers `POST` and `GET /graphql/stream`."""

    def __init__(self, endpoint: GraphQLEndpoint, deliveries: Deliveries, sockets: Sockets) -> None:
        self.endpoint = endpoint
        self.deliveries = deliveries
        self.sockets = sockets

    async def __call__(self, request: Request) -> Response:
        """The response that does it all when it is sent."""
        return Stream(self, request)


class Stream(Response):
    """The events of one operation, or its refusal."""

    def __init__(self, endpoint: StreamEndpoint, request: Request) -> None:
        super().__init__(None, 200, HEADERS, f"{EVENT_STREAM}; charset=utf-8")
        del self.headers["content-length"]
        self.endpoint = endpoint
        self.request = request
        self.has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Execute the operation, and send what comes of it."""
        self.send = send
        with self.endpoint.endpoint.telemetry.operation("sse", self.request) as known, suppress(Stalled):
            try:
                await self._serve(known)
            except Stalled:
                known.answered(CLIENT_GONE, ())
            except Exception as error:  # noqa: BLE001 (what nobody foresaw must not reach a client as it is)
                answer = Answer.refusal(error)
                known.answered(answer.status, answer.codes)
                if self.has_begun or (answer.well_formed and answer.status < 500):  # noqa: PLR2004 (5xx)
                    await self._begin()
                    await self._write(_next(orjson.dumps(answer.content).decode()) + COMPLETE)
                    await self._end()
                else:
                    refusal = orjson.dumps(answer.content)
                    response = Response(refusal, answer.status, answer.headers, f"{RESPONSE_TYPE}; charset=utf-8")
                    await response(scope, receive, send)
            finally:
                await close_files(self.request)

    async def _serve(self, known: Record) -> None:
        _check(self.request)
        operation, caller = await self.endpoint.endpoint.begin(self.request, known)
        if operation.type is OperationType.SUBSCRIPTION:
            operation = _resumed(operation, self.request.headers.get("last-event-id"))
            with self.endpoint.sockets.opened("sse", caller) as socket:
                async with socket.open():
                    socket.sign_in(caller)
                    await self._run(operation, caller, known)
            # When the server restarts there is no last event, so that clients connect again and go on where they were.
            if socket.ended and not isinstance(socket.ended, Restart):
                raise socket.ended
        else:
            await self._run(operation, caller, known)
        await self._end()

    async def _run(self, operation: Operation, caller: Caller, known: Record) -> None:
        """Tell everything, and now and then that there is nothing to tell, unless the client is gone."""
        await self._begin()
        telling = asyncio.create_task(self._tell(operation, caller, known))
        gone = asyncio.create_task(hung_up(self.request))
        try:
            done: set[asyncio.Task[None]] = set()
            while not done:
                done, _ = await asyncio.wait((telling, gone), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    await self._write(COMMENT)
            if telling in done:
                await telling
            elif operation.type is not OperationType.SUBSCRIPTION:
                known.answered(CLIENT_GONE, ())
        finally:
            telling.cancel()
            gone.cancel()
            await asyncio.wait((telling, gone))

    async def _tell(self, operation: Operation, caller: Caller, known: Record) -> None:
        known.answered(200, ())
        wishes = Wishes.read(self.request.headers, self.endpoint.endpoint.settings)
        async with aclosing(self.endpoint.deliveries.of(operation, caller, wishes)) as deliveries:
            async for each in deliveries:
                known.answered(each.answer.status, each.answer.codes)
                await self._write(_next(each.text, each.cursor))
                if each.is_refusal:
                    break
        await self._write(COMPLETE)

    async def _begin(self) -> None:
        if not self.has_begun:
            self.has_begun = True
            await self.send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._write(COMMENT)

    async def _write(self, text: str) -> None:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self.send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        except TimeoutError:
            raise Stalled from None

    async def _end(self) -> None:
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def _check(request: Request) -> None:
    """Raises RequestError where a client wants something other than a stream for one operation."""
    if request.method not in ("GET", "POST"):
        raise RequestError(
            405,
            Code.METHOD_NOT_ALLOWED,
            f"Send GET or POST instead of {request.method}. Each operation has a stream of its own here"
            " (distinct connections).",
            headers={"Allow": "GET, POST, OPTIONS"},
        )
    if TOKEN in request.headers or "token" in request.query_params:
        raise RequestError(
            400,
            Code.BAD_REQUEST,
            "There are no reservations here (single connection mode): send each operation in a request of its own"
            " (distinct connections).",
        )
    if quality(request.headers.get("accept") or "*/*", EVENT_STREAM) <= 0:
        raise RequestError(406, Code.NOT_ACCEPTABLE, f"Accept {EVENT_STREAM}.")


def _resumed(operation: Operation, last_event_id: str | None) -> Operation:
    """The operation, to go on after the last event that an EventSource has got.

    That is told to the argument `after` of the root field, where the document has a variable in its place.
    """
    if last_event_id:
        for field in operation.node.selection_set.selections:
            for argument in (isinstance(field, FieldNode) and field.arguments) or ():
                if argument.name.value == "after" and isinstance(argument.value, VariableNode):
                    variables = {**operation.request.variables, argument.value.name.value: last_event_id}
                    return replace(operation, request=replace(operation.request, variables=variables))
    return operation


def _next(text: str, cursor: str | None = None) -> str:
    identified = f"id: {cursor}\n" if cursor else ""
    return f"{identified}event: next\ndata: {text}\n\n"
