"""A fake AI provider that speaks OpenAI's API over real HTTP, so that workers of any process can use it.

    fake = FakeProvider()
    with fake.running() as base_url:
        fake.fail("POST /v1/vector_stores", Status(500), when="after")
        ...
        assert fake.live() == {("file", ...), ("store", ...)}

What it keeps, and what else can be set, is told by `Account`. Faults are set before a call; a call is matched by its
method and path, in which `*` stands for one part of the path.
"""

import asyncio
import hashlib
import json
import random
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.provider_api import LONGEST_TEXT, Account, ApiError, Json, NoSuchPath

Moment: TypeAlias = Literal["before", "after", "during"]
End: TypeAlias = Literal["completed", "in_progress", "failed", "cancelled", "gone"]
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Drop:
    """The connection is lost, without an answer."""


@dataclass(frozen=True)
class Hang:
    """No answer comes for so many seconds, and then the one that was due.

    acts_late: whether it acts after that although the client has gone. Nobody can know of such an act in time.
    """

    seconds: float
    acts_late: bool = False


@dataclass(frozen=True)
class Cut:
    """The connection is lost in the middle of an answer with this status."""

    status: int = 200


@dataclass(frozen=True)
class Malformed:
    """The answer is a success, of half a JSON document."""


@dataclass(frozen=True)
class Status:
    """The answer is an error. retry_after: in seconds, or as a date."""

    status: int
    code: str | None = None
    retry_after: str | float | None = None
    message: str = "Something went wrong."
    param: str | None = None


@dataclass(frozen=True)
class Break:
    """A streamed answer breaks off after so many words. then: what becomes of the response at the provider.

    is_quiet: whether the stream just ends, rather than the connection is lost.
    """

    words: int
    then: End = "completed"
    is_quiet: bool = False


@dataclass(frozen=True)
class Fails:
    """A streamed answer ends with the event `response.failed`, or with `error`, after so many words."""

    code: str = "server_error"
    words: int = 0
    event: Literal["response.failed", "error"] = "response.failed"


Fault: TypeAlias = Drop | Hang | Cut | Malformed | Status | Break | Fails
CHAOS: Final[tuple[tuple[Fault, Moment], ...]] = (
    (Drop(), "before"),
    (Drop(), "after"),
    (Status(500), "before"),
    (Status(500), "after"),
    (Status(503, retry_after=0), "before"),
    (Status(429, "rate_limit_exceeded", retry_after=0), "before"),
    (Malformed(), "after"),
    (Cut(), "after"),
)


@dataclass(frozen=True)
class Call:
    """A request as it came. A file in a form is told by its name and size.

    path: without the query. port: the one that it came from.
    """

    method: str
    path: str
    body: Any = None
    query: str = ""
    port: int = field(default=0, compare=False)

    def matches(self, match: str) -> bool:
        """Whether it is meant by words such as `POST /v1/vector_stores/*/files`."""
        method, path = match.split(" ", 1)
        pattern = re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
        return method in ("*", self.method) and re.fullmatch(pattern, self.path) is not None


@dataclass
class Planned:
    """A fault that is still to come. skip: how many calls are let through before it."""

    match: str
    how: Fault
    times: float
    when: Moment
    skip: int


class NotReached(Exception):
    """Raised by `on_call` before an act: the request was never there. Nothing is done, and nothing is answered."""


class FakeProvider(Account):
    """A provider whose every call can fail, before it acts or after.

    calls: as they came, also those that failed. on_call: told of each call before it acts and after, and "during" a
    streamed answer at each word; it runs in a thread. delay: of each call, in seconds. word_delay: of each word of a
    streamed answer. abandoned: what becomes of a response that nobody listens to any more.
    """

    def __init__(self, key: str = "sk-fake") -> None:
        super().__init__(key)
        self.calls: list[Call] = []
        self.faults_met = 0
        self.on_call: Callable[[Call, Moment], None] | None = None
        self.delay: float = 0
        self.word_delay: float = 0
        self.abandoned: End = "completed"
        self.base_url = ""
        self._planned: list[Planned] = []
        self._whole: dict[str, Json] = {}
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self._server: uvicorn.Server | None = None
        self.chaos(0)

    def fail(self, match: str, how: Fault, times: float = 1, when: Moment = "before", skip: int = 0) -> None:
        """Let calls fail: so many, after the first few. "after": it acts, and then fails."""
        self._planned.append(Planned(match, how, times, when, skip))

    def chaos(self, rate: float, seed: int = 0, match: str = "* /**") -> None:
        """Let calls fail at random from now on. rate: the part of them, from 0 to 1."""
        self._rate, self._random, self._match = rate, random.Random(seed), match  # noqa: S311

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._planned.clear()
        self.chaos(0)
        self.readable()
        self.delay = self.word_delay = 0

    def count(self, match: str) -> int:
        """How many calls there were of a kind."""
        return sum(call.matches(match) for call in self.calls)

    def finish(self) -> None:
        """Bring responses that were left in progress to their end."""
        self.responses.update(self._whole)
        self._whole.clear()

    @contextmanager
    def running(self, port: int = 0) -> Iterator[str]:
        """Serve on this machine for as long as the block. Gives the base URL, which ends with /v1."""
        listener = socket.create_server(("127.0.0.1", port))
        config = uvicorn.Config(
            Starlette(routes=list(self._routes())),
            http=_protocol(self._connections),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not self._server.started:
            thread.join(0.01)
            assert thread.is_alive(), "it could not start"
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        try:
            yield self.base_url
        finally:
            self._server.should_exit = True
            thread.join()

    def _routes(self) -> Iterator[Route]:
        for path, acts in ACTS.items():
            for method, act in acts.items():
                yield Route(f"/v1{path}", self._endpoint(act), methods=[method])

    def _endpoint(self, act: "Act") -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body, beginning = await _read(request)
            assert request.client
            call = Call(request.method, request.url.path, body, request.url.query, request.client.port)
            self.calls.append(call)
            fault, when = self._fault(call)
            if fault and when == "before" and (broken := await self._break(request, fault)):
                return broken
            try:
                await self._tell(call, "before")
            except NotReached:
                return await self._drop(request)
            await self._rest(self.delay)
            answer = self._answer(act, request, call, beginning, fault)
            await self._tell(call, "after")
            if fault and when == "after" and (broken := await self._break(request, fault)):
                return broken
            return answer

        return endpoint

    def _fault(self, call: Call) -> tuple[Fault | None, Moment]:
        for planned in list(self._planned):
            if not call.matches(planned.match):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            planned.times -= 1
            if planned.times <= 0:
                self._planned.remove(planned)
            self.faults_met += 1
            return planned.how, planned.when
        if self._rate and call.matches(self._match) and self._random.random() < self._rate:
            self.faults_met += 1
            return self._random.choice(CHAOS)
        return None, "before"

    async def _tell(self, call: Call, moment: Moment) -> None:
        if self.on_call:
            await asyncio.to_thread(self.on_call, call, moment)

    async def _rest(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            assert self._server
            if self._server.should_exit:
                return
            await asyncio.sleep(min(left, 0.05))

    async def _break(self, request: Request, fault: Fault) -> Response | None:
        """What is answered because of a fault; None if it is what would be answered anyway."""
        match fault:
            case Drop():
                return await self._drop(request)
            case Hang():
                await self._rest(fault.seconds)
                if not fault.acts_late and await request.is_disconnected():
                    return Response()
            case Cut():
                return StreamingResponse(self._half(request), fault.status, {"content-length": "100"})
            case Malformed():
                return Response('{"id": "half-a-', media_type="application/json")
            case Status():
                return _refusal(
                    ApiError(
                        fault.status,
                        fault.message,
                        code=fault.code,
                        param=fault.param,
                        retry_after=fault.retry_after,
                    )
                )
        return None

    async def _drop(self, request: Request) -> Response:
        assert request.client
        if connection := self._connections.get((request.client.host, request.client.port)):
            connection.abort()
        await asyncio.sleep(0)  # The server has to notice, or it answers 500.
        return Response()

    async def _half(self, request: Request) -> AsyncIterator[bytes]:
        yield b'{"id": "half-a-'
        await self._drop(request)

    def _answer(self, act: "Act", request: Request, call: Call, beginning: bytes, fault: Fault | None) -> Response:
        try:
            if request.headers.get("authorization") != f"Bearer {self.key}":
                raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")  # noqa: TRY301
            body = {**(call.body or {}), "beginning": beginning}
            shown = act(self, Asked(request.path_params, dict(request.query_params), body))
        except ApiError as error:
            return _refusal(error)
        except NoSuchPath:
            return JSONResponse({"detail": "Not Found"}, 404)
        if call.matches("POST /v1/responses") and body.get("stream"):
            return StreamingResponse(self._stream(request, call, shown, fault), media_type="text/event-stream")
        return JSONResponse(shown)

    async def _stream(self, request: Request, call: Call, response: Json, fault: Fault | None) -> AsyncIterator[str]:
        end, spoken = self.abandoned, 0
        self._end(response, "in_progress")
        try:
            for number, event in enumerate(self.events(response)):
                is_word = event["type"] == "response.output_text.delta"
                if is_word and isinstance(fault, Break | Fails) and spoken == fault.words:
                    end = fault.then if isinstance(fault, Break) else "failed"
                    if isinstance(fault, Fails):
                        yield _event(_failure(fault, response), number)
                    elif not fault.is_quiet:
                        await self._drop(request)
                    return
                yield _event(event, number)
                if is_word:
                    spoken += 1
                    await self._tell(call, "during")
                    await self._rest(self.word_delay)
            end = "completed"
        finally:
            self._end(response, end)

    def _end(self, response: Json, end: End) -> None:
        """Let a response be as it is at such an end."""
        id_ = response["id"]
        self._whole.pop(id_, None)
        if end == "completed":
            self.responses[id_] = response
        elif end == "gone":
            self.responses.pop(id_, None)
        else:
            self.responses[id_] = {**response, "status": end, "output": [], "usage": None}
        if end == "in_progress":
            self._whole[id_] = response


@dataclass(frozen=True)
class Asked:
    """What an act is given: of the path, of the query, and the body."""

    path: dict[str, str]
    query: dict[str, str]
    body: Json


Act: TypeAlias = Callable[[FakeProvider, Asked], Json]
ACTS: Final[dict[str, dict[str, Act]]] = {
    "/files": {
        "POST": lambda fake, asked: fake.put_file(
            asked.body["file"], asked.body["bytes"], asked.body["sha256"], asked.body["beginning"]
        ),
        "GET": lambda fake, asked: fake.list_files(asked.query),
    },
    "/files/{file}": {
        "GET": lambda fake, asked: fake.file(asked.path["file"]).shown,
        "DELETE": lambda fake, asked: fake.delete_file(asked.path["file"]),
    },
    "/vector_stores": {
        "POST": lambda fake, asked: fake.make_store(asked.body),
        "GET": lambda fake, asked: fake.list_stores(asked.query),
    },
    "/vector_stores/{store}": {
        "GET": lambda fake, asked: fake.store(asked.path["store"]).shown,
        "DELETE": lambda fake, asked: fake.delete_store(asked.path["store"]),
    },
    "/vector_stores/{store}/files": {
        "POST": lambda fake, asked: fake.attach(asked.path["store"], asked.body),
        "GET": lambda fake, asked: fake.list_members(asked.path["store"], asked.query),
    },
    "/vector_stores/{store}/files/{file}": {
        "GET": lambda fake, asked: fake.member(asked.path["store"], asked.path["file"]).shown,
        "DELETE": lambda fake, asked: fake.detach(asked.path["store"], asked.path["file"]),
    },
    "/vector_stores/{store}/file_batches": {
        "POST": lambda fake, asked: fake.attach_batch(asked.path["store"], asked.body),
    },
    "/vector_stores/{store}/file_batches/{batch}": {
        "GET": lambda fake, asked: fake.batch(asked.path["store"], asked.path["batch"]),
    },
    "/vector_stores/{store}/search": {
        "POST": lambda fake, asked: fake.search(asked.path["store"], asked.body),
    },
    "/responses": {
        "POST": lambda fake, asked: fake.respond(asked.body),
    },
    "/responses/{response}": {
        "GET": lambda fake, asked: fake.response(asked.path["response"]),
    },
}


async def _read(request: Request) -> tuple[Any, bytes]:
    """The body of a request as it is shown to tests, and the beginning of the file in it."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        raw = await request.body()
        return (json.loads(raw) if raw else None), b""
    digest, beginning = hashlib.sha256(), b""
    async with request.form() as form:
        file = form["file"]
        assert isinstance(file, UploadFile)
        while piece := await file.read(PIECE_BYTES):
            digest.update(piece)
            beginning += piece[: LONGEST_TEXT + 4 - len(beginning)]
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        return {**fields, "file": file.filename, "bytes": file.size, "sha256": digest.hexdigest()}, beginning


def _refusal(error: ApiError) -> Response:
    return JSONResponse(error.body, error.status, headers=error.headers)


def _failure(fault: Fails, response: Json) -> Json:
    error = {"code": fault.code, "message": "The model could not answer."}
    if fault.event == "error":
        return {"type": "error", "param": None, **error}
    return {"type": "response.failed", "response": {**response, "status": "failed", "output": [], "error": error}}


def _event(event: Json, number: int) -> str:
    return f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"


def _protocol(connections: dict[tuple[str, int], asyncio.Transport]) -> type[HttpToolsProtocol]:
    """Uvicorn's, which lets the fake cut a connection."""

    class Cuttable(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client:
                connections.pop(self.client, None)

    return Cuttable
