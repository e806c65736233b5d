"""Asks every question of questions.toml, in several ways of searching, and counts what comes of it."""

import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from db.demo.content import subjects
from db.engine import Database
from resolvers.provisioning.local import LocalProvider
from resolvers.provisioning.provider import Content
from resolvers.provisioning.ranking import BY_WORDS, FUSED, NO_LETTERS

MOST = 10
PLAIN = """
    SELECT name FROM local_chunks JOIN local_files ON local_files.id = file_id, {query} AS query
    WHERE words @@ query ORDER BY ts_rank_cd(words, query) DESC, name, position LIMIT 10
"""
ALL_WORDS = PLAIN.format(query="plainto_tsquery('english', $1)")
ANY_WORD = PLAIN.format(query="CAST(replace(plainto_tsquery('english', $1)::text, '&', '|') AS tsquery)")


@dataclass(frozen=True)
class Asked:
    """A question. document: what answers it, if anything does. is_for_tuning: whether tuning had it in sight."""

    kind: str
    text: str
    document: str | None
    is_for_tuning: bool


@dataclass(frozen=True)
class Figures:
    """Of what can be answered, the part whose document is among the first, and the mean of 1 / place. Of the rest, the
    part for which nothing is found."""

    first: float
    of_three: float
    of_ten: float
    reciprocal: float
    nothing: float


def questions() -> list[Asked]:
    kept = tomllib.loads(Path(__file__).with_name("questions.toml").read_text("utf-8"))["questions"]
    return [Asked(each["kind"], each["ask"], each.get("document"), "fresh" not in each) for each in kept]


async def fill(provider: LocalProvider) -> str:
    """The id of a store that holds every text of the demo, each of which is called like its file."""
    store_id = await provider.make_store("Everything", {})
    file_ids = []
    for subject in subjects().values():
        for text in subject.texts.values():
            content = Content("text/markdown", text.size_bytes, partial(_pieces, text.markdown))
            file_ids.append(await provider.put_file(f"{subject.slug}/{text.slug}.md", content))
    await provider.attach(store_id, file_ids)
    return store_id


async def measure(database: Database) -> dict[str, tuple[Figures, Figures]]:
    """The figures of each way to search: those of the questions for tuning, and those of the fresh ones.

    The database is one of the newest shape, without files.
    """
    provider = LocalProvider(database)
    store_id = await fill(provider)
    words_only = LocalProvider(database)
    words_only._ranking._find = f"{BY_WORDS}, {NO_LETTERS} {FUSED}"

    def plain(statement: str) -> Callable[[str], Awaitable[list[str]]]:
        async def ask(text: str) -> list[str]:
            return [row["name"] for row in await database.fetch(statement, [text])]

        return ask

    def ours(provider: LocalProvider) -> Callable[[str], Awaitable[list[str]]]:
        async def ask(text: str) -> list[str]:
            return [passage.file_name for passage in await provider.search([store_id], text, MOST)]

        return ask

    ways = {
        "Full text, all words (`plainto_tsquery`)": plain(ALL_WORDS),
        "Full text, any word": plain(ANY_WORD),
        "Ours, without pgvector": ours(words_only),
        "Ours": ours(provider),
    }
    return {name: await _figures(ask) for name, ask in ways.items()}


async def _figures(ask: Callable[[str], Awaitable[list[str]]]) -> tuple[Figures, Figures]:
    answered = [(each, list(dict.fromkeys(_slug(name) for name in await ask(each.text)))) for each in questions()]
    halves = [[(each, found) for each, found in answered if each.is_for_tuning is half] for half in (True, False)]
    return _of(halves[0]), _of(halves[1])


def _of(answered: Sequence[tuple[Asked, list[str]]]) -> Figures:
    places = [
        found.index(each.document) + 1 if each.document in found else 0 for each, found in answered if each.document
    ]
    nothing = [not found for each, found in answered if not each.document]

    def among(most: int) -> float:
        return sum(0 < place <= most for place in places) / len(places)

    reciprocal = sum(1 / place for place in places if place) / len(places)
    return Figures(among(1), among(3), among(10), reciprocal, sum(nothing) / len(nothing))


def table(measured: dict[str, tuple[Figures, Figures]]) -> str:
    """The figures as a table in Markdown, those for tuning in brackets."""
    rows = [
        "| | Recall@1 | Recall@3 | Recall@10 | MRR | Rightly nothing |",
        "|---|---|---|---|---|---|",
    ]
    for name, (tuned, judged) in measured.items():
        cells = (
            f"{getattr(judged, key):.2f} ({getattr(tuned, key):.2f})"
            for key in ("first", "of_three", "of_ten", "reciprocal", "nothing")
        )
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _slug(name: str) -> str:
    return name.removesuffix(".md")


async def _pieces(text: str) -> AsyncIterator[bytes]:
    yield text.encode()
