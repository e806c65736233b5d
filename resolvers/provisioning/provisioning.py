"""Provisioning, as the worker's duty: operations that are due are claimed, worked on, and put off or ended."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from db import OperationKind, OperationStatus
from db.errors import ConstraintViolated, DatabaseBusy, DatabaseError
from db.storage import StorageUnavailable
from resolvers.duty import Duty
from resolvers.provisioning.account import BURST, Parked
from resolvers.provisioning.drift import Repair
from resolvers.provisioning.lease import Cancelled, Lease, LeaseLost, claim
from resolvers.provisioning.progress import Later, Progress
from resolvers.provisioning.provider import Gone, ProviderAway, ProviderError, QuotaExceeded
from resolvers.provisioning.provision import Provision
from resolvers.provisioning.remote import Busy
from resolvers.provisioning.removal import Removal
from resolvers.services import Services

HERE: Final = 4
"""How many operations one process works on at a time."""

EVERYWHERE: Final = 16
"""How many all processes do."""

MOST_FAILURES: Final = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 120.0
"""How long one waits after a failure, in seconds: twice as long after each that follows."""


class Turn(Protocol):
    """One worker's turn at an operation."""

    async def run(self) -> None:
        """Bring it as far as it goes now."""


TURNS: Final[Mapping[str, Callable[[Services, Lease], Turn]]] = {
    OperationKind.DEPROVISION: Removal,
    OperationKind.DELETE: Removal,
    OperationKind.REPAIR: Repair,
}
UNFORESEEN: Final = "Something went wrong in the gateway. Its log says what. Try again with retryOperation."

log = structlog.get_logger()


class Provisioning(Duty):
    """Works on operations. lease: for how many seconds one belongs to a process that says nothing more."""

    pause = 0.5

    def __init__(self, services: Services, lease: float) -> None:
        super().__init__()
        self.services = services
        self.lease = lease
        self._turns: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Begin with what is due, as far as there is room."""
        while len(self._turns) < HERE:
            lease = await claim(
                self.services.database,
                self.services.provider.name,
                seconds=self.lease,
                most=EVERYWHERE,
                allowance=BURST,
            )
            if lease is None:
                break
            turn = asyncio.create_task(self._take_turn(lease))
            self._turns.add(turn)
            turn.add_done_callback(self._leave)

    async def close(self) -> None:
        """Come to an end. Operations are given back, and any worker goes on with them."""
        await super().close()
        for turn in self._turns:
            turn.cancel()
        if self._turns:
            await asyncio.wait(self._turns)

    def _leave(self, turn: "asyncio.Task[None]") -> None:
        self._turns.discard(turn)
        self.wake()

    async def _take_turn(self, lease: Lease) -> None:
        progress = Progress(lease)
        try:
            await self._work(lease, progress)
        except LeaseLost:
            log.warning("operation_lost", operation=str(progress.operation_id))
        except DatabaseError as error:  # the lease ends by itself
            log.warning("operation_interrupted", operation=str(progress.operation_id), reason=str(error))
        except asyncio.CancelledError:
            await asyncio.shield(progress.later(0))
            raise

    async def _work(self, lease: Lease, progress: Progress) -> None:
        """One turn: what comes of it is written down, whatever it is."""
        try:
            async with lease.kept():
                lease.check()
                await TURNS.get(lease.operation["kind"], Provision)(self.services, lease).run()
        except Later as error:
            await progress.later(error.seconds, failures=0)
        except (Busy, DatabaseBusy):
            await progress.later(1)
        except Parked as error:
            code = QuotaExceeded.code if str(error) else None
            await progress.later(error.seconds, code=code, message=str(error) or None)
        except Cancelled:
            await self._end(progress, OperationStatus.CANCELLED)
        except (ProviderAway, StorageUnavailable, Gone, ConstraintViolated) as error:
            await self._fail(lease, progress, error)
        except ProviderError as error:
            await self._end(progress, OperationStatus.FAILED, error.code, str(error), is_retryable=True)
        except (LeaseLost, DatabaseError):
            raise
        except Exception as error:
            log.exception("operation_failed", operation=str(progress.operation_id))
            await self._fail(lease, progress, error)

    async def _fail(self, lease: Lease, progress: Progress, error: Exception) -> None:
        """Try again after a while, unless that was tried often enough."""
        failures = await self._failures(lease)
        known = isinstance(error, ProviderError | StorageUnavailable)
        code = getattr(error, "code", "INTERNAL" if not known else "STORAGE_UNAVAILABLE")
        message = str(error) if known else UNFORESEEN
        if failures + 1 >= MOST_FAILURES:
            await self._end(progress, OperationStatus.FAILED, code, message, is_retryable=True)
            return
        wished = getattr(error, "retry_after", None)
        pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
        await progress.later(max(pause, wished or 0), failures=failures + 1, code=code, message=message)

    async def _failures(self, lease: Lease) -> int:
        rows = await lease.database.primary.fetch(FAILURES, [lease.operation["id"]])
        return int(rows[0]["failures"]) if rows else 0

    async def _end(
        self,
        progress: Progress,
        status: OperationStatus,
        code: str | None = None,
        message: str | None = None,
        *,
        is_retryable: bool = False,
    ) -> None:
        async with progress.lease.write() as tx:
            await progress.end(tx, status, code, message, is_retryable=is_retryable)


FAILURES = "SELECT failures FROM operations WHERE id = $1"
