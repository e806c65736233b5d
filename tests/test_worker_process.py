"""The worker is part of `serve`, or a process of its own."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import fresh_database
from tests.crashing import ROOT
from tests.provisioning import ask, ended, new_clone, operation
from tests.serving import Gateway, serving
from tests.test_health_routes import ready

COMMAND = (str(Path(sys.executable).with_name("clonegraph")), "worker")


@pytest.fixture
def serving_only(server_url: str, template: str, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that does nothing by itself."""
    settings = {"worker": False, "storage_url": (tmp_path / "storage").as_uri()}
    with fresh_database(server_url, template) as url, serving(url, settings) as gateway:
        yield gateway


@pytest.fixture
def process(serving_only: Gateway, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A worker beside it."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
        "DATABASE_URL": serving_only.database_url,
        "STORAGE_URL": (tmp_path / "storage").as_uri(),
    }
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    assert worker.stdout
    with worker.stdout as lines:
        assert next(lines).strip() == "The worker is at work."
        try:
            yield worker
        finally:
            worker.kill()
            worker.wait()


def test_what_a_server_takes_a_worker_of_another_process_does(
    serving_only: Gateway, process: "subprocess.Popen[str]"
) -> None:
    done = ask(serving_only, "provisionClone", cloneId=new_clone(serving_only, "Recall makes learning last."))

    assert ended(serving_only, done["operation"]["id"])["status"] == "READY"


def test_a_server_without_a_worker_only_writes_down_what_is_to_be_done(serving_only: Gateway) -> None:
    done = ask(serving_only, "provisionClone", cloneId=new_clone(serving_only))

    assert operation(serving_only, done["operation"]["id"])["status"] == "QUEUED"
    assert ready(serving_only) == (200, {"process": "ok", "database": "ok", "migrations": "ok"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_ends_in_order(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    process.send_signal(number)

    assert process.wait(timeout=20) == 0


def test_a_node_with_a_worker_is_ready_while_it_looks_at_what_is_due(own_database: str) -> None:
    with serving(own_database, {"worker": True}) as gateway:
        well = ready(gateway)
        assert gateway.app is not None
        duties, at_work = gateway.app.state.worker.duties, list[None]()

        async def without_end() -> None:
            at_work.append(None)
            await asyncio.Event().wait()

        for duty in duties:
            duty.work = without_end
        while len(at_work) < len(duties):
            time.sleep(0.01)
        for duty in duties:
            duty.looked_at = -1_000.0
        gateway.app.state.health._good_until = 0.0
        stuck = ready(gateway)

    assert well == (200, {"process": "ok", "database": "ok", "migrations": "ok", "worker": "ok"})
    assert stuck[0] == 503
    assert stuck[1]["worker"].startswith("stuck: settling")
