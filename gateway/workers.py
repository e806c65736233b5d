"""Workers: processes that serve one port together, and the parent that keeps them all alive."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkProcess
from types import FrameType

import structlog
from starlette.applications import Starlette

from gateway.metrics import several_workers, worker_ended
from gateway.process import WorkerFailed
from gateway.server import Server
from gateway.settings import Settings

log = structlog.get_logger()

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
PAUSE = 1.0
"""The least time between two new starts, so that workers that end at once do not take the whole machine."""


class Worker(Server):
    """The server of one worker. SIGINT means that all are to end, SIGTERM that only this one is."""

    def __init__(self, app: Starlette, settings: Settings, on_ready: Callable[[], None]) -> None:
        super().__init__(app, settings, on_ready, shares_door=True)
        self.parent = os.getppid()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end. A terminal sends SIGINT to us all, and then the parent does: twice is once."""
        self.should_exit = True
        self.shares_door = self.shares_door and sig != signal.SIGINT
        self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end: when told to, and when the parent is gone."""
        if os.getppid() != self.parent:
            self.handle_exit(signal.SIGINT, None)
        return await super().on_tick(counter)


def keep_serving(
    number: int, listener: socket.socket, serve: Callable[[Callable[[], None]], None], on_ready: Callable[[], None]
) -> None:
    """Run so many processes of `serve` until this one is told to stop, and start each again that ends before.

    They are forks: what this process has imported is there at once, and in memory only once.
    Raises WorkerFailed when one ends before all are ready.
    """
    fork = multiprocessing.get_context("fork")
    ready = fork.Value("i", 0)

    def one_is_ready() -> None:
        with ready:
            ready.value += 1
            if ready.value == number:
                on_ready()

    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        serve(one_is_ready)

    def start() -> ForkProcess:
        worker = fork.Process(target=work)
        worker.start()
        return worker

    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # what is ignored cannot be waited for everywhere
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    with several_workers():
        workers = [start() for _ in range(number)]
        try:
            while signal.sigwait(HEEDED) == signal.SIGCHLD:
                for place, worker in enumerate(workers):
                    if worker.exitcode is None:
                        continue
                    if ready.value < number:
                        raise WorkerFailed
                    log.warning("worker ended", pid=worker.pid, exitcode=worker.exitcode)
                    assert worker.pid
                    worker_ended(worker.pid)
                    time.sleep(PAUSE)
                    workers[place] = start()
        finally:
            listener.close()
            _end(workers)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end(workers: Sequence[ForkProcess]) -> None:
    """Let all workers end in order; at once, if this process is told again."""
    for worker in workers:
        if worker.exitcode is None and worker.pid:
            os.kill(worker.pid, signal.SIGINT)
    while any(worker.exitcode is None for worker in workers):
        if signal.sigwait(HEEDED) != signal.SIGCHLD:
            for worker in workers:
                worker.kill()
