"""A web for the tests: a server of this machine, whose pages are functions, and whose visitors are written down."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.process import listen

MARKDOWN = b"# Recall\n\nAsk before you tell.\n"
HTML = b"<!doctype html><title>Recall</title><p>Ask before you tell."
PDF = b"%PDF-1.7\n% a short one\n"
MEGABYTE = 1_000_000


@dataclass
class Web:
    """Where it is, and which pages were asked for, by which name of the host."""

    origin: str = ""
    port: int = 0
    visits: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def page(self, path: str) -> str:
        """The link to a page."""
        return f"{self.origin}/{path}"


async def endless() -> AsyncIterator[bytes]:
    """Words without an end."""
    while True:
        yield b"more words " * 10_000
        await asyncio.sleep(0)


async def slow() -> AsyncIterator[bytes]:
    """A word, and then nothing for longer than anybody waits."""
    yield b"# Wait"
    await asyncio.sleep(600)


PAGES: dict[str, Callable[[], Response]] = {
    "notes.md": lambda: Response(MARKDOWN, media_type="text/plain"),
    "article": lambda: Response(HTML, media_type="text/html; charset=utf-8"),
    "plain": lambda: Response(b"Just words.", media_type="text/plain"),
    "paper": lambda: Response(PDF, media_type="application/octet-stream"),
    "picture": lambda: Response(b"\x89PNG\r\n\x1a\n\0\0\0", media_type="image/png"),
    "picture.md": lambda: Response(b"\x89PNG\r\n\x1a\n\0\0\0", media_type="text/markdown"),
    "empty.md": lambda: Response(b""),
    "missing.md": lambda: PlainTextResponse("no", 404),
    "zipped.md": lambda: Response(MARKDOWN, headers={"content-encoding": "gzip"}),
    "large.md": lambda: Response(b"x" * 2 * MEGABYTE),
    "endless.md": lambda: StreamingResponse(endless()),
    "slow.md": lambda: StreamingResponse(slow()),
}


@contextmanager
def web(certificate: Path | None = None) -> Iterator[Web]:
    """A web, for as long as the block. `/to?link=` redirects; `/hops/5` does so as often.

    certificate: with which it is encrypted, and its key, in one file.
    """
    visited = Web()

    async def page(request: Request) -> Response:
        path = request.path_params["path"]
        visited.visits.append((request.headers["host"], path))
        visited.headers.append(dict(request.headers))
        if path == "to":
            return RedirectResponse(request.query_params["link"])
        if path.startswith("hops/"):
            left = int(path.removeprefix("hops/"))
            return RedirectResponse(f"/hops/{left - 1}" if left > 1 else "/notes.md")
        return PAGES[path]()

    listener = listen("127.0.0.1", 0)
    app = Starlette(routes=[Route("/{path:path}", page)])
    options: dict[str, Any] = {}
    if certificate:
        options = {"ssl_certfile": certificate, "ssl_keyfile": certificate}
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=0, **options)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    visited.port = listener.getsockname()[1]
    visited.origin = f"http{'s' if certificate else ''}://127.0.0.1:{visited.port}"
    try:
        yield visited
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
