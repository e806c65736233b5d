"""Provisioning: an owner gets a vector store that holds what it should, and an assistant if one is wanted.

It is done from the beginning each time that a worker comes to it, and each step looks at what is there first. So it
does not matter where the last worker was when it was killed.

    plan -> upload -> make the store -> put files into it -> wait until they are read -> let go what is not wanted
         -> set up the assistant -> ready
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from db import OperationKind, OperationStatus, StepKind, StepStatus
from db.storage import Storage
from db.transaction import Transaction
from resolvers.file import drop
from resolvers.provisioning.assistant import configure
from resolvers.provisioning.lease import Lease
from resolvers.provisioning.owner import Owner, Subject, find_owner
from resolvers.provisioning.progress import Later, Progress, Step
from resolvers.provisioning.provider import Gone, ProviderRefused
from resolvers.provisioning.remote import Remote
from resolvers.provisioning.source import Source, Unreadable, sources
from resolvers.provisioning.store import STILL_FOUND, Store
from resolvers.services import Services

UPLOADS_AT_A_TIME: Final = 4

PATIENCE, PATIENCE_PER_FILE = 120.0, 10.0
"""How long the provider may take to read files, in seconds, and how much longer for each of them."""

FIRST_LOOK, LAST_LOOK = 0.3, 15.0
"""How long it takes until one looks again how far it is, in seconds: a quarter of what it has taken by then."""

ONLY_THESE = """
    UPDATE store_files SET removed_at = coalesce(removed_at, clock_timestamp())
    FROM vector_stores AS store
    WHERE store.id = vector_store_id AND vector_id = $1 AND document_id IS NOT NULL AND document_id <> ALL ($2::uuid[])
"""
NO_SHEET = """
    UPDATE store_files SET removed_at = coalesce(removed_at, clock_timestamp()) FROM vector_stores AS store
    WHERE store.id = vector_store_id AND vector_id = $1 AND clone_id IS NOT NULL AND NOT $2
"""
DELETED = """
    UPDATE store_files SET removed_at = clock_timestamp() FROM vector_stores AS store
    WHERE store.id = vector_store_id AND vector_id = $1 AND removed_at IS NULL AND (
        document_id IN (SELECT id FROM documents WHERE deleted_at IS NOT NULL)
        OR knowledge_id IN (SELECT id FROM knowledge WHERE deleted_at IS NOT NULL))
"""
FAILED = """
    UPDATE store_files AS file
    SET incoming_file_id = NULL, incoming_sha256 = NULL, status = 'pending', error = NULL
    FROM (
        SELECT store_files.id, incoming_file_id
        FROM store_files JOIN vector_stores AS store ON store.id = vector_store_id
        WHERE vector_id = $1 AND status = 'failed'
    ) AS failed
    WHERE failed.id = file.id
    RETURNING failed.incoming_file_id
"""
CONDEMN_FAILED = """
    UPDATE remote_objects SET state = 'deleting', operation_id = $3
    WHERE provider = $1 AND remote_id = ANY ($2::text[]) AND NOT EXISTS (
        SELECT FROM store_files WHERE remote_id IN (file_id, incoming_file_id))
"""
BEGIN = "UPDATE operations SET is_stale = false WHERE id = $1 RETURNING options"
RETRIED = "UPDATE operations SET options = options - 'retry_failed' WHERE id = $1"
READ = {
    "document": "UPDATE documents SET sha256 = $2, size_bytes = $3 WHERE id = $1 AND sha256 IS NULL",
    "knowledge": "UPDATE knowledge SET sha256 = $2 WHERE id = $1 AND sha256 IS NULL",
}
UNREADABLE = """
    UPDATE knowledge SET processing_status = 'failed' FROM operation_steps AS step
    WHERE operation_id = $1 AND knowledge_id = knowledge.id AND step.status = 'failed' AND processing_status <> 'failed'
"""
ADD_STORE = """
    INSERT INTO vector_stores (vector_id, domain_name, expert_name, client_name, owner, owner_id, provider)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (vector_id) DO NOTHING
"""
REPLACE_STORE = (
    "UPDATE vector_stores SET vector_id = $1 WHERE vector_id = $2",
    "UPDATE assistants SET vector_id = $1 WHERE vector_id = $2",
    "UPDATE clones SET vector_store_id = $1 WHERE vector_store_id = $2",
    "UPDATE knowledge SET vector_store_id = $1 WHERE vector_store_id = $2",
    """
    UPDATE assistant_configs SET vector_store_ids = array_replace(vector_store_ids, $2, $1)
    WHERE $2 = ANY (vector_store_ids)
    """,
)
LOSE_STORE = "UPDATE remote_objects SET state = 'gone' WHERE provider = $1 AND remote_id = $2"
OWN_STORE = "UPDATE clones SET vector_store_id = $2 WHERE id = $1"
STORE_ID = "SELECT id FROM vector_stores WHERE vector_id = $1"
ABOUT_STORE = "UPDATE operations SET vector_store_id = $2 WHERE id = $1"
ABOUT_ASSISTANT = "UPDATE operations SET assistant_id = $2 WHERE id = $1"
INDEXING = """
    UPDATE operations SET indexing_since = coalesce(indexing_since, clock_timestamp()) WHERE id = $1
    RETURNING indexing_since
"""
NOT_INDEXING = "UPDATE operations SET indexing_since = NULL WHERE id = $1 RETURNING is_stale"
LOCK_CLONE = "SELECT FROM clones WHERE id = $1 FOR NO KEY UPDATE"
FORGOTTEN = """
    DELETE FROM knowledge WHERE clone_id = $1 AND deleted_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM store_files WHERE knowledge_id = knowledge.id
    ) RETURNING file_url
"""

NO_OWNER: Final = "What it was for does not exist any more."
NO_DOMAIN: Final = "A vector store belongs to a domain. Give the clone one with updateClone, and try again."
NO_EXPERT: Final = "An assistant answers for an expert. Give the clone one with assignExperts, and try again."
NOTHING_READ: Final = (
    "None of the files could be read. The steps say why. Mend them, and try again with retryOperation."
)


class Provision:
    """One worker's turn at the provisioning of an owner."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self.services = services
        self.lease = lease
        self.kind = lease.operation["kind"]
        self.options: dict[str, Any] = {}
        self.remote = Remote(services.provider, lease, services.instance)
        self.progress = Progress(lease)

    async def run(self) -> None:
        """Bring it as far as it goes now. Raises Later, and whatever the port says is in the way."""
        await self._begin()
        owner = await find_owner(
            self.lease.database, Subject.parse(self.lease.operation["subject"]), self.remote.provider.name
        )
        if owner is None or owner.domain_name is None:
            await self._fail("NOT_FOUND" if owner is None else "NEEDS_INPUT", NO_DOMAIN if owner else NO_OWNER)
            return
        wanted = await self._plan(owner)
        await self.remote.finish_deletions()
        store_id = await self._row_of(owner.vector_id)
        present = await self._store(store_id, owner.vector_id).files() if store_id and owner.vector_id else {}
        found = await self._upload(wanted, present)
        store = await self._make_store(owner, store_id)
        await store.expect(found)
        await self._index(store, {key: source for key, (source, _) in found.items()})
        await store.let_go()
        await self._forget(owner)
        await self.remote.finish_deletions()
        await self.remote.delete_unused()
        await self.remote.tidy()
        await self._finish(owner, store)

    async def _begin(self) -> None:
        """Read how it was asked for. Whatever changes from here on makes it look once more before it ends."""
        async with self.lease.write() as tx:
            row = await tx.row(BEGIN, self.progress.operation_id)
        self.options = orjson.loads(orjson.dumps(row["options"])) if row else {}

    async def _plan(self, owner: Owner) -> dict[str, Source]:
        """What the store is to hold, by the keys of the sources."""
        given = self.options.get("document_ids")
        ids = [UUID(each) for each in given] if given is not None else None
        listed = await sources(self.lease.database, owner, document_ids=ids, is_new=owner.vector_id is None)
        wanted = {source.key: source for source in listed}
        async with self.lease.write() as tx:
            if ids is not None:
                await tx.fetch(ONLY_THESE, owner.vector_id, ids)
                wanted = {key: each for key, each in wanted.items() if not each.document_id or each.document_id in ids}
            await tx.fetch(NO_SHEET, owner.vector_id, f"questions:{owner.clone_id}" in wanted)
            await tx.fetch(DELETED, owner.vector_id)
            if self.options.pop("retry_failed", False):
                failed = await tx.fetch(FAILED, owner.vector_id)
                ids_of_failed = [row["incoming_file_id"] for row in failed if row["incoming_file_id"]]
                await tx.fetch(CONDEMN_FAILED, self.remote.provider.name, ids_of_failed, self.progress.operation_id)
                await tx.fetch(RETRIED, self.progress.operation_id)
            await self.progress.skip_all_but(tx, list(wanted))
            steps = [_step(source) for source in listed if source.key in wanted]
            if owner.vector_id is None:
                steps.append(Step(StepKind.STORE, "store", f"Vector store of {owner.title}"))
            if self.kind in WITH_ASSISTANT:
                steps.append(Step(StepKind.ASSISTANT, "assistant", f"Assistant of {owner.title}"))
            await self.progress.show(OperationStatus.UPLOADING, steps=steps, tx=tx)
        return wanted

    async def _upload(
        self, wanted: Mapping[str, Source], present: Mapping[str, Any]
    ) -> dict[str, tuple[Source, str | None]]:
        """The file of each source that can be had; None where the store has the right one."""
        found: dict[str, tuple[Source, str | None]] = {}
        places = asyncio.Semaphore(UPLOADS_AT_A_TIME)

        async def upload(source: Source) -> None:
            async with places:
                file = await self._file(source, present.get(source.key))
                if file:
                    found[source.key] = file
                    await self.progress.show(part=0.4 * len(found) / len(wanted))

        try:
            async with asyncio.TaskGroup() as uploads:
                for source in wanted.values():
                    uploads.create_task(upload(source))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        return found

    async def _file(self, source: Source, row: Any) -> tuple[Source, str | None] | None:
        """A source with its file; None if it cannot be had."""
        if row and _is_right(row, source):
            return source, None
        try:
            source, content = await source.read(self.services.storage)
            if row and _is_right(row, source):
                return source, None
            await self.progress.show(steps=[_step(source, StepStatus.RUNNING)])
            assert source.sha256 is not None
            key = f"{source.key}:{source.sha256}"
            file_id = await self.remote.file(key, source.sha256, source.file_name, content)
        except (Unreadable, ProviderRefused) as error:
            reason = f"{error} {STILL_FOUND}" if row and row["file_id"] else str(error)
            async with self.lease.write() as tx:
                await self.progress.show(steps=[_step(source, StepStatus.FAILED, reason)], tx=tx)
                await tx.fetch(UNREADABLE, self.progress.operation_id)
            return None
        if statement := READ.get(source.key.partition(":")[0]):
            size = (content.size_bytes,) if source.document_id else ()
            async with self.lease.write() as tx:
                await tx.fetch(statement, source.document_id or source.knowledge_id, source.sha256, *size)
        return source, file_id

    async def _make_store(self, owner: Owner, store_id: UUID | None) -> Store:
        """The store, which is made if there is none."""
        if store_id is None or owner.vector_id is None:
            await self.progress.show(OperationStatus.CREATING_STORE, 0.4)

            async def add(tx: Transaction, vector_id: str) -> None:
                await tx.fetch(
                    ADD_STORE,
                    vector_id,
                    owner.domain_name,
                    owner.expert_name,
                    owner.client_name,
                    owner.store_kind,
                    owner.owner_id,
                    self.remote.provider.name,
                )
                if owner.clone_id:
                    await tx.fetch(OWN_STORE, owner.clone_id, vector_id)

            vector_id = await self.remote.store(owner.key, owner.title, add)
            store_id = await self._row_of(vector_id)
        else:
            vector_id = owner.vector_id
            try:
                await self._store(store_id, vector_id).members()
            except Gone:
                vector_id = await self._replace(owner, vector_id)
        if store_id is None:
            raise Later(1)
        async with self.lease.write() as tx:
            await tx.fetch(ABOUT_STORE, self.progress.operation_id, store_id)
            steps = [Step(StepKind.STORE, "store", f"Vector store of {owner.title}", StepStatus.DONE)]
            await self.progress.show(
                OperationStatus.ATTACHING, 0.4, steps=steps if owner.vector_id is None else (), tx=tx
            )
        return self._store(store_id, vector_id)

    async def _replace(self, owner: Owner, lost: str) -> str:
        """The id of a new store in the place of one that is not at the provider any more."""
        async with self.lease.write() as tx:
            await tx.fetch(LOSE_STORE, self.remote.provider.name, lost)

        async def replace(tx: Transaction, vector_id: str) -> None:
            for statement in REPLACE_STORE:
                await tx.fetch(statement, vector_id, lost)

        return await self.remote.store(owner.key, owner.title, replace)

    async def _index(self, store: Store, found: Mapping[str, Source]) -> None:
        """Wait until the provider has read the files that could be had. Raises Later while it has not."""
        members = await store.members()
        if await store.attach(members):
            members = await store.members()
        async with self.lease.write() as tx:
            row = await tx.row(INDEXING, self.progress.operation_id)
            await self.progress.show(OperationStatus.INDEXING, tx=tx)
        assert row is not None
        waited = (datetime.now(UTC) - row["indexing_since"]).total_seconds()
        over, number = await store.receive(members, found, is_late=waited > PATIENCE + PATIENCE_PER_FILE * len(members))
        if over < number:
            raise Later(min(max(waited / 4, FIRST_LOOK), LAST_LOOK))

    async def _forget(self, owner: Owner) -> None:
        """Delete the rows and files of knowledge that was to be deleted, and that the provider has let go."""
        if owner.subject.kind != "clone":
            return
        async with self.lease.write() as tx:
            rows = await tx.fetch(FORGOTTEN, owner.clone_id)
        for row in rows:
            await drop(self.services.storage, Storage.key_of(row["file_url"]))

    async def _finish(self, owner: Owner, store: Store) -> None:
        """Set up the assistant and come to the end, unless things have changed since the plan was made."""
        if self.kind in WITH_ASSISTANT:
            await self.progress.show(OperationStatus.CONFIGURING, 0.95)
        async with self.lease.write() as tx:
            await tx.fetch(LOCK_CLONE, owner.clone_id)
            row = await tx.row(NOT_INDEXING, self.progress.operation_id)
            is_stale = row is not None and row["is_stale"]
            if not is_stale:
                await self._conclude(tx, owner, store)
        if is_stale:
            raise Later(0)

    async def _conclude(self, tx: Transaction, owner: Owner, store: Store) -> None:
        done, failed = await self.progress.counts(tx)
        await tx.fetch(UNREADABLE, self.progress.operation_id)
        if failed and not done:
            await self.progress.end(tx, OperationStatus.FAILED, "NOTHING_READ", NOTHING_READ, is_retryable=True)
            return
        if self.kind in WITH_ASSISTANT:
            assistant_id = await configure(tx, owner, store.vector_id, self.options, self.remote.provider.model)
            if assistant_id is None:
                await self.progress.end(tx, OperationStatus.FAILED, "NEEDS_INPUT", NO_EXPERT, is_retryable=True)
                return
            await tx.fetch(ABOUT_ASSISTANT, self.progress.operation_id, assistant_id)
            title = f"Assistant of {owner.title}"
            await self.progress.show(steps=[Step(StepKind.ASSISTANT, "assistant", title, StepStatus.DONE)], tx=tx)
        await self.progress.end(tx, OperationStatus.READY_PARTIAL if failed else OperationStatus.READY)

    async def _fail(self, code: str, message: str) -> None:
        async with self.lease.write() as tx:
            await self.progress.end(tx, OperationStatus.FAILED, code, message)

    async def _row_of(self, vector_id: str | None) -> UUID | None:
        rows = await self.lease.database.primary.fetch(STORE_ID, [vector_id])
        return rows[0]["id"] if rows else None

    def _store(self, id_: UUID, vector_id: str) -> Store:
        return Store(self.remote, self.progress, id_, vector_id)


WITH_ASSISTANT: Final = (OperationKind.PROVISION_CLONE, OperationKind.PROVISION_ASSISTANT)


def _is_right(row: Any, source: Source) -> bool:
    """Whether the file that a store has, or is about to have, holds what the source does."""
    if row["incoming_file_id"]:
        return bool(source.sha256 and row["incoming_sha256"] == source.sha256)
    if not row["file_id"]:
        return False
    return row["sha256"] is None or row["sha256"] == source.sha256


def _step(source: Source, status: StepStatus = StepStatus.PENDING, error: str | None = None) -> Step:
    return Step(StepKind.FILE, source.key, source.title, status, error, source.document_id, source.knowledge_id)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of several errors, as it was raised."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
