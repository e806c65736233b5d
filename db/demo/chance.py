"""Chance that always falls the same way: dice and ids that depend on nothing but a name."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from random import Random
from typing import TypeVar
from uuid import UUID

SEED = "clonegraph demo"


T = TypeVar("T")


class Dice(Random):
    """Random choices, with words for those that the demo makes most often."""

    def maybe(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.random() < probability

    def weighed(self, weights: Mapping[T, int]) -> T:
        """One of the keys, the heavy ones more often."""
        return self.choices(tuple(weights), tuple(weights.values()))[0]


def dice(*name: object) -> Dice:
    """Dice of their own for something with this name, so that changing one thing leaves the others as they were."""
    return Dice(_path(name))


def stable_id(at: datetime, *name: object) -> UUID:
    """The UUIDv7 of something with this name that came into being at this time."""
    digest = int.from_bytes(blake2b(_path(name).encode(), digest_size=10).digest())
    milliseconds = int(at.timestamp() * 1000)
    version, variant = 0x7, 0b10
    return UUID(int=milliseconds << 80 | version << 76 | (digest >> 68) << 64 | variant << 62 | digest & (1 << 62) - 1)


def remote_id(prefix: str, *name: object) -> str:
    """An id as a provider hands them out, such as `file-` or `vs_` and a few hexadecimal digits."""
    return prefix + blake2b(_path((prefix, *name)).encode(), digest_size=12).hexdigest()


def _path(name: tuple[object, ...]) -> str:
    return "/".join((SEED, *map(str, name)))
