"""Files that come with a request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, eq=False)
class Upload:
    """A file that a client sends. It is gone when the request is answered.

    name: what the client calls it, which can be anything.
    """

    name: str
    size_bytes: int
    read: Callable[[int], Awaitable[bytes]]
    seek: Callable[[int], Awaitable[None]]

    async def pieces(self) -> AsyncIterator[bytes]:
        """What is in it, piece by piece."""
        await self.seek(0)
        while piece := await self.read(PIECE_BYTES):
            yield piece
