"""GraphQL over HTTP: one request in, one operation executed, one answer out."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from graphql import OperationType
from starlette.requests import Request
from starlette.responses import Response

from db import ANONYMOUS
from gateway.auth import Authenticator
from gateway.errors import Code, RequestError
from gateway.negotiation import MODERN, negotiate
from gateway.operation import Answer, Caller, Executor, Operation, Wishes, encode
from gateway.request import read_request
from gateway.settings import Settings
from gateway.telemetry import CLIENT_GONE, Record, Telemetry
from gateway.uploads import close_files

LONGEST_ADDRESS = 16_000
PATIENCE = 0.05
"""After how many seconds one looks whether the client still waits."""
GONE = "the client hung up"
ALLOWED = {"Allow": "GET, HEAD, POST, OPTIONS"}


class GraphQLEndpoint:
    """Answers `POST /graphql`, and `GET /graphql` for queries."""

    def __init__(
        self, executor: Executor, authenticator: Authenticator, telemetry: Telemetry, settings: Settings
    ) -> None:
        self.executor = executor
        self.authenticator = authenticator
        self.telemetry = telemetry
        self.settings = settings

    async def __call__(self, request: Request) -> Response:
        """The answer to a request, whatever happens."""
        dialect = MODERN
        with self.telemetry.operation("http", request) as known:
            try:
                dialect = negotiate(request.headers.get("accept"), keeps_200=self.settings.legacy_status)
                answer = await self._answer(request, known)
            except Exception as error:  # noqa: BLE001 (what nobody foresaw must not reach a client as it is)
                answer = Answer.refusal(error)
            finally:
                await close_files(request)
            answer, body = encode(answer, self.settings.max_response_bytes)
            known.answered(answer.status, answer.codes)
        status, media_type = dialect.answer(answer.status, well_formed=answer.well_formed)
        return Response(body, status, answer.headers, f"{media_type}; charset=utf-8")

    async def begin(self, request: Request, known: Record) -> tuple[Operation, Caller]:
        """The operation that a request is for, and who sends it. Raises RequestError."""
        if request.method not in ("GET", "HEAD", "POST"):
            raise RequestError(
                405, Code.METHOD_NOT_ALLOWED, f"Send GET or POST instead of {request.method}.", headers=ALLOWED
            )
        if len(request.scope["raw_path"]) + len(request.scope["query_string"]) > LONGEST_ADDRESS:
            raise RequestError(414, Code.REQUEST_TOO_LARGE, "The address is too long. Send the request with POST.")
        caller = await self.authenticator.caller(request)
        known.asked_by(caller)
        wanted = await read_request(request, self.settings, signed_in=caller.viewer != ANONYMOUS)
        operation = await self.executor.prepare(wanted, caller)
        if operation.type is OperationType.MUTATION and request.method != "POST":
            raise RequestError(405, Code.METHOD_NOT_ALLOWED, "Send mutations with POST.", headers={"Allow": "POST"})
        return operation, caller

    async def _answer(self, request: Request, known: Record) -> Answer:
        operation, caller = await self.begin(request, known)
        wishes = Wishes.read(request.headers, self.settings)
        if operation.type is OperationType.SUBSCRIPTION and not wishes.validate:
            raise RequestError(
                422,
                Code.BAD_REQUEST,
                "Subscriptions go over a WebSocket (graphql-transport-ws) or as an event stream (/graphql/stream).",
            )
        return await self._unless_gone(request, self.executor.run(operation, caller, wishes))

    async def _unless_gone(self, request: Request, running: Coroutine[Any, Any, Answer]) -> Answer:
        """What is running, broken off when the client hangs up. Most have an answer before anybody looks."""
        work, watching = asyncio.current_task(), list[asyncio.Task[None]]()
        assert work

        async def watch() -> None:
            await hung_up(request)
            work.cancel(GONE)

        look = asyncio.get_running_loop().call_later(PATIENCE, lambda: watching.append(asyncio.create_task(watch())))
        try:
            return await running
        except asyncio.CancelledError as error:
            if error.args != (GONE,) or work.uncancel():
                raise
            return Answer(CLIENT_GONE, {})
        finally:
            look.cancel()
            for task in watching:
                task.cancel()


async def hung_up(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
