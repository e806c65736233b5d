"""Workers in processes of their own, which are killed and stopped while the fake of a provider has their request.

with beside_workers(server_url, template, folder, fake) as (gateway, workers):
    doom = Doom(fake, workers, (PUT, "after"))
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import psutil

from tests.crashing import ROOT
from tests.money import sql
from tests.provider_fake import Call, FakeProvider, Moment, NotReached
from tests.provisioning import provisioning
from tests.serving import Gateway

COMMAND = (str(Path(sys.executable).with_name("clonegraph")), "worker")
AT_WORK = "The worker is at work."
PUT, MAKE, ATTACH = "POST /v1/files", "POST /v1/vector_stores", "POST /v1/vector_stores/*/file_batches"
PATIENCE = 60
LOST = ("operation_lost", "operation_interrupted")
ENDLESS = (
    "CREATE FUNCTION endless() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tokens := 100; RETURN NEW; END'",
    "CREATE TRIGGER endless BEFORE UPDATE ON provider_accounts FOR EACH ROW EXECUTE FUNCTION endless()",
)
"""An allowance at the provider that does not come to its end."""


class WorkerProcess:
    """A `clonegraph worker`, from its start on. log: where it writes."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(
                COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=file, text=True
            )

    def wait(self) -> None:
        """Wait until it is at work."""
        assert self._process.stdout
        with self._process.stdout as lines:
            assert next(lines, "").strip() == AT_WORK, self.log.read_text()

    def has(self, port: int) -> bool:
        """Whether it is what speaks from a port of this machine."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._process.pid).net_connections("tcp")
            return any(each.laddr.port == port for each in found)
        return False

    def stop(self) -> None:
        """Let it do nothing until it is let go on."""
        self._process.send_signal(signal.SIGSTOP)
        while psutil.Process(self._process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def lost(self, operation: UUID) -> bool:
        """Whether it has noticed that an operation is another's by now, or that the database hung up on it."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return any(each["event"] in LOST and each["operation"] == str(operation) for each in lines)

    def kill(self) -> None:
        """End it at once, so that nothing of it is cleaned up."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class Workers:
    """Some workers. In the place of each that is killed comes another one. folder: for what they write."""

    def __init__(self, environment: dict[str, str], folder: Path, number: int = 2) -> None:
        self.environment = environment
        self.folder = folder
        self.number = number
        self.running: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        for _ in range(self.number):
            self._start()
        for worker in self.running:
            worker.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.running:
            worker.kill()

    def asking(self, call: Call) -> WorkerProcess:
        """The one that asks something of the provider. Raises StopIteration if it is not alive any more."""
        return next(worker for worker in self.running if worker.has(call.port))

    def replace(self, worker: WorkerProcess) -> WorkerProcess:
        """Kill one, and start another one. The others go on meanwhile."""
        self.running.remove(worker)
        worker.kill()
        return self._start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """A block in which they do nothing."""
        for worker in self.running:
            worker.stop()
        try:
            yield
        finally:
            for worker in self.running:
                worker.go_on()

    def another(self, **settings: str) -> "Workers":
        """One more that is told something else."""
        return Workers({**self.environment, **settings}, self.folder, 1)

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self.environment, self.folder / f"{uuid4()}.log")
        self.running.append(worker)
        return worker


class Doom:
    """Kills whoever does something at the provider: before it acts, and then it does not, or before it answers.

    fates: at what, one after another; once each. then: what happens after each, before another one goes on.
    acted: the calls that had an effect.
    """

    def __init__(
        self,
        fake: FakeProvider,
        workers: Workers,
        *fates: tuple[str, Moment],
        then: Callable[[], Any] | None = None,
    ) -> None:
        self.workers = workers
        self.fates = list(fates)
        self.then = then
        self.acted: list[Call] = []
        self._turn = threading.Lock()
        fake.on_call = self.on_call

    def on_call(self, call: Call, moment: Moment) -> None:
        if moment == "after":
            self.acted.append(call)
        with self._turn:
            if not self.fates or moment != self.fates[0][1] or not call.matches(self.fates[0][0]):
                return
            self.fates.pop(0)
            self.workers.replace(self.workers.asking(call))
            if self.then:
                self.then()
        if moment == "before":
            raise NotReached

    def count(self, match: str) -> int:
        """How many calls of a kind had an effect."""
        return sum(call.matches(match) for call in self.acted)


class Late(Doom):
    """Kills whoever does something, and lets the provider act on it only when another worker has done the same."""

    def __init__(self, fake: FakeProvider, workers: Workers, match: str, *fates: tuple[str, Moment]) -> None:
        super().__init__(fake, workers, *fates)
        self.match = match
        self._first: Call | None = None
        self._is_repeated, self._has_acted = threading.Event(), threading.Event()

    def on_call(self, call: Call, moment: Moment) -> None:
        if not call.matches(self.match):
            super().on_call(call, moment)
        elif moment == "before" and self._first is None:
            self._first = call
            self.workers.replace(self.workers.asking(call))
            assert self._is_repeated.wait(PATIENCE)
        elif moment == "after":
            self.acted.append(call)
            (self._has_acted if call is self._first else self._is_repeated).set()
            assert self._has_acted.wait(PATIENCE)


class Hold:
    """Holds back the first answer of a kind. worker: whose it is, once there is one."""

    def __init__(self, fake: FakeProvider, workers: Workers, match: str) -> None:
        self.workers = workers
        self.match = match
        self.worker: WorkerProcess | None = None
        self._has_worker, self._is_over = threading.Event(), threading.Event()
        fake.on_call = self.on_call

    def on_call(self, call: Call, moment: Moment) -> None:
        if moment == "after" and call.matches(self.match) and self.worker is None:
            self.worker = self.workers.asking(call)
            self._has_worker.set()
            assert self._is_over.wait(PATIENCE)

    def begun(self) -> WorkerProcess:
        """The worker that waits for the answer."""
        assert self._has_worker.wait(PATIENCE)
        assert self.worker
        return self.worker

    def end(self) -> None:
        """Give the answer."""
        self._is_over.set()


@contextmanager
def beside_workers(
    server_url: str, template: str, folder: Path, fake: FakeProvider
) -> Iterator[tuple[Gateway, Workers]]:
    """A gateway that does nothing by itself, and two workers, who may ask of a provider as much as they like."""
    storage = folder / "storage"
    with provisioning(server_url, template, storage, fake, worker=False) as gateway:
        for statement in ENDLESS:
            sql(gateway.database_url, statement)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": gateway.database_url,
            "STORAGE_URL": storage.as_uri(),
            "OPENAI_API_KEY": fake.key,
            "OPENAI_BASE_URL": fake.base_url,
            "OPERATION_LEASE": "1",
            "DATABASE_STATEMENT_TIMEOUT": "5",
        }
        with Workers(environment, folder) as workers:
            yield gateway, workers
