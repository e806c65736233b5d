"""What a text of the input must be like."""

from collections.abc import Iterator

from resolvers.problems import InvalidInput, Problem

NUL = "\0"


def faults(text: str, *path: str, most: int, blank: bool = False) -> Iterator[Problem]:
    """What is wrong with a text. blank: whether it may have nothing in it."""
    if not blank and not text.strip():
        yield InvalidInput("This must not be empty.", *path)
    if len(text) > most:
        yield InvalidInput(f"This may have {most} characters at most, and has {len(text)}.", *path)
    if NUL in text:
        yield InvalidInput("This must not have the character NUL in it.", *path)
