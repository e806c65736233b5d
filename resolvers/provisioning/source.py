"""Sources: what a vector store is to hold.

These are documents, what a clone knows, and its questions with their answers, on one sheet.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from db.engine import Database
from db.storage import FileMissing, Storage
from resolvers.provisioning.extraction import SUPPORTED
from resolvers.provisioning.owner import Owner
from resolvers.provisioning.provider import Content

DOCUMENTS = """
    SELECT 'document:' || documents.id AS key, name AS title, document_link AS link, sha256, media_type,
        documents.id AS document_id, NULL::uuid AS knowledge_id
    FROM documents
    WHERE deleted_at IS NULL AND (
        EXISTS (
            SELECT FROM store_files AS file JOIN vector_stores AS store ON store.id = vector_store_id
            WHERE store.vector_id = $1 AND file.document_id = documents.id AND removed_at IS NULL)
        OR documents.id = ANY ($2::uuid[])
        OR $3 AND domain = $4 AND included_in_default
        OR $5 AND domain = $4 AND documents.client_name = $6)
    ORDER BY name
"""
KNOWLEDGE = """
    SELECT 'knowledge:' || id AS key, title, file_url AS link, sha256, file_type AS media_type,
        NULL::uuid AS document_id, id AS knowledge_id
    FROM knowledge WHERE clone_id = $1 AND deleted_at IS NULL ORDER BY created_at, id
"""
QUESTIONS = "SELECT question, answer FROM clone_qa_data WHERE clone_id = $1 AND is_active ORDER BY created_at, id"

SHEET: Final = "Questions and answers"
UNSUITABLE: Final = "The file is not kept here ({link}). Upload it again, and it is read."
MISSING: Final = "The file is not in the storage any more. Upload it again."
ENDINGS: Final[Mapping[str, str]] = {media_type: ending for ending, media_type in reversed(list(SUPPORTED.items()))}
"""The ending that tells a provider what is in a file of a media type."""


class Unreadable(Exception):
    """What a source is made of cannot be had. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that a store is to hold.

    key: what it is, as remote objects are made for it. link: where its file is. text: what is in it, if it has no file.
    sha256: of what is in it; None until somebody has read it.
    """

    key: str
    title: str
    link: str | None = None
    text: str | None = None
    sha256: str | None = None
    media_type: str | None = None
    document_id: UUID | None = None
    knowledge_id: UUID | None = None
    clone_id: UUID | None = None

    @property
    def file_name(self) -> str:
        """What its file is called at a provider, by what people call it, with an ending that says what is in it."""
        ending = ENDINGS.get(self.media_type or "", "." + (self.link or "").rpartition("/")[2].rpartition(".")[2])
        return self.title + (ending if ending in SUPPORTED else ".md")

    async def read(self, storage: Storage) -> "tuple[Source, Content]":
        """What is in it, and the source with its hash. Raises Unreadable, and StorageUnavailable."""
        if self.text is not None:
            return self, Content("text/markdown", len(self.text.encode()), self._pieces_of_text)
        link = self.link or ""
        key = Storage.key_of(link)
        if key is None:
            raise Unreadable(UNSUITABLE.format(link=link or "there is no link to it"))

        def pieces() -> AsyncIterator[bytes]:
            return storage.get(key)

        try:
            size = await storage.head(key)
            sha256 = self.sha256 or await _hash(pieces())
        except FileMissing:
            raise Unreadable(MISSING) from None
        return replace(self, sha256=sha256), Content(self.media_type or "application/octet-stream", size, pieces)

    async def _pieces_of_text(self) -> AsyncIterator[bytes]:
        yield (self.text or "").encode()


async def sources(database: Database, owner: Owner, *, document_ids: list[UUID] | None, is_new: bool) -> list[Source]:
    """What the store of an owner is to hold.

    document_ids: documents that were asked for. is_new: whether the owner decides by default what is in the store: a
    domain always does, the others when their store is filled for the first time and nothing was asked for.
    """
    kind = owner.subject.kind
    by_default = kind == "domain" or (kind == "expert" and is_new and document_ids is None)
    found = await database.primary.fetch(
        DOCUMENTS,
        [
            owner.vector_id,
            document_ids or [],
            by_default,
            owner.domain_name,
            kind == "client" and is_new and document_ids is None,
            owner.client_name,
        ],
    )
    if owner.clone_id is None or kind != "clone":
        return [Source(**row) for row in found]
    found += await database.primary.fetch(KNOWLEDGE, [owner.clone_id])
    pairs = await database.primary.fetch(QUESTIONS, [owner.clone_id])
    return [*(Source(**row) for row in found), *([_sheet(owner, pairs)] if pairs else [])]


def _sheet(owner: Owner, pairs: list[Any]) -> Source:
    text = "\n\n".join((f"# {SHEET}: {owner.title}", *(f"## {row['question']}\n\n{row['answer']}" for row in pairs)))
    return Source(
        key=f"questions:{owner.clone_id}",
        title=SHEET,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        media_type="text/markdown",
        clone_id=owner.clone_id,
    )


async def _hash(pieces: AsyncIterator[bytes]) -> str:
    hashed = hashlib.sha256()
    async for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()
