"""A vector store's files: what it is to hold, held against what it holds, until both are the same.

A file that has changed is there twice for a while: what readers find (`file_id`), and what is to take its place once
it can be searched (`incoming_file_id`).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg

from db import FileStatus, StepKind, StepStatus
from db.transaction import Transaction
from resolvers.provisioning.progress import Progress, Step
from resolvers.provisioning.provider import Gone, Member, ProviderRefused
from resolvers.provisioning.remote import Remote
from resolvers.provisioning.source import Source

BATCH: Final = 500

FILES = """
    SELECT id, document_id, knowledge_id, clone_id, file_id, sha256, incoming_file_id, incoming_sha256, status, error,
        removed_at IS NOT NULL AS is_removed,
        CASE WHEN document_id IS NOT NULL THEN 'document:' || document_id
            WHEN knowledge_id IS NOT NULL THEN 'knowledge:' || knowledge_id
            WHEN clone_id IS NOT NULL THEN 'questions:' || clone_id ELSE 'file:' || id END AS key
    FROM store_files WHERE vector_store_id = $1
"""
UPDATE = """
    UPDATE store_files SET removed_at = NULL, incoming_file_id = $5, incoming_sha256 = $6, status = 'pending',
        error = NULL
    WHERE vector_store_id = $1 AND (document_id = $2 OR knowledge_id = $3 OR clone_id = $4) RETURNING id
"""
INSERT = """
    INSERT INTO store_files (vector_store_id, document_id, knowledge_id, clone_id, incoming_file_id, incoming_sha256)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
REVIVE = """
    UPDATE store_files SET removed_at = NULL,
        sha256 = CASE WHEN incoming_file_id IS NULL THEN coalesce(sha256, $5) ELSE sha256 END
    WHERE vector_store_id = $1 AND (document_id = $2 OR knowledge_id = $3 OR clone_id = $4)
"""
REPLACED = """
    SELECT file_id FROM store_files
    WHERE vector_store_id = $1 AND removed_at IS NULL AND file_id IS NOT NULL AND incoming_file_id = ANY ($2::text[])
"""
RECEIVE = """
    UPDATE store_files AS file SET status = member.status, error = member.error,
        file_id = CASE WHEN arrives THEN coalesce(incoming_file_id, file_id) ELSE file_id END,
        sha256 = CASE WHEN arrives AND incoming_file_id IS NOT NULL THEN incoming_sha256 ELSE sha256 END,
        incoming_file_id = CASE WHEN arrives THEN NULL ELSE incoming_file_id END,
        incoming_sha256 = CASE WHEN arrives THEN NULL ELSE incoming_sha256 END
    FROM (
        SELECT *, status = 'completed' AS arrives
        FROM unnest($2::text[], $3::text[], $4::text[]) AS told (id, status, error)
    ) AS member
    WHERE vector_store_id = $1 AND removed_at IS NULL AND coalesce(incoming_file_id, file_id) = member.id
        AND (file.status, file.error) IS DISTINCT FROM (member.status, member.error)
"""
BATCHED = """
    WITH file AS (
        UPDATE store_files SET batch_id = coalesce($2, batch_id), status = 'in_progress'
        WHERE vector_store_id = $1 AND coalesce(incoming_file_id, file_id) = ANY ($3::text[])
    )
    UPDATE vector_stores SET batch_ids = array_append(coalesce(batch_ids, '{}'), $2), latest_batch_id = $2
    WHERE id = $1 AND $2 IS NOT NULL
"""
LOSE = """
    WITH lost AS (
        UPDATE remote_objects SET state = 'gone' WHERE provider = $2 AND remote_id = $3 RETURNING remote_id
    )
    UPDATE store_files SET sha256 = NULL,
        file_id = nullif(file_id, $3), status = 'pending',
        incoming_file_id = nullif(incoming_file_id, $3),
        incoming_sha256 = CASE WHEN incoming_file_id = $3 THEN NULL ELSE incoming_sha256 END
    WHERE vector_store_id = $1 AND $3 IN (file_id, incoming_file_id)
"""
KNOWN = "SELECT remote_id FROM remote_objects WHERE provider = $1 AND remote_id = ANY ($2::text[]) AND state <> 'gone'"
REMOVE = "DELETE FROM store_files WHERE id = $1 AND removed_at IS NOT NULL"
PROJECT = (
    """
    UPDATE vector_stores SET file_ids = ARRAY(
        SELECT file_id FROM store_files WHERE vector_store_id = $1 AND file_id IS NOT NULL ORDER BY created_at, id
    ) WHERE id = $1
    """,
    """
    UPDATE clones SET openai_file_ids = file_ids FROM vector_stores AS store
    WHERE store.id = $1 AND vector_store_id = vector_id AND openai_file_ids IS DISTINCT FROM file_ids
    """,
    """
    UPDATE documents SET openai_file_id = file_id FROM store_files AS file
    WHERE vector_store_id = $1 AND file.document_id = documents.id AND file_id IS NOT NULL AND removed_at IS NULL
        AND openai_file_id IS DISTINCT FROM file_id
    """,
    """
    UPDATE knowledge SET openai_file_id = file_id, vector_store_id = vector_id, processing_status = CASE file.status
            WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed' WHEN 'pending' THEN 'pending'
            ELSE 'processing' END
    FROM store_files AS file JOIN vector_stores AS store ON store.id = vector_store_id
    WHERE store.id = $1 AND file.knowledge_id = knowledge.id
        AND (openai_file_id, knowledge.vector_store_id, processing_status) IS DISTINCT FROM (
            file_id, vector_id, CASE file.status WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed'
            WHEN 'pending' THEN 'pending' ELSE 'processing' END)
    """,
)
"""Copies of what the rows of files say, for old programs."""

STEP_STATUS: Final[Mapping[str, StepStatus]] = {
    FileStatus.COMPLETED: StepStatus.DONE,
    FileStatus.FAILED: StepStatus.FAILED,
    FileStatus.CANCELLED: StepStatus.FAILED,
    FileStatus.PENDING: StepStatus.PENDING,
}
STILL_FOUND: Final = "What was there before is still found."
TOO_SLOW: Final = "The provider did not read it in time. Try again later: retryOperation."


class Store:
    """The files of a vector store. id: of its row. vector_id: at the provider."""

    def __init__(self, remote: Remote, progress: Progress, id_: UUID, vector_id: str) -> None:
        self.remote = remote
        self.progress = progress
        self.id = id_
        self.vector_id = vector_id
        self.database = remote.lease.database

    async def files(self) -> dict[str, asyncpg.Record]:
        """What the store is to hold, or to hold no longer, by the key of the source."""
        return {row["key"]: row for row in await self.database.primary.fetch(FILES, [self.id])}

    async def expect(self, wanted: Mapping[str, tuple[Source, str | None]]) -> None:
        """Write down what the store is to hold: each source with its file, or None where it has the right one."""
        async with self.remote.lease.write() as tx:
            for source, file_id in wanted.values():
                of_source = self.id, source.document_id, source.knowledge_id, source.clone_id
                if file_id is None:
                    await tx.fetch(REVIVE, *of_source, source.sha256)
                elif not await tx.fetch(UPDATE, *of_source, file_id, source.sha256):
                    await tx.fetch(INSERT, *of_source, file_id, source.sha256)
            await self.project(tx)

    async def members(self) -> Sequence[Member]:
        """What the store holds. Raises Gone."""
        members: Sequence[Member] = await self.remote.act(lambda: self.remote.provider.status(self.vector_id))
        return members

    async def attach(self, members: Sequence[Member]) -> bool:
        """Put into the store what is missing. Whether there was something; never while the provider reads files."""
        held = {member.file_id for member in members}
        wanted = [
            row["incoming_file_id"] or row["file_id"] for row in (await self.files()).values() if not row["is_removed"]
        ]
        missing = [file_id for file_id in wanted if file_id and file_id not in held]
        if not missing or any(member.status is FileStatus.IN_PROGRESS for member in members):
            return False
        for start in range(0, len(missing), BATCH):
            await self._attach(missing[start : start + BATCH])
        return True

    async def _attach(self, file_ids: list[str]) -> None:
        try:
            batch_id = await self.remote.act(lambda: self.remote.provider.attach(self.vector_id, file_ids))
        except (Gone, ProviderRefused):
            if len(file_ids) > 1:
                for file_id in file_ids:
                    await self._attach([file_id])
                return
            async with self.remote.lease.write() as tx:
                await tx.fetch(LOSE, self.id, self.remote.provider.name, file_ids[0])
            raise
        async with self.remote.lease.write() as tx:
            await tx.fetch(BATCHED, self.id, batch_id, file_ids)

    async def receive(
        self, members: Sequence[Member], titles: Mapping[str, Source], *, is_late: bool
    ) -> tuple[int, int]:
        """Write down how far the provider is: how many of how many files are read, or given up.

        is_late: whether those that are not read by now are given up.
        """
        late = [member for member in members if member.status is FileStatus.IN_PROGRESS and is_late]
        told = [Member(each.file_id, FileStatus.FAILED, TOO_SLOW) if each in late else each for each in members]
        async with self.remote.lease.write() as tx:
            for row in await tx.fetch(REPLACED, self.id, [each.file_id for each in told if _is_read(each)]):
                await self.remote.adopt(tx, "file", row["file_id"])
            await tx.fetch(
                RECEIVE,
                self.id,
                [each.file_id for each in told],
                [each.status for each in told],
                [each.error for each in told],
            )
            await self.project(tx)
            rows = await tx.fetch(FILES, self.id)
            wanted = [row for row in rows if not row["is_removed"] and (row["incoming_file_id"] or row["file_id"])]
            over = [row for row in wanted if row["status"] not in (FileStatus.PENDING, FileStatus.IN_PROGRESS)]
            part = 0.4 + 0.5 * (len(over) / len(wanted) if wanted else 1)
            await self.progress.show(None, part, steps=_steps(wanted, titles), tx=tx)
        return len(over), len(wanted)

    async def let_go(self) -> None:
        """Take out of the store what is not to be in it, and delete the files that no store is to hold."""
        rows = (await self.files()).values()
        kept = {row[name] for row in rows if not row["is_removed"] for name in ("file_id", "incoming_file_id")}
        members = {member.file_id for member in await self.members()} - kept
        removed = [row for row in rows if row["is_removed"]]
        leaving = {row[name] for row in removed for name in ("file_id", "incoming_file_id") if row[name]} - kept
        known = await self.database.primary.fetch(KNOWN, [self.remote.provider.name, list(members)])
        ours = leaving | {row["remote_id"] for row in known}
        for file_id in members & ours:
            await self.remote.act(partial(self.remote.provider.detach, self.vector_id, file_id))
        async with self.remote.lease.write() as tx:
            for file_id in leaving:
                await self.remote.adopt(tx, "file", file_id)
        for file_id in ours:
            await self.remote.delete(file_id)
        async with self.remote.lease.write() as tx:
            for row in removed:
                await tx.fetch(REMOVE, row["id"])
            await self.project(tx)

    async def lose(self, file_id: str) -> None:
        """Write down that a file is not at the provider any more, so that it is sent again."""
        async with self.remote.lease.write() as tx:
            await tx.fetch(LOSE, self.id, self.remote.provider.name, file_id)

    async def project(self, tx: Transaction) -> None:
        """Copy what the rows of the files say to where old programs read it."""
        for statement in PROJECT:
            await tx.fetch(statement, self.id)


def _is_read(member: Member) -> bool:
    """Whether a file can be searched."""
    return member.status is FileStatus.COMPLETED


def _steps(rows: Sequence[Any], sources: Mapping[str, Source]) -> list[Step]:
    """The steps of files, as far as they are."""
    return [
        Step(
            StepKind.FILE,
            row["key"],
            sources[row["key"]].title,
            STEP_STATUS.get(row["status"], StepStatus.RUNNING),
            f"{row['error']} {STILL_FOUND}" if row["error"] and row["file_id"] else row["error"],
            row["document_id"],
            row["knowledge_id"],
        )
        for row in rows
        if row["key"] in sources
    ]
