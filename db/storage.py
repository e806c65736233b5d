"""Where files are kept: a folder, or a bucket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

SCHEME: Final = "storage://"
"""What a link to a file of ours begins with. The key follows."""

PART_BYTES = 5 * 1024 * 1024
MOST_PARTS = 2
"""How much of a file is on its way at a time, and so in memory."""
PIECE_BYTES = 1024 * 1024
"""How much of a file is read at a time."""

log = structlog.get_logger()


class StorageUnavailable(Exception):
    """Files cannot be kept just now. Try again in a moment."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class FileMissing(Exception):
    """There is no file under this key."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Storage:
    """Files by their keys, which are paths in the folder or bucket of a URL.

    Nothing connects before the first file.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @staticmethod
    def key_of(link: str | None) -> str | None:
        """The key in a link to a file of ours; None if it leads elsewhere."""
        return link.removeprefix(SCHEME) if link and link.startswith(SCHEME) else None

    async def put(self, key: str, pieces: AsyncIterator[bytes], media_type: str = "application/octet-stream") -> str:
        """Keep a file under a key: all of it, or nothing. Returns the link to it. Raises StorageUnavailable.

        media_type: what a bucket says of it, to be saved and never to be shown.
        """
        told = {"Content-Type": media_type, "Content-Disposition": "attachment"}
        with _in_our_words():
            await obstore.put_async(
                self._store,
                key,
                pieces,
                attributes=None if self._folder else told,
                chunk_size=PART_BYTES,
                max_concurrency=MOST_PARTS,
            )
        return SCHEME + key

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """What is in a file, piece by piece. Raises FileMissing and StorageUnavailable."""
        with _in_our_words(), _missing():
            file = await obstore.get_async(self._store, key)
            async for piece in file.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    async def head(self, key: str) -> int:
        """The size of a file, in bytes. Raises FileMissing and StorageUnavailable."""
        with _in_our_words(), _missing():
            return int((await obstore.head_async(self._store, key))["size"])

    async def exists(self, key: str) -> bool:
        """Whether there is a file under this key. Raises StorageUnavailable."""
        try:
            await self.head(key)
        except FileMissing:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Keep a file no longer, if there is one. Raises StorageUnavailable."""
        with _in_our_words(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def signed_url(self, key: str, seconds: float) -> str | None:
        """An address where everybody can read a file for this long; None where files are in a folder.

        Raises StorageUnavailable. Nobody looks whether there is a file.
        """
        if self._folder is not None:
            return None
        with _in_our_words():
            return str(await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds)))  # type: ignore[call-overload]

    def path(self, key: str) -> Path:
        """Where a file is in the folder. Raises FileMissing where it is not, or where there is no folder."""
        if self._folder is not None:
            path = (self._folder / key).resolve()
            if path.is_relative_to(self._folder) and path.is_file():
                return path
        raise FileMissing

    @cached_property
    def _folder(self) -> Path | None:
        """Where files are, unless they are in a bucket."""
        parts = urlsplit(self.url)
        return Path(url2pathname(parts.path)).resolve() if parts.scheme == "file" else None

    @cached_property
    def _store(self) -> ObjectStore:
        if urlsplit(self.url).scheme == "file":
            return from_url(self.url, mkdir=True)
        return from_url(self.url)


@contextmanager
def _missing() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ValueError) as error:  # a key that no file can have
        raise FileMissing from error


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        log.warning("storage_unavailable", reason=str(error))
        raise StorageUnavailable from error
