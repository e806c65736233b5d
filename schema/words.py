"""Enums: the closed vocabularies of `db/`, under the names that they have there."""

from functools import lru_cache

import strawberry
import structlog
from strawberry.types.enum import StrawberryEnumDefinition

import db

log = structlog.get_logger()


def publish(words: type[db.Words]) -> None:
    """Make a vocabulary an enum of the graph, with its own descriptions."""
    strawberry.enum(words, description=words.__doc__)
    definition: StrawberryEnumDefinition = words.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = words[value.name].doc


for _words in db.Words.__subclasses__():
    publish(_words)


def word_in(words: type[db.Words], text: str | None) -> db.Words | None:
    """The word that a column holds; `UNKNOWN`, and a line in the log, for one that is not in the vocabulary."""
    if text is None:
        return None
    try:
        return words(text)  # type: ignore[call-arg]  # looks a word up, makes none
    except ValueError:
        _log_unknown(words, text)
        return words["UNKNOWN"]


@lru_cache(maxsize=1024)
def _log_unknown(words: type[db.Words], text: str) -> None:
    """Once for each word, or the log would be full of it."""
    log.warning("unknown_word", vocabulary=words.__name__, word=text)
