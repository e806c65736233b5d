"""Passages: a text cut into pieces that answer one question each, and what tells how alike the spelling of two is."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

MOST_WORDS: Final = 180
"""A section that is longer is cut."""

FEW_WORDS: Final = 15
"""A section that is shorter stands in one passage with the one behind it."""

SHARED_WORDS: Final = 30
"""How much of a passage is repeated at the beginning of the next one of the same section."""

GRAMS: Final = 1024
"""How many numbers stand for the spelling of a passage."""

SHORTEST: Final = 4
"""Words of fewer letters are mostly such as every text has, and too short to be spelled differently."""

LENGTHS: Final = (3, 4, 5)
"""How many letters are looked at together."""

LETTERS_IN_A_WORD: Final = 6
"""In the mean. Some languages put nothing between words, so that they must be counted by their letters."""

BETWEEN_HEADINGS: Final = " › "  # noqa: RUF001 (it is meant)

_HEADING = re.compile(r"(#{1,6})\s+(.+?)[\s#]*$")
_UNDERLINED = re.compile(r"^(?![#>|\s-])(.+)\n(=+|-+)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"\s*(```|~~~)")
_END_OF_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？])")  # noqa: RUF001 (they are meant)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Passage:
    """Some words of a text. heading: the title and the headings that they stand under."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or what else is not cut. before: what stands between it and the one before it."""

    text: str
    before: str

    @property
    def words(self) -> int:
        return _words(self.text)


def passages(text: str, title: str) -> list[Passage]:
    """The passages of a text with Markdown's headings, in their order. title: unless the text begins with one."""
    found: list[Passage] = []
    waiting: list[_Piece] = []
    above = ""
    for heading, paragraphs in _sections(text, title):
        pieces = [piece for paragraph in paragraphs for piece in _pieces(paragraph)]
        if waiting:
            last = heading.rpartition(BETWEEN_HEADINGS)[2]
            pieces = [*waiting, _Piece(last, "\n\n"), *pieces]
            heading = above  # noqa: PLW2901 (the first one counts)
        if sum(piece.words for piece in pieces) < FEW_WORDS:
            waiting, above = pieces, heading
            continue
        waiting = []
        found += (Passage(heading, _joined(part)) for part in _parts(pieces))
    if waiting:
        found.append(Passage(above, _joined(waiting)))
    return found


def _sections(text: str, title: str) -> Iterator[tuple[str, list[str]]]:
    """The paragraphs under each heading, if there are any. Headings are told with those above them."""
    path: list[tuple[int, str]] = [(0, title)]
    lines: list[str] = []
    is_code = False
    for line in _UNDERLINED.sub(_with_hashes, text.replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        is_code ^= bool(_FENCE.match(line))
        heading = None if is_code else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        if any(line.strip() for line in lines):
            yield _path(path), _paragraphs(lines)
            lines = []
        level = len(heading[1])
        if level == 1 and path == [(0, title)]:
            path = []
        path = [(above, words) for above, words in path if above < level] + [(level, heading[2])]
        lines = []
    if any(line.strip() for line in lines):
        yield _path(path), _paragraphs(lines)


def _with_hashes(underlined: re.Match[str]) -> str:
    return f"{'#' if underlined[2][0] == '=' else '##'} {underlined[1]}\n"


def _path(path: list[tuple[int, str]]) -> str:
    return BETWEEN_HEADINGS.join(words for _, words in path)


def _paragraphs(lines: list[str]) -> list[str]:
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", "\n".join(lines)) if paragraph.strip()]


def _pieces(paragraph: str) -> Iterator[_Piece]:
    """The sentences of a paragraph, too long ones in parts."""
    before = "\n\n"
    for sentence in filter(None, _END_OF_SENTENCE.split(paragraph)):
        for part in _cut(sentence):
            yield _Piece(part, before)
            before = " "


def _cut(sentence: str) -> Iterator[str]:
    if _words(sentence) <= MOST_WORDS:
        yield sentence
        return
    part: list[str] = []
    most = MOST_WORDS * LETTERS_IN_A_WORD // 2
    for word in sentence.split():
        for first in range(0, len(word), most):
            part.append(word[first : first + most])
            if _words(" ".join(part)) * 2 >= MOST_WORDS:
                yield " ".join(part)
                part = []
    if part:
        yield " ".join(part)


def _parts(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces in equal parts that are short enough. Each begins with the last sentences of the one before it."""
    total = sum(piece.words for piece in pieces)
    enough = total / math.ceil(total / MOST_WORDS)
    part: list[_Piece] = []
    words = fresh = 0
    for piece in pieces:
        if (fresh and words + piece.words > MOST_WORDS) or words >= enough + SHARED_WORDS:
            yield part
            part = _end(part)
            words, fresh = sum(piece.words for piece in part), 0
        part.append(piece)
        words, fresh = words + piece.words, fresh + 1
    if fresh:
        yield part


def _end(part: list[_Piece]) -> list[_Piece]:
    """The last sentences that are few enough words to be repeated."""
    shared: list[_Piece] = []
    words = 0
    for piece in reversed(part):
        words += piece.words
        if words > SHARED_WORDS:
            break
        shared.insert(0, piece)
    return shared


def _joined(pieces: list[_Piece]) -> str:
    return "".join(piece.before + piece.text for piece in pieces).strip()


def _words(text: str) -> int:
    return max(text.count(" ") + 1, len(text) // (LETTERS_IN_A_WORD + 2))


def grams(text: str) -> list[float]:
    """The spelling of a text as a vector of length 1: of zeros only, where there are no words.

    Every sequence of letters counts up or down in the place that its hash says. So words that are written alike, such
    as other forms, compounds and typing errors, have much in common. What they mean is not looked at.
    """
    return spelled({word: 1 + math.log(times) for word, times in Counter(words(text)).items()})


def words(text: str) -> list[str]:
    """The words of a text in small letters, in their order."""
    return _WORD.findall(text.casefold())


def spelled(weights: Mapping[str, float]) -> list[float]:
    """The spelling of some words, each of which counts for so much, as `grams` tells that of a text."""
    vector = [0.0] * GRAMS
    for word, weight in weights.items():
        for place, part in _spelled(word):
            vector[place] += weight * part
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


@lru_cache(50_000)
def _spelled(word: str) -> tuple[tuple[int, float], ...]:
    """The places of a word's sequences of letters, and what is counted there. Accents are not looked at."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    if len(letters) < SHORTEST and letters.isascii():
        return ()
    marked = f"<{letters}>"
    sequences = [marked[at : at + length] for length in LENGTHS for at in range(len(marked) - length + 1)]
    places: dict[int, float] = {}
    for sequence in (*sequences, marked):
        hashed = crc32(sequence.encode())
        places[hashed % GRAMS] = places.get(hashed % GRAMS, 0.0) + (1 if hashed >> 31 else -1)
    length = math.sqrt(sum(value * value for value in places.values())) or 1.0
    return tuple((place, value / length) for place, value in places.items())
