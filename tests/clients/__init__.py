"""Clients of other people, as they come from npm: each script here asks a gateway and fails if it is let down."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving import CAST, Gateway

HERE = Path(__file__).parent
NODE = shutil.which("node")
INSTALLED = (HERE / "node_modules" / ".package-lock.json").exists()

needs_node = pytest.mark.skipif(
    not (NODE and INSTALLED),
    reason="the clients are not installed: run `make clients`" if NODE else "there is no Node here: install Node 20",
)


def run(script: str, gateway: Gateway, *arguments: str) -> str:
    """What a script prints that asks this gateway. Fails with what it says when it is not content."""
    done = subprocess.run(
        [str(NODE), "--test-reporter=spec", script, *arguments],
        cwd=HERE,
        env=environment(gateway),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{script} is not content:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


def environment(gateway: Gateway) -> dict[str, str]:
    """What a script has to know of a gateway, and nothing else of this machine but the path."""
    tokens = {f"TOKEN_OF_{person.upper()}": gateway.token(person) for person in CAST}
    return {"PATH": os.environ["PATH"], "GATEWAY": gateway.url, **tokens}
