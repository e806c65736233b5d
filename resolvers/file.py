"""Files that are kept: what is in them is found out, counted and hashed on their way into the storage."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

import structlog

from db.storage import Storage, StorageUnavailable
from resolvers.problems import InvalidInput
from resolvers.provisioning.extraction import DOCX, HEAD_BYTES, HTML, MARKDOWN, PDF, PLAIN, media_type_of

ENDINGS = {PDF: ".pdf", DOCX: ".docx", MARKDOWN: ".md", HTML: ".html", PLAIN: ".txt"}
"""What the key of a file ends with."""

OWN_KEY = re.compile(r"(?:documents|clones/[0-9a-f]{32})/[0-9a-f]{32}(?:\.[a-z0-9]{1,10})?")
LONGEST_PREVIEW = 200
READABLE = "PDF, Word (.docx), Markdown (.md), HTML (.html) and plain text (.txt)"

log = structlog.get_logger()


class Kept(NamedTuple):
    """A file that is kept. link: how rows tell where it is. preview: its first words, if they can be read at once."""

    key: str
    link: str
    sha256: str
    size_bytes: int
    media_type: str
    preview: str | None


async def keep(
    storage: Storage, folder: str, name: str, pieces: AsyncIterator[bytes], *path: str, media_type: str | None = None
) -> Kept:
    """Keep a file in a folder, under a key that no file had before. path: of the file in the input.

    media_type: what it is, if that is known. Raises InvalidInput where there is nothing in it, or nothing that can be
    read, and StorageUnavailable.
    """
    head = await _head(pieces)
    if not head:
        raise InvalidInput("The file is empty.", *path)
    media_type = media_type or media_type_of(name, head[:HEAD_BYTES])
    if media_type is None:
        raise InvalidInput(f"This file cannot be read. What can be: {READABLE}, under a name that ends so.", *path)
    hashed, size = hashlib.sha256(), 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal size
        async for piece in _again(head, pieces):
            hashed.update(piece)
            size += len(piece)
            yield piece

    key = f"{folder}/{uuid4().hex}{ENDINGS[media_type]}"
    try:
        link = await storage.put(key, counted(), media_type)
    except asyncio.CancelledError:
        await drop(storage, key)
        raise
    preview = preview_of(head[:HEAD_BYTES].decode(errors="ignore")) if media_type in (MARKDOWN, PLAIN) else None
    return Kept(key, link, hashed.hexdigest(), size, media_type, preview)


async def drop(storage: Storage, key: str | None) -> None:
    """Keep a file no longer, if it is one that was kept here: other programs' files are theirs, and may be shared."""
    if key is None or not OWN_KEY.fullmatch(key):
        return
    try:
        await storage.delete(key)
    except StorageUnavailable:
        log.warning("file_without_row", key=key)


@asynccontextmanager
async def writing(storage: Storage, kept: Kept | None) -> AsyncIterator[Callable[[], None]]:
    """A block that commits the row of a file. If it fails, the file is deleted.

    What it gives is called when only the commit is left: if that fails, nobody knows whether the row is there.
    """
    is_written = False

    def written() -> None:
        nonlocal is_written
        is_written = True

    try:
        yield written
    except BaseException:
        if kept and is_written:
            log.warning("file_uncertain", key=kept.key)
        elif kept:
            await drop(storage, kept.key)
        raise


def preview_of(text: str) -> str | None:
    """The first words of a text."""
    words = " ".join(text.replace("\0", " ").split())
    if len(words) <= LONGEST_PREVIEW:
        return words or None
    return words[: LONGEST_PREVIEW - 1].rpartition(" ")[0] + "…"


async def _head(pieces: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for piece in pieces:
        head += piece
        if len(head) >= HEAD_BYTES:
            break
    return head


async def _again(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece
