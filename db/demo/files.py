"""The files that the demo's rows lead to."""

from collections.abc import Iterator

from db.demo.content import subjects
from db.demo.knowledge import pieces
from db.demo.library import library
from db.demo.market import market
from db.demo.people import people
from db.demo.scale import Scale
from db.storage import SCHEME


def files(scale: Scale) -> Iterator[tuple[str, bytes]]:
    """What the storage is to keep: keys, and what is in each file. The last one is the last one every time."""
    for subject in subjects().values():
        for text in subject.texts.values():
            yield text.link.removeprefix(SCHEME), text.markdown.encode()
    for clone in market(scale, people(scale), library(scale.size)):
        for piece in pieces(clone, scale.size):
            yield piece.key, piece.words.encode()
