"""The texts of the demo, read from the folders `domains/` and `documents/`, from clones.toml and names.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph of a document under its heading; the introduction stands under the title."""

    heading: str
    words: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a document says."""

    slug: str
    title: str
    link: str
    """Where the text is: the bucket `documents`, and the path below the folder of the same name."""
    markdown: str
    passages: Mapping[str, Passage]
    """By the slug of the heading; the introduction is under ""."""

    @property
    def size_bytes(self) -> int:
        """The size of the file, in bytes."""
        return len(self.markdown.encode())


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer was drawn from."""

    text: Text
    passage: Passage


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, and what a clone answers."""

    ask: str
    answer: str
    cites: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class ExpertText:
    """An expert, and how clones in the background that lean on this expert introduce themselves."""

    name: str
    context: str
    documents: tuple[str, ...]
    guide: str
    bio: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A field of knowledge: its experts, its texts, and conversations that can be had about it."""

    slug: str
    name: str
    category: str
    owner: str | None
    topics: tuple[str, ...]
    experts: tuple[ExpertText, ...]
    texts: Mapping[str, Text]
    conversations: tuple[tuple[Turn, ...], ...]

    @property
    def passages(self) -> list[Citation]:
        """Every passage of every text."""
        return [Citation(text, passage) for text in self.texts.values() for passage in text.passages.values()]

    @property
    def turns(self) -> list[Turn]:
        """Every question with its answer."""
        return [turn for conversation in self.conversations for turn in conversation]


@dataclass(frozen=True, slots=True)
class Note:
    """Something a creator wrote down for a clone to know."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class CloneText:
    """A clone as its creator describes it. clones.toml says what the words mean."""

    key: str
    creator: str
    subject: str
    experts: tuple[str, ...]
    name: str
    category: str
    bio: str
    areas: tuple[str, ...]
    price: Decimal
    state: str
    assistant: str
    memory: str
    temperature: float
    max_tokens: int
    prompt: str
    personality: Mapping[str, float]
    style: Mapping[str, str]
    notes: tuple[Note, ...] = ()
    filed: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """What people in the background are called and say."""

    given: list[str]
    family: list[str]
    homes: list[list[str]]
    branches: list[str]
    thanks: list[str]
    praise: list[str]
    complaints: list[str]
    upload_errors: list[str]


@cache
def subjects() -> Mapping[str, Subject]:
    """Every field of knowledge, by its slug."""
    return {path.stem: _subject(path) for path in sorted((HERE / "domains").glob("*.toml"))}


@cache
def story_clones() -> tuple[CloneText, ...]:
    """The clones of the cast."""
    return tuple(
        CloneText(
            **{
                **table,
                "experts": tuple(table["experts"]),
                "areas": tuple(table["areas"]),
                "price": Decimal(table["price"]),
                "notes": tuple(Note(**note) for note in table.get("notes", ())),
            }
        )
        for table in _toml(HERE / "clones.toml")["clones"]
    )


@cache
def names() -> Names:
    """What people in the background are called and say."""
    return Names(**_toml(HERE / "names.toml"))


def slugged(words: str) -> str:
    """The words as they stand in a link."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def _subject(path: Path) -> Subject:
    table = _toml(path)
    texts = {text.stem: _text(text) for text in sorted((HERE / "documents" / path.stem).glob("*.md"))}
    return Subject(
        slug=path.stem,
        name=table["name"],
        category=table["category"],
        owner=table.get("owner"),
        topics=tuple(table["topics"]),
        experts=tuple(ExpertText(**{**expert, "documents": tuple(expert["documents"])}) for expert in table["experts"]),
        texts=texts,
        conversations=tuple(
            tuple(
                Turn(turn["ask"], turn["answer"], tuple(_citation(texts, cited) for cited in turn["cites"]))
                for turn in conversation["turns"]
            )
            for conversation in table["conversations"]
        ),
    )


def _text(path: Path) -> Text:
    markdown = path.read_text("utf-8")
    title, _, body = markdown.removeprefix("# ").partition("\n")
    introduction, *sections = body.split("\n## ")
    passages = {"": Passage(title, introduction.strip())}
    for section in sections:
        heading, _, words = section.partition("\n")
        passages[slugged(heading)] = Passage(heading, words.strip())
    link = f"storage://documents/{path.parent.name}/{path.name}"
    return Text(path.stem, title, link, markdown, passages)


def _citation(texts: Mapping[str, Text], cited: str) -> Citation:
    """The passage that `document#heading` names; without a heading it is the introduction."""
    document, _, heading = cited.partition("#")
    return Citation(texts[document], texts[document].passages[heading])
