"""Where files are kept: a folder, or a bucket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

SCHEME: Final = "storage://"
"""What a link to a file of ours begins with. The key follows."""

PART_BYTES = 5 * 1024 * 1024
MOST_PARTS = 2
"""How much of a file is on its way at a time, and so in memory."""

log = structlog.get_logger()


class StorageUnavailable(Exception):
    """Files cannot be kept just now. Try again in a moment."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Storage:
    """Files by their keys, which are paths in the folder or bucket of a URL.

    Nothing connects before the first file.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> str:
        """Keep a file under a key: all of it, or nothing. Returns the link to it. Raises StorageUnavailable."""
        with _in_our_words():
            await obstore.put_async(self._store, key, pieces, chunk_size=PART_BYTES, max_concurrency=MOST_PARTS)
        return SCHEME + key

    async def delete(self, key: str) -> None:
        """Keep a file no longer, if there is one. Raises StorageUnavailable."""
        with _in_our_words(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    @cached_property
    def _store(self) -> ObjectStore:
        if urlsplit(self.url).scheme == "file":
            return from_url(self.url, mkdir=True)
        return from_url(self.url)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        log.warning("storage_unavailable", reason=str(error))
        raise StorageUnavailable from error
