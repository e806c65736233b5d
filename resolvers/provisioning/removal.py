"""Removal: what is at the provider because of something goes, and then the rows.

Like provisioning it is done from the beginning each time, and a row goes last: what it says is what is left to do.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from db import OperationKind, OperationStatus, StepKind, StepStatus
from db.storage import Storage
from resolvers.file import drop
from resolvers.provisioning.lease import Lease
from resolvers.provisioning.owner import Subject, find_owner
from resolvers.provisioning.progress import Later, Progress, Step
from resolvers.provisioning.provider import ProviderRefused
from resolvers.provisioning.remote import Remote
from resolvers.services import Services

STORES = {
    "domain": "domain_name = (SELECT domain_name FROM domains WHERE id = $1)",
    "expert": "expert_name = (SELECT name FROM experts WHERE id = $1)",
}
STORES_IN = """
    SELECT id, vector_id, coalesce(provider, 'openai') AS provider FROM vector_stores WHERE {where}
    ORDER BY created_at, id
"""
DOCUMENTS = {
    "domain": "domain = (SELECT domain_name FROM domains WHERE id = $1)",
    "document": "id = $1",
}
DOCUMENTS_IN = "SELECT id, name, document_link, openai_file_id FROM documents WHERE {where} ORDER BY name"

LOCK_OUT = "SELECT count(*) AS number FROM operations WHERE ended_at IS NULL AND id <> $1 AND vector_store_id = $2"
EMPTY = "UPDATE store_files SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE vector_store_id = $1"
HELD = """
    SELECT DISTINCT file_id FROM (
        SELECT unnest(ARRAY[file_id, incoming_file_id]) AS file_id FROM store_files WHERE vector_store_id = $1
        UNION SELECT remote_id FROM remote_objects JOIN operations ON operations.id = operation_id
        WHERE vector_store_id = $1 AND provider = $2 AND remote_objects.kind = 'file' AND state = 'live'
    ) AS held WHERE file_id IS NOT NULL
"""
NOT_KNOWN = """
    UPDATE knowledge SET vector_store_id = NULL, openai_file_id = NULL, processing_status = 'pending'
    WHERE vector_store_id = $1
"""
NOT_ANSWERING = """
    WITH going AS (
        DELETE FROM assistants WHERE vector_id = $1 AND config_id IS NOT NULL AND memory_type <> 'domain'
            AND NOT EXISTS (SELECT FROM clones WHERE rag_assistant_id = assistant_id AND vector_store_id <> $1)
        RETURNING assistant_id
    )
    UPDATE clones SET rag_assistant_id = NULL FROM going WHERE rag_assistant_id = assistant_id
"""
NOT_SEARCHED = "UPDATE assistants SET vector_id = NULL WHERE vector_id = $1"
NOT_OWNED = "UPDATE clones SET vector_store_id = NULL, openai_file_ids = '{}' WHERE vector_store_id = $1"
NO_STORE = "DELETE FROM vector_stores WHERE vector_id = $1"
DROP_STORE = (NOT_KNOWN, NOT_ANSWERING, NOT_SEARCHED, NOT_OWNED, NO_STORE)
GONE = "SELECT remote_id FROM remote_objects WHERE provider = $1 AND remote_id = ANY ($2::text[]) AND state = 'gone'"
NOT_SENT = "UPDATE documents SET openai_file_id = NULL WHERE openai_file_id = ANY ($1::text[])"

OF_DOCUMENT = """
    SELECT file.id, vector_store_id, vector_id, file_id, incoming_file_id, coalesce(provider, 'openai') AS provider
    FROM store_files AS file JOIN vector_stores AS store ON store.id = vector_store_id WHERE document_id = $1
"""
FILES_OF_DOCUMENT = """
    SELECT remote_id FROM remote_objects
    WHERE provider = $1 AND kind = 'file' AND state = 'live' AND op_key LIKE $2 || ':%'
"""
MARK_DOCUMENT = "UPDATE store_files SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE document_id = $1"
ANNOY = """
    UPDATE operations SET is_stale = true WHERE ended_at IS NULL AND id <> $1 AND vector_store_id = ANY ($2::uuid[])
"""
DELETE_ROW = {
    "document": "DELETE FROM documents WHERE id = $1",
    "domain": "DELETE FROM domains WHERE id = $1",
    "expert": "DELETE FROM experts WHERE id = $1",
}
ELSEWHERE: Final = (
    "It is at the provider {there}, and this gateway works with {here}. Set PROVIDER={there}, and try again."
)


class Removal:
    """One worker's turn at the removal of something."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self.services = services
        self.lease = lease
        self.subject = Subject.parse(lease.operation["subject"])
        self.remote = Remote(services.provider, lease, services.instance)
        self.progress = Progress(lease)

    async def run(self) -> None:
        """Bring it as far as it goes now. Raises Later, and whatever the port says is in the way."""
        await self.progress.show(OperationStatus.DELETING)
        stores, documents = await self._stores(), await self._documents()
        await self.remote.finish_deletions()
        number = len(stores) + len(documents) or 1
        for place, store in enumerate(stores):
            await self._remove_store(store)
            await self.progress.show(part=(place + 1) / number)
        for place, document in enumerate(documents):
            await self._remove_document(document)
            await self.progress.show(part=(len(stores) + place + 1) / number)
        await self.remote.tidy()
        async with self.lease.write() as tx:
            if self._is_deletion and self.subject.kind in DELETE_ROW:
                await tx.fetch(DELETE_ROW[self.subject.kind], self.subject.id)
            await self.progress.end(tx, OperationStatus.DELETED)
        if self._is_deletion:
            for document in documents:
                await drop(self.services.storage, Storage.key_of(document["document_link"]))

    @property
    def _is_deletion(self) -> bool:
        """Whether rows are deleted with what is at the provider."""
        return bool(self.lease.operation["kind"] == OperationKind.DELETE)

    async def _stores(self) -> Sequence[Any]:
        """The stores that are to go: all that belong to it, or the one that was made for it."""
        if self._is_deletion and self.subject.kind in STORES:
            return await self._fetch(STORES_IN.format(where=STORES[self.subject.kind]), self.subject.id)
        owner = await find_owner(self.lease.database, self.subject, self.remote.provider.name)
        if self._is_deletion or owner is None or owner.vector_id is None:
            return ()
        return await self._fetch(STORES_IN.format(where="vector_id = $1"), owner.vector_id)

    async def _documents(self) -> Sequence[Any]:
        """The documents that are to go."""
        if not self._is_deletion or self.subject.kind not in DOCUMENTS:
            return ()
        return await self._fetch(DOCUMENTS_IN.format(where=DOCUMENTS[self.subject.kind]), self.subject.id)

    async def _remove_store(self, row: Any) -> None:
        """Delete a store, the files that no other store holds, and then the rows."""
        self._require_here(row["provider"])
        step = Step(StepKind.REMOVAL, f"store:{row['id']}", f"Vector store {row['vector_id']}", StepStatus.RUNNING)
        async with self.lease.write() as tx:
            others = await tx.row(LOCK_OUT, self.progress.operation_id, row["id"])
            if others and others["number"]:
                raise Later(1)
            await tx.fetch(EMPTY, row["id"])
            held = [each["file_id"] for each in await tx.fetch(HELD, row["id"], self.remote.provider.name)]
            await self.remote.adopt(tx, "store", row["vector_id"])
            for file_id in held:
                await self.remote.adopt(tx, "file", file_id)
            await self.progress.show(steps=[step], tx=tx)
        await self.remote.delete(row["vector_id"])
        for file_id in held:
            await self.remote.delete(file_id)
        async with self.lease.write() as tx:
            for statement in DROP_STORE:
                await tx.fetch(statement, row["vector_id"])
            gone = await tx.fetch(GONE, self.remote.provider.name, held)
            await tx.fetch(NOT_SENT, [each["remote_id"] for each in gone])
            done = Step(step.kind, step.key, step.title, StepStatus.DONE)
            await self.progress.show(steps=[done], tx=tx)

    async def _remove_document(self, document: Any) -> None:
        """Take a document out of every store, and delete its files."""
        key = f"document:{document['id']}"
        step = Step(StepKind.REMOVAL, key, document["name"], StepStatus.RUNNING)
        async with self.lease.write() as tx:
            await tx.fetch(MARK_DOCUMENT, document["id"])
            rows = await tx.fetch(OF_DOCUMENT, document["id"])
            for row in rows:
                self._require_here(row["provider"])
            await tx.fetch(ANNOY, self.progress.operation_id, [row["vector_store_id"] for row in rows])
            held = {row[name] for row in rows for name in ("file_id", "incoming_file_id")}
            held = {each for each in (*held, document["openai_file_id"]) if each}
            for file_id in held:
                await self.remote.adopt(tx, "file", file_id)
            made = await tx.fetch(FILES_OF_DOCUMENT, self.remote.provider.name, key)
            await self.progress.show(steps=[step], tx=tx)
        for row in rows:
            await self._take_out(row)
        for file_id in held | {row["remote_id"] for row in made}:
            await self.remote.delete(file_id)
        done = Step(step.kind, step.key, step.title, StepStatus.DONE)
        await self.progress.show(steps=[done])

    async def _take_out(self, row: Any) -> None:
        for file_id in filter(None, (row["file_id"], row["incoming_file_id"])):
            await self.remote.act(partial(self.remote.provider.detach, row["vector_id"], file_id))

    def _require_here(self, provider: str) -> None:
        """Raise ProviderRefused if something is at another provider than ours."""
        if provider != self.remote.provider.name:
            raise ProviderRefused(ELSEWHERE.format(there=provider, here=self.remote.provider.name))

    async def _fetch(self, statement: str, *arguments: Any) -> list[Any]:
        return await self.lease.database.primary.fetch(statement, arguments)
