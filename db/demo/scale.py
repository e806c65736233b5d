"""How large the demo is: small is the story itself, large repeats it until a benchmark means something."""

from dataclasses import dataclass
from enum import StrEnum


class Scale(StrEnum):
    """The two sizes of the demo."""

    SMALL = "small"
    LARGE = "large"

    @property
    def size(self) -> "Size":
        """The numbers behind the word."""
        return SIZES[self]


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each there are; all other numbers follow."""

    people: int
    visits: int
    """Sessions of a person, in the mean."""
    clones: int
    knowledge: int
    """Pieces of knowledge of a clone, in the mean."""
    memory_days: int
    """Days for which a clone's memory was measured."""
    branches: int
    """How often each domain exists: once for the story, and once for each branch of the schools, clinics and so on."""
    editions: int
    """How many documents are made of each text."""


SIZES = {
    Scale.SMALL: Size(people=60, visits=11, clones=40, knowledge=8, memory_days=14, branches=1, editions=1),
    Scale.LARGE: Size(people=5_200, visits=11, clones=2_000, knowledge=11, memory_days=7, branches=8, editions=10),
}
