"""Files and stores at the provider.

Each is written down before it is made, looked for before it is made again, and forgotten only when it is gone.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from db.transaction import Transaction
from resolvers.provisioning.account import Account
from resolvers.provisioning.lease import Lease
from resolvers.provisioning.provider import Content, Provider, ProviderAway

CLOCKS_APART: Final = timedelta(minutes=10)
"""How far the provider's clock may be from ours."""

LONGEST_SLUG: Final = 80

INTEND = """
    INSERT INTO remote_objects (id, provider, kind, op_key, name, sha256, operation_id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
    ON CONFLICT (provider, op_key) WHERE state <> 'gone' DO NOTHING
"""
FIND = """
    SELECT remote.id, remote.name, remote.remote_id, remote.state, remote.created_at,
        remote.operation_id <> $3 AND operations.ended_at IS NULL AS is_of_another
    FROM remote_objects AS remote LEFT JOIN operations ON operations.id = remote.operation_id
    WHERE provider = $1 AND op_key = $2 AND state <> 'gone' FOR UPDATE OF remote
"""
TAKE = "UPDATE remote_objects SET operation_id = $2 WHERE id = $1"
KEEP = "UPDATE remote_objects SET remote_id = $2, state = 'live' WHERE id = $1"
ADOPT = """
    INSERT INTO remote_objects (provider, kind, op_key, name, remote_id, state, operation_id)
    VALUES ($1, $2, 'adopted:' || $3, $3, $3, 'live', $4)
    ON CONFLICT (provider, remote_id) DO UPDATE SET operation_id = excluded.operation_id
"""
CONDEMN = """
    UPDATE remote_objects SET state = 'deleting', operation_id = $3
    WHERE provider = $1 AND remote_id = $2 AND state <> 'gone' AND (kind <> 'file' OR NOT EXISTS (
        SELECT FROM store_files WHERE removed_at IS NULL AND (file_id = $2 OR incoming_file_id = $2)
    ))
    RETURNING kind
"""
FORGET = "UPDATE remote_objects SET state = 'gone' WHERE provider = $1 AND remote_id = $2 AND state = 'deleting'"
CONDEMNED = """
    SELECT kind, remote_id FROM remote_objects WHERE provider = $1 AND operation_id = $2 AND state = 'deleting'
"""
UNUSED = """
    SELECT remote_id FROM remote_objects AS remote
    WHERE provider = $1 AND kind = 'file' AND state = 'live' AND operation_id = $2 AND NOT EXISTS (
        SELECT FROM store_files WHERE file_id = remote_id OR incoming_file_id = remote_id
    )
"""
OURS = "SELECT name, remote_id FROM remote_objects WHERE provider = $1 AND operation_id = $2"


class Busy(Exception):
    """Another operation makes or deletes the same thing at this moment."""


class Found(NamedTuple):
    """A thing at the provider, by the name that we gave it."""

    id: str
    name: str
    created_at: datetime


class Wanted(NamedTuple):
    """A thing that is to be at the provider. title: what people call it. sha256: of a file."""

    kind: str
    op_key: str
    title: str
    sha256: str | None = None


class Remote:
    """What an operation does at the provider, as long as it has its lease.

    is_certain: whether every act until now was answered, and by this worker: then nothing can be there twice.
    """

    def __init__(self, provider: Provider, lease: Lease, instance: str) -> None:
        self.provider = provider
        self.lease = lease
        self.instance = instance
        self.account = Account(lease.database, provider.name)
        self.is_certain = lease.operation["fence"] == 1

    @property
    def operation_id(self) -> UUID:
        """The operation's id."""
        id_: UUID = self.lease.operation["id"]
        return id_

    async def file(self, op_key: str, sha256: str, title: str, content: Content) -> str:
        """The id of the file for this key, which is made if there is none."""
        wanted = Wanted("file", op_key, title, sha256)
        return await self._ensure(wanted, lambda name: self.provider.put_file(name, content))

    async def store(self, op_key: str, title: str, save: Callable[[Transaction, str], Awaitable[Any]]) -> str:
        """The id of the store for this key, which is made if there is none. save: writes down what comes with it."""

        async def make(name: str) -> str:
            return await self.provider.make_store(title, {"instance": self.instance, "name": name, "owner": op_key})

        return await self._ensure(Wanted("store", op_key, title), make, save)

    async def act(self, act: Callable[[], Awaitable[Any]]) -> Any:
        """What one act gives, if it may be done now. Raises what the port says, LeaseLost, Cancelled and Parked."""
        self.lease.check()
        async with self.account.act():
            self.lease.check()
            return await act()

    async def delete(self, remote_id: str) -> None:
        """Delete a file that no store is to hold, or a store; nothing, if a store is to hold it."""
        async with self.lease.write() as tx:
            row = await tx.row(CONDEMN, self.provider.name, remote_id, self.operation_id)
        if row:
            await self._delete(row["kind"], remote_id)

    async def adopt(self, tx: Transaction, kind: str, remote_id: str) -> None:
        """Write down a thing, if another program made it, and that this operation sees to it from now on."""
        await tx.fetch(ADOPT, self.provider.name, kind, remote_id, self.operation_id)

    async def finish_deletions(self) -> None:
        """Delete what was to be deleted before a crash."""
        for row in await self._rows(CONDEMNED):
            await self._delete(row["kind"], row["remote_id"])

    async def delete_unused(self) -> None:
        """Delete the files that were made for nothing, when each store has what it is to hold."""
        for row in await self._rows(UNUSED):
            await self.delete(row["remote_id"])

    async def tidy(self) -> None:
        """Delete what was made twice, because an answer was lost or another worker had begun."""
        if self.is_certain:
            return
        kept = {row["name"]: row["remote_id"] for row in await self._rows(OURS)}
        for kind in ("file", "store"):
            for found in await self._list(kind, self.lease.operation["created_at"]):
                if found.name in kept and found.id != kept[found.name]:
                    await self.act(partial(self._removal, kind, found.id))
        self.is_certain = True

    async def _ensure(
        self,
        wanted: "Wanted",
        make: Callable[[str], Awaitable[str]],
        save: Callable[[Transaction, str], Awaitable[Any]] | None = None,
    ) -> str:
        id_ = uuid4()
        kind, op_key, title, sha256 = wanted
        name = self._name(id_, title)
        async with self.lease.write() as tx:
            await tx.fetch(INTEND, id_, self.provider.name, kind, op_key, name, sha256, self.operation_id)
            row = await tx.row(FIND, self.provider.name, op_key, self.operation_id)
            if row is None or row["is_of_another"]:
                raise Busy
            await tx.fetch(TAKE, row["id"], self.operation_id)
        if row["state"] == "deleting":
            await self._delete(kind, row["remote_id"])
            return await self._ensure(wanted, make, save)
        remote_id = row["remote_id"]
        if row["state"] == "intended":
            is_new = row["id"] == id_
            remote_id = None if is_new else await self._look(kind, row["name"], row["created_at"])
            remote_id = remote_id or await self._make(kind, row["name"], row["created_at"], make)
        async with self.lease.write() as tx:
            await tx.fetch(KEEP, row["id"], remote_id)
            if save:
                await save(tx, remote_id)
        return str(remote_id)

    async def _make(self, kind: str, name: str, since: datetime, make: Callable[[str], Awaitable[str]]) -> str:
        """The id of a new thing. When the answer is lost, it is looked for, and then made once more at most."""
        try:
            return str(await self.act(lambda: make(name)))
        except ProviderAway:
            self.is_certain = False
            found = await self._look(kind, name, since)
            return found or str(await self.act(lambda: make(name)))

    async def _look(self, kind: str, name: str, since: datetime) -> str | None:
        """The id of the thing of this name, if there is one."""
        return next((found.id for found in await self._list(kind, since) if found.name == name), None)

    async def _list(self, kind: str, since: datetime) -> list[Found]:
        """What was made since, the newest first."""

        async def gather() -> list[Found]:
            found = []
            async for each in self._files() if kind == "file" else self._stores():
                if each.created_at < since - CLOCKS_APART:
                    break
                found.append(each)
            return found

        listed: list[Found] = await self.act(gather)
        return listed

    async def _files(self) -> AsyncIterator[Found]:
        async for file in self.provider.files():
            yield Found(file.id, file.name, file.created_at)

    async def _stores(self) -> AsyncIterator[Found]:
        async for store in self.provider.stores():
            if store.tags.get("instance") == self.instance:
                yield Found(store.id, store.tags.get("name", ""), store.created_at)

    async def _delete(self, kind: str, remote_id: str) -> None:
        await self.act(lambda: self._removal(kind, remote_id))
        async with self.lease.write() as tx:
            await tx.fetch(FORGET, self.provider.name, remote_id)

    def _removal(self, kind: str, remote_id: str) -> Awaitable[None]:
        return self.provider.delete_file(remote_id) if kind == "file" else self.provider.delete_store(remote_id)

    async def _rows(self, statement: str) -> list[Any]:
        return await self.lease.database.primary.fetch(statement, [self.provider.name, self.operation_id])

    def _name(self, id_: UUID, title: str) -> str:
        """What a thing is called there: whose it is, which of our rows, and what people call it, with its ending."""
        path = PurePosixPath(title)
        ending = path.suffix.lower() if re.fullmatch(r"\.[a-z0-9]{1,10}", path.suffix.lower()) else ""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", title.removesuffix(path.suffix) if ending else title).strip("-")
        return f"{self.instance}.{id_.hex}.{slug[:LONGEST_SLUG] or 'untitled'}{ending}"
