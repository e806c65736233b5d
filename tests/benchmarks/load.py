"""Load: wrk, which sends an operation over some connections for some seconds."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tests.benchmarks.operations import Operation
from tests.benchmarks.servers import Server

SCRIPT: Final = Path(__file__).with_name("load.lua")
TIMEOUT: Final = 60
"""How long an answer may take, in seconds."""


@dataclass(frozen=True)
class Load:
    """What came of it. `p50` and `p99` are the milliseconds that half, and all but one in a hundred, stayed within."""

    requests: int
    seconds: float
    failures: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def load(server: Server, operation: Operation, *, connections: int, seconds: int, check: bool = False) -> Load:
    """Send the operation, in the words of the server. check: whether to look into each answer for errors."""
    with tempfile.NamedTemporaryFile() as bodies:
        bodies.write(b"\n".join(orjson.dumps(request) for request in server.requests(operation)))
        bodies.flush()
        environment = {
            "PATH": os.environ["PATH"],
            "BODIES": bodies.name,
            "AUTHORIZATION": server.authorization,
            **({"CHECK": "1"} if check else {}),
        }
        done = subprocess.run(
            [
                "wrk",
                "--threads=1",
                f"--connections={connections}",
                f"--duration={seconds}s",
                f"--timeout={TIMEOUT}s",
                f"--script={SCRIPT}",
                server.endpoint,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds + TIMEOUT,
            check=True,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED "))
    return Load(**orjson.loads(line.removeprefix("MEASURED ")))
