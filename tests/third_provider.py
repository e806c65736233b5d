"""A third provider, in one file: everything is in memory, and an answer says how many words the question had."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from db import FileStatus
from resolvers.provisioning.provider import (
    Answer,
    Began,
    Content,
    Delta,
    Event,
    Gone,
    Member,
    Passage,
    Question,
    RemoteFile,
    RemoteStore,
)


class Counting:
    """A provider that counts words."""

    name = "counting"
    model = "abacus"
    is_generative = True

    def __init__(self) -> None:
        self.kept: dict[str, tuple[RemoteFile, str]] = {}
        self.made: dict[str, RemoteStore] = {}
        self.held: dict[str, set[str]] = {}

    async def put_file(self, name: str, content: Content) -> str:
        id_ = f"c-file-{uuid4().hex}"
        text = b"".join([piece async for piece in content.pieces()]).decode()
        self.kept[id_] = RemoteFile(id_, name, datetime.now(UTC)), text
        return id_

    async def files(self) -> AsyncIterator[RemoteFile]:
        for file, _ in reversed(self.kept.values()):
            yield file

    async def delete_file(self, file_id: str) -> None:
        self.kept.pop(file_id, None)
        for held in self.held.values():
            held.discard(file_id)

    async def make_store(self, title: str, tags: Mapping[str, str]) -> str:
        id_ = f"c-store-{uuid4().hex}"
        self.made[id_], self.held[id_] = RemoteStore(id_, tags, datetime.now(UTC)), set()
        return id_

    async def stores(self) -> AsyncIterator[RemoteStore]:
        for store in reversed(self.made.values()):
            yield store

    async def delete_store(self, store_id: str) -> None:
        self.made.pop(store_id, None)
        self.held.pop(store_id, None)

    async def attach(self, store_id: str, file_ids: Sequence[str]) -> str | None:
        self.held[store_id].update(file_ids)
        return None

    async def status(self, store_id: str) -> Sequence[Member]:
        if store_id not in self.held:
            raise Gone("There is no such store.")
        return [Member(each, FileStatus.COMPLETED) for each in self.held[store_id]]

    async def detach(self, store_id: str, file_id: str) -> None:
        self.held.get(store_id, set()).discard(file_id)

    async def search(self, store_ids: Sequence[str], query: str, most: int) -> Sequence[Passage]:
        held = {file_id for store_id in store_ids for file_id in self.held.get(store_id, ())}
        return [
            Passage(file.id, file.name, text, float(text.count(query)))
            for file, text in self.kept.values()
            if file.id in held and query in text
        ][:most]

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        id_, text = f"c-{uuid4().hex}", f"{len(question.text.split())} words."
        yield Began(id_)
        yield Delta(text)
        yield Answer(id_, text, self.model, passages=await self.search(question.store_ids, question.text, 5))

    async def recall(self, response_id: str) -> Answer | None:
        return None

    async def close(self) -> None:
        pass
