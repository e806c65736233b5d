"""The local provider: stores, search and answers without a key, in the same PostgreSQL."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import NamedTemporaryFile
from typing import Any, Final
from uuid import uuid4

import orjson

from db import FileStatus
from db.engine import Database
from db.errors import ConstraintViolated, DatabaseError, ValueRefused
from db.passages import grams, passages
from resolvers.provisioning.extraction import HEAD_BYTES, SUPPORTED, WRONG_TYPE, Unreadable, extract, media_type_of
from resolvers.provisioning.provider import (
    Answer,
    Began,
    Content,
    Delta,
    Event,
    Gone,
    Member,
    Passage,
    ProviderAway,
    ProviderRefused,
    Question,
    RemoteFile,
    RemoteStore,
)
from resolvers.provisioning.ranking import Ranking

AT_A_TIME: Final = 2
"""How many files are read at a time."""

PAGE: Final = 100
PASSAGES_IN_A_STATEMENT: Final = 200

MOST_QUOTED: Final = 3
"""How many passages an answer quotes."""

MOST_FOUND: Final = 12
"""How many it chooses from: some have the same words."""

WORTH_QUOTING: Final = 0.6
"""The part of the best score that a passage must have to be quoted beside the best one."""

TOKENS_PER_WORD: Final = 4 / 3

NOTHING_FOUND: Final = "I have found nothing about this in the documents."
FOUND: Final = "This is what the documents say."
FOUND_TOGETHER: Final = "Your question alone finds nothing. Together with the one before it, it finds this."

KEEP_FILE: Final = """
    INSERT INTO local_files (id, name, size_bytes, error, created_at) VALUES ($1, $2, $3, $4, clock_timestamp())
"""
KEEP_PASSAGES: Final = """
    INSERT INTO local_chunks (file_id, position, heading, passage, grams)
    SELECT $1, $2 + number - 1, heading, passage, ($5::real[])[(number - 1) * $6 + 1 : number * $6]
    FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS given (heading, passage, number)
"""
FILES: Final = f"""
    SELECT id, name, created_at FROM local_files
    WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT {PAGE}
"""  # noqa: S608 (of our own words)
STORES: Final = f"""
    SELECT id, tags::text AS tags, created_at FROM local_stores
    WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT {PAGE}
"""  # noqa: S608 (of our own words)
MAKE_STORE: Final = """
    INSERT INTO local_stores (id, title, tags, created_at) VALUES ($1, $2, $3, clock_timestamp())
"""
ATTACH: Final = """
    INSERT INTO local_store_files (store_id, file_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING
"""
MEMBERS: Final = """
    SELECT file_id, error FROM local_store_files JOIN local_files ON local_files.id = file_id
    WHERE store_id = $1 ORDER BY local_store_files.created_at, file_id
"""
MISSING: Final = """
    SELECT wanted FROM unnest($1::text[]) AS wanted WHERE NOT EXISTS (SELECT FROM local_stores WHERE id = wanted)
"""


class LocalProvider:
    """A provider that finds passages and quotes them. What it cannot read it says with the file's status."""

    name = "local"
    model = "extractive"
    is_generative = False

    def __init__(self, database: Database) -> None:
        self.database = database
        self._ranking = Ranking(database.primary)
        self._turn = asyncio.Semaphore(AT_A_TIME)

    async def put_file(self, name: str, content: Content) -> str:
        """Keep a file as the passages of its text, or why there is none, and return its id."""
        async with self._turn:
            size, text, error = await _read(name, content)
        kept = await asyncio.to_thread(_spelled, text, _title(name))
        file_id = f"file-local-{uuid4().hex}"
        with _in_our_words():
            async with self.database.write() as tx:
                await tx.fetch(KEEP_FILE, file_id, name, size, error)
                for position, headings, texts, vectors, length in kept:
                    await tx.fetch(KEEP_PASSAGES, file_id, position, headings, texts, vectors, length)
        return file_id

    async def files(self) -> AsyncIterator[RemoteFile]:
        """All files, the newest first, a page at a time as they are asked for."""
        async for row in self._pages(FILES):
            yield RemoteFile(row["id"], row["name"], row["created_at"])

    async def delete_file(self, file_id: str) -> None:
        """Delete a file, if it is there, from all stores, too."""
        await self._write("DELETE FROM local_files WHERE id = $1", file_id)

    async def make_store(self, title: str, tags: Mapping[str, str]) -> str:
        """Make an empty store, and return its id."""
        store_id = f"vs_local_{uuid4().hex}"
        await self._write(MAKE_STORE, store_id, title, dict(tags))
        return store_id

    async def stores(self) -> AsyncIterator[RemoteStore]:
        """All stores, the newest first, a page at a time as they are asked for."""
        async for row in self._pages(STORES):
            yield RemoteStore(row["id"], orjson.loads(row["tags"]), row["created_at"])

    async def delete_store(self, store_id: str) -> None:
        """Delete a store, if it is there. Its files stay."""
        await self._write("DELETE FROM local_stores WHERE id = $1", store_id)

    async def attach(self, store_id: str, file_ids: Sequence[str]) -> None:
        """Put files into a store. They were read when they came, so that they can be searched at once."""
        await self._require([store_id])
        try:
            await self._write(ATTACH, store_id, file_ids)
        except ConstraintViolated as error:
            raise Gone("The store, or one of the files, does not exist any more.") from error

    async def status(self, store_id: str) -> Sequence[Member]:
        """Every file in a store. Raises Gone where there is no store."""
        await self._require([store_id])
        return [
            Member(row["file_id"], FileStatus.FAILED if row["error"] else FileStatus.COMPLETED, row["error"])
            for row in await self._read_rows(MEMBERS, store_id)
        ]

    async def detach(self, store_id: str, file_id: str) -> None:
        """Take a file out of a store, if it is there. The file stays."""
        await self._write("DELETE FROM local_store_files WHERE store_id = $1 AND file_id = $2", store_id, file_id)

    async def search(self, store_ids: Sequence[str], query: str, most: int) -> Sequence[Passage]:
        """The passages that fit best by their words and their spelling. Raises Gone where there is no store."""
        return [_passage(row) for row in await self._find(store_ids, query, most)]

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        """The passages that fit best, quoted with what they stand under; or that there are none.

        A question in which nothing is found is taken together with the one before it, for what was not quoted yet.
        """
        response_id = f"resp_local_{uuid4().hex}"
        yield Began(response_id)
        found, opening = await self._find(question.store_ids, question.text, MOST_FOUND), FOUND
        before = [turn.text for turn in question.history if turn.is_question]
        if not found and before:
            quoted_before = "\n".join(turn.text for turn in question.history if not turn.is_question)
            together = await self._find(question.store_ids, f"{before[-1]} {question.text}", MOST_FOUND)
            found, opening = [row for row in together if _quote(row) not in quoted_before], FOUND_TOGETHER
        quoted = _worth_quoting(found, question.max_output_tokens)
        said = []
        for words in _parts(opening, quoted):
            said.append(words)
            yield Delta(words)
        yield Answer(response_id, "".join(said), self.model, passages=[_passage(row) for row in quoted])

    async def recall(self, response_id: str) -> Answer | None:
        """None: an answer that was not heard to its end is not kept."""
        return None

    async def close(self) -> None:
        """Give back what is held: nothing, since the database is another's."""

    async def _find(self, store_ids: Sequence[str], query: str, most: int) -> list[Mapping[str, Any]]:
        await self._require(store_ids)
        with _in_our_words():
            return await self._ranking.best(store_ids, query, most)

    async def _require(self, store_ids: Sequence[str]) -> None:
        if missing := await self._read_rows(MISSING, store_ids):
            raise Gone(f"The store {missing[0]['wanted']} does not exist any more.")

    async def _pages(self, statement: str) -> AsyncIterator[Mapping[str, Any]]:
        rows = await self._read_rows(statement, None, None)
        while rows:
            for row in rows:
                yield row
            rows = await self._read_rows(statement, rows[-1]["created_at"], rows[-1]["id"])

    async def _read_rows(self, statement: str, *arguments: Any) -> list[Any]:
        with _in_our_words():
            return await self.database.primary.fetch(statement, arguments)

    async def _write(self, statement: str, *arguments: Any) -> None:
        with _in_our_words():
            async with self.database.write() as tx:
                await tx.fetch(statement, *arguments)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except ConstraintViolated:
        raise
    except ValueRefused as error:
        raise ProviderRefused("The database cannot keep this. Use other words.") from error
    except DatabaseError as error:
        raise ProviderAway("The database does not answer. Try again in a moment.") from error


async def _read(name: str, content: Content) -> tuple[int, str, str | None]:
    """The size of a file, its text, and why there is none. It is on disk meanwhile, and not in memory."""
    size, head = 0, b""
    with NamedTemporaryFile() as file:
        async for piece in content.pieces():
            size += len(piece)
            head += piece[: HEAD_BYTES - len(head)]
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.flush)
        media_type = media_type_of(name, head)
        if media_type is None:
            return size, "", WRONG_TYPE
        try:
            return size, await extract(Path(file.name), media_type), None
        except Unreadable as error:
            return size, "", str(error)


def _title(name: str) -> str:
    """What a file is called, without what the name begins and ends with for the sake of programs."""
    path = PurePath(name)
    stem = name.removesuffix(path.suffix) if path.suffix.lower() in SUPPORTED else name
    tagged = re.fullmatch(r"[a-z0-9-]+\.[0-9a-f]{32}\.(.+)", stem)
    return tagged[1].replace("-", " ") if tagged else stem


def _spelled(text: str, title: str) -> list[tuple[int, list[str], list[str], list[float], int]]:
    """The passages of a text, as statements take them: where each begins, headings, words, vectors, their length."""
    found = passages(text, title)
    statements = []
    for first in range(0, len(found), PASSAGES_IN_A_STATEMENT):
        some = found[first : first + PASSAGES_IN_A_STATEMENT]
        vectors = [grams(f"{passage.heading}\n{passage.text}") for passage in some]
        statements.append(
            (
                first,
                [passage.heading for passage in some],
                [passage.text for passage in some],
                [value for vector in vectors for value in vector],
                len(vectors[0]),
            )
        )
    return statements


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(row["file_id"], row["name"], row["passage"], round(row["score"], 4))


def _worth_quoting(found: Sequence[Mapping[str, Any]], most_tokens: int | None) -> list[Mapping[str, Any]]:
    """The best passage, and some that are nearly as good, as far as the limit reaches. No words are quoted twice."""
    quoted: dict[str, Mapping[str, Any]] = {}
    tokens = 0.0
    for row in found:
        if row["passage"] in quoted:
            continue
        tokens += len(row["passage"].split()) * TOKENS_PER_WORD
        if quoted and (row["score"] < WORTH_QUOTING * found[0]["score"] or tokens > (most_tokens or tokens)):
            break
        quoted[row["passage"]] = row
        if len(quoted) == MOST_QUOTED:
            break
    return list(quoted.values())


def _parts(opening: str, quoted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """An answer in Markdown, in parts."""
    if not quoted:
        yield NOTHING_FOUND
        return
    yield opening
    for row in quoted:
        yield f"\n\n{_quote(row)}"
        yield f"\n\n*{row['heading']}*"


def _quote(row: Mapping[str, Any]) -> str:
    passage: str = row["passage"]
    return "> " + passage.replace("\n", "\n> ")
