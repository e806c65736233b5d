"""Drift: what is at the provider and not in the database, or the other way round, and how it is mended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from db import OperationStatus, StepKind, StepStatus
from db.engine import Database
from resolvers.provisioning.account import Account
from resolvers.provisioning.lease import Lease
from resolvers.provisioning.operation import request_sync_of_store
from resolvers.provisioning.progress import Progress, Step
from resolvers.provisioning.provider import Provider
from resolvers.provisioning.remote import Found, Remote
from resolvers.services import Services

YOUNG: Final = timedelta(minutes=10)
"""How old something must be to count as forgotten: what is younger may be on its way."""

KEPT = """
    SELECT remote.kind, name, remote_id, op_key, state, remote.updated_at < clock_timestamp() - $2::interval AS is_old,
        state <> 'live' AND operations.id IS NOT NULL AND ended_at IS NULL AS is_under_way
    FROM remote_objects AS remote LEFT JOIN operations ON operations.id = operation_id
    WHERE provider = $1 AND state <> 'gone'
"""
GONE = "UPDATE remote_objects SET state = 'gone' WHERE provider = $1 AND remote_id = $2"
STORES_WITH = """
    SELECT DISTINCT store.id FROM vector_stores AS store LEFT JOIN store_files AS file ON vector_store_id = store.id
    WHERE vector_id = $1 OR $1 IN (file.file_id, file.incoming_file_id)
"""
LOSE_FILE = """
    UPDATE store_files SET file_id = nullif(file_id, $1), sha256 = NULL, status = 'pending',
        incoming_file_id = nullif(incoming_file_id, $1),
        incoming_sha256 = CASE WHEN incoming_file_id = $1 THEN NULL ELSE incoming_sha256 END
    WHERE $1 IN (file_id, incoming_file_id)
"""


class Difference(NamedTuple):
    """Something in which the provider and the database differ.

    is_orphan: whether only the provider has it, under our name; else only the database has. kind: `file` or `store`.
    subject: what it was made for, if that is known.
    """

    is_orphan: bool
    kind: str
    remote_id: str
    name: str
    subject: str | None


async def differences(database: Database, provider: Provider, instance: str) -> list[Difference]:
    """In what the provider and the database differ. What was made a moment ago is left out."""
    account = Account(database, provider.name)
    async with account.act():
        files = [Found(each.id, each.name, each.created_at) async for each in provider.files()]
    async with account.act():
        stores = [each async for each in provider.stores()]
    known = await database.primary.fetch(KEPT, [provider.name, YOUNG])
    ids = {row["remote_id"] for row in known}
    names = {row["name"] for row in known if row["is_under_way"]}
    there = {each.id for each in files} | {each.id for each in stores}
    tagged = [("file", each) for each in files if each.name.startswith(f"{instance}.")]
    tagged += [
        ("store", Found(each.id, each.tags.get("name", ""), each.created_at))
        for each in stores
        if each.tags.get("instance") == instance
    ]
    eldest = datetime.now(UTC) - YOUNG
    orphans = [
        Difference(True, kind, each.id, each.name, None)
        for kind, each in tagged
        if each.id not in ids and each.name not in names and each.created_at < eldest
    ]
    missing = [
        Difference(False, row["kind"], row["remote_id"], row["name"], row["op_key"])
        for row in known
        if row["state"] == "live" and row["is_old"] and row["remote_id"] not in there
    ]
    return [*orphans, *missing]


class Repair:
    """One worker's turn at mending the differences."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self.services = services
        self.lease = lease
        self.remote = Remote(services.provider, lease, services.instance)
        self.progress = Progress(lease)

    async def run(self) -> None:
        """Delete what nobody knows, and have what is missing made anew."""
        found: Sequence[Difference] = await differences(
            self.lease.database, self.services.provider, self.services.instance
        )
        for place, each in enumerate(found):
            if each.is_orphan:
                await self._delete(each)
            else:
                await self._make_anew(each)
            step = Step(StepKind.REMOVAL, each.remote_id, each.name, StepStatus.DONE)
            await self.progress.show(OperationStatus.DELETING, (place + 1) / len(found), steps=[step])
        async with self.lease.write() as tx:
            await self.progress.end(tx, OperationStatus.READY)

    async def _delete(self, orphan: Difference) -> None:
        provider = self.services.provider
        delete = provider.delete_file if orphan.kind == "file" else provider.delete_store
        await self.remote.act(lambda: delete(orphan.remote_id))

    async def _make_anew(self, missing: Difference) -> None:
        async with self.lease.write() as tx:
            stores = await tx.fetch(STORES_WITH, missing.remote_id)
            await tx.fetch(GONE, self.services.provider.name, missing.remote_id)
            if missing.kind == "file":
                await tx.fetch(LOSE_FILE, missing.remote_id)
            for row in stores:
                await request_sync_of_store(tx, row["id"], actor=self.lease.operation["actor"])
