"""Progress: what an operation shows of itself, written only by the worker that has it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from db import OperationStatus, StepKind, StepStatus
from db.transaction import Transaction
from resolvers.provisioning.lease import Lease

SHOW = """
    UPDATE operations SET status = CASE
            WHEN array_position($4, $2) > coalesce(array_position($4, status), 0) THEN $2 ELSE status END,
        progress = greatest(progress, coalesce($3, progress)),
        failures = CASE WHEN $3 > progress THEN 0 ELSE failures END,
        error_code = CASE WHEN $3 > progress THEN NULL ELSE error_code END,
        error_message = CASE WHEN $3 > progress THEN NULL ELSE error_message END
    WHERE id = $1
"""
STEP = """
    INSERT INTO operation_steps (operation_id, kind, key, title, status, error, document_id, knowledge_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (operation_id, key) DO UPDATE SET title = excluded.title,
        status = CASE WHEN excluded.status = 'pending' AND operation_steps.status IN ('done', 'running')
            THEN operation_steps.status ELSE excluded.status END,
        error = excluded.error
"""
SKIP = "UPDATE operation_steps SET status = 'skipped' WHERE operation_id = $1 AND kind = 'file' AND key <> ALL ($2)"
LATER = """
    UPDATE operations SET leased_until = NULL, due_at = clock_timestamp() + make_interval(
            secs => CASE WHEN cancel_requested_at IS NULL THEN $2 ELSE 0 END),
        failures = coalesce($3, failures), error_code = $4, error_message = $5
    WHERE id = $1
"""
END = """
    UPDATE operations SET status = $2, error_code = $3, error_message = $4, is_retryable = $5, leased_until = NULL,
        due_at = NULL, ended_at = clock_timestamp(), progress = CASE WHEN $6 THEN 1 ELSE progress END
    WHERE id = $1
"""
ABANDON = "UPDATE operation_steps SET status = 'skipped' WHERE operation_id = $1 AND status IN ('pending', 'running')"
COUNT = """
    SELECT count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'done') AS done FROM operation_steps WHERE operation_id = $1 AND kind = 'file'
"""
ORDER: Final = (
    OperationStatus.QUEUED,
    OperationStatus.UPLOADING,
    OperationStatus.CREATING_STORE,
    OperationStatus.ATTACHING,
    OperationStatus.INDEXING,
    OperationStatus.CONFIGURING,
    OperationStatus.DELETING,
)
"""What is shown of one that goes on. It never goes back, however often a worker looks again at what there is to do."""

ENDED_WELL: Final = (OperationStatus.READY, OperationStatus.READY_PARTIAL, OperationStatus.DELETED)


@dataclass(frozen=True, slots=True)
class Step:
    """A step to be shown. key: what tells it from the others of the operation."""

    kind: StepKind
    key: str
    title: str
    status: StepStatus = StepStatus.PENDING
    error: str | None = None
    document_id: UUID | None = None
    knowledge_id: UUID | None = None


class Later(Exception):
    """There is nothing to be done for a while. seconds: for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Progress:
    """What is shown of an operation."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.operation_id: UUID = lease.operation["id"]

    async def show(
        self,
        status: OperationStatus | None = None,
        part: float | None = None,
        *,
        steps: Iterable[Step] = (),
        tx: Transaction | None = None,
    ) -> None:
        """Show how far it is. part: from 0 to 1; it never goes back. tx: a transaction that has the operation."""
        if tx is None:
            async with self.lease.write() as own:
                await self.show(status, part, steps=steps, tx=own)
            return
        for step in steps:
            await tx.fetch(
                STEP,
                self.operation_id,
                step.kind,
                step.key,
                step.title,
                step.status,
                step.error,
                step.document_id,
                step.knowledge_id,
            )
        await tx.fetch(SHOW, self.operation_id, status, part, ORDER)

    async def skip_all_but(self, tx: Transaction, keys: list[str]) -> None:
        """Show that the other files are not wanted any more."""
        await tx.fetch(SKIP, self.operation_id, keys)

    async def counts(self, tx: Transaction) -> tuple[int, int]:
        """How many files are done, and how many failed."""
        row = await tx.row(COUNT, self.operation_id)
        assert row is not None
        return row["done"], row["failed"]

    async def later(
        self, seconds: float, *, failures: int | None = None, code: str | None = None, message: str | None = None
    ) -> None:
        """Let a worker go on after so many seconds.

        failures: how often it has failed since it last came further; None: as often as before.
        code, message: what is in the way until then.
        """
        async with self.lease.write() as tx:
            await tx.fetch(LATER, self.operation_id, seconds, failures, code, message)

    async def end(
        self,
        tx: Transaction,
        status: OperationStatus,
        code: str | None = None,
        message: str | None = None,
        *,
        is_retryable: bool = False,
    ) -> None:
        """Show that it is over."""
        if status not in ENDED_WELL:
            await tx.fetch(ABANDON, self.operation_id)
        await tx.fetch(END, self.operation_id, status, code, message, is_retryable, status in ENDED_WELL)
