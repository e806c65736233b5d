"""How a peer in Python serves: on loopback, on a port that it chooses and prints, as the gateway does."""

import sys
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from gateway import process


def serve(app: ASGIApp) -> None:
    """Serve an application until the process is told to stop."""
    listener = process.listen("127.0.0.1", 0)
    with suppress(KeyboardInterrupt):
        listener.listen()
        print(f"Ready: http://127.0.0.1:{listener.getsockname()[1]}/", file=sys.stdout, flush=True)  # noqa: T201
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])
