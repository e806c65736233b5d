"""The provider that speaks OpenAI's API: OpenAI itself, or any server that speaks it, too.

Nothing is sent twice: the SDK would repeat what failed, without a key by which the server could tell, and so make files
and stores that nobody knows of.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain
from typing import IO, Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, AsyncStream, Omit, Timeout, omit
from openai.types.responses import ResponseInputItemParam, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from db import FileStatus
from resolvers.provisioning.openai_answers import read_answer, read_event, read_id
from resolvers.provisioning.openai_errors import AWAY, STRANGE, failure, member_error, refusal
from resolvers.provisioning.openai_models import DEFAULT_MODEL, current
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
    ProviderError,
    ProviderRefused,
    Question,
    RemoteFile,
    RemoteStore,
)
from resolvers.provisioning.providers import ProviderOptions

Thing = TypeVar("Thing")
Dated = TypeVar("Dated", RemoteFile, RemoteStore)
Fetch: TypeAlias = Callable[[str | Omit], Awaitable[Any]]

MOST_BYTES: Final = 512 * 1024 * 1024
"""How large a file may be there."""

SLOWEST_UPLOAD: Final = 250_000
"""How many bytes a second we wait for."""

LONGEST_CONNECT: Final = 10.0
PAGE: Final = 100
MOST_IN_BATCH: Final = 500
MOST_PASSAGES: Final = 50
PASSAGES_OF_ANSWER: Final = 10
LEAST_OUTPUT_TOKENS: Final = 16
UNSAFE_IN_NAMES: Final = frozenset('"\\')
FILE_STATUSES: Final = {each.value: each for each in FileStatus}
WITHOUT_PATH: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
OPENAI: Final = ("api.openai.com",)
"""Where models are shut down by OpenAI's calendar. Other servers may have them for longer."""


class OpenAIProvider:
    """OpenAI's API. What a server cannot do is remembered for as long as this lives."""

    name = "openai"
    is_generative = True

    def __init__(self, options: ProviderOptions) -> None:
        self.model = options.model or DEFAULT_MODEL
        self._timeout = options.timeout
        self._client = AsyncOpenAI(
            api_key=options.key or "none",
            base_url=options.base_url,
            max_retries=0,
            timeout=Timeout(options.timeout, connect=min(options.timeout, LONGEST_CONNECT)),
        )
        self._is_openai = urlsplit(str(self._client.base_url)).hostname in OPENAI
        self._has_batches = True
        self._without_temperature: set[str] = set()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def put_file(self, name: str, content: Content) -> str:
        """Keep a file. The name must do without quotes, backslashes and control characters: they would be changed."""
        if any(each in UNSAFE_IN_NAMES or not each.isprintable() for each in name):
            raise ProviderRefused("The AI provider takes no such file name. Rename it with letters and digits only.")
        if content.size_bytes > MOST_BYTES:
            raise _too_large()
        async with _spooled(content) as file, self._asking(self._timeout + content.size_bytes / SLOWEST_UPLOAD):
            made = await self._client.files.create(file=(name, file, content.media_type), purpose="assistants")
            return read_id(made)

    async def files(self) -> AsyncIterator[RemoteFile]:
        """All files for stores, the newest first."""

        def fetch(after: str | Omit) -> Awaitable[Any]:
            return self._client.files.list(after=after, limit=PAGE, order="desc", purpose="assistants")

        def read(file: Any) -> RemoteFile:
            return RemoteFile(read_id(file), file.filename, _time(file.created_at))

        async for file in _newest_first(self._pages(fetch, read)):
            yield file

    async def delete_file(self, file_id: str) -> None:
        """Delete a file, if it is there."""
        async with self._deleting():
            await self._client.files.delete(file_id)

    async def make_store(self, title: str, tags: Mapping[str, str]) -> str:
        """Make an empty store."""
        async with self._asking():
            return read_id(await self._client.vector_stores.create(name=title, metadata=dict(tags)))

    async def stores(self) -> AsyncIterator[RemoteStore]:
        """All stores, the newest first."""

        def fetch(after: str | Omit) -> Awaitable[Any]:
            return self._client.vector_stores.list(after=after, limit=PAGE, order="desc")

        def read(store: Any) -> RemoteStore:
            return RemoteStore(read_id(store), dict(store.metadata or {}), _time(store.created_at))

        async for store in _newest_first(self._pages(fetch, read)):
            yield store

    async def delete_store(self, store_id: str) -> None:
        """Delete a store, if it is there."""
        async with self._deleting():
            await self._client.vector_stores.delete(store_id)

    async def attach(self, store_id: str, file_ids: Sequence[str]) -> str | None:
        """Put files into a store. Returns the id of the last batch; None if the server has no batches."""
        wanted = list(dict.fromkeys(file_ids))
        batch_id = None
        for start in range(0, len(wanted), MOST_IN_BATCH):
            some = wanted[start : start + MOST_IN_BATCH]
            batch_id = await self._attach_batch(store_id, some) if self._has_batches else None
            if batch_id is None:
                await self._attach_each(store_id, some)
        return batch_id

    async def status(self, store_id: str) -> Sequence[Member]:
        """Every file in a store."""

        def fetch(after: str | Omit) -> Awaitable[Any]:
            return self._client.vector_stores.files.list(store_id, after=after, limit=PAGE)

        return [member async for page in self._pages(fetch, _member) for member in page]

    async def detach(self, store_id: str, file_id: str) -> None:
        """Take a file out of a store, if it is there."""
        async with self._deleting():
            await self._client.vector_stores.files.delete(file_id, vector_store_id=store_id)

    async def search(self, store_ids: Sequence[str], query: str, most: int) -> Sequence[Passage]:
        """The passages that fit best, of all stores together, each once. most: 50 at most."""
        most = min(most, MOST_PASSAGES)
        found = await asyncio.gather(*(self._search(store_id, query, most) for store_id in store_ids))
        best: dict[tuple[str, str], Passage] = {}
        for passage in sorted(chain(*found), key=lambda passage: -passage.score):
            best.setdefault((passage.file_name, passage.text), passage)
        return list(best.values())[:most]

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        """The answer as it is written. Between two of its words, at most one timeout passes."""
        stream = await self._begin(question)
        async with stream:
            began, said = False, ""
            while True:
                async with self._asking():
                    news = read_event(await anext(stream, None))
                if news.response_id and not began:
                    began = True
                    yield Began(news.response_id)
                if news.words:
                    said += news.words
                    yield Delta(news.words)
                if news.answer:
                    yield news.answer if news.answer.text else replace(news.answer, text=said)
                    return

    async def recall(self, response_id: str) -> Answer | None:
        """An answer that was begun."""
        try:
            async with self._asking():
                response = await self._client.responses.retrieve(response_id, include=["file_search_call.results"])
                if response.status in ("failed", "cancelled"):
                    return None
                if response.status in ("in_progress", "queued"):
                    raise ProviderAway("The answer is still being written. Wait a moment.", 1)
                return read_answer(response)
        except Gone:
            return None

    @asynccontextmanager
    async def _asking(self, seconds: float | None = None) -> AsyncIterator[None]:
        """A block that asks, for a timeout at most, and raises the port's errors only."""
        with _worded():
            async with asyncio.timeout(seconds or self._timeout):
                yield

    @asynccontextmanager
    async def _deleting(self) -> AsyncIterator[None]:
        """A block that deletes something, for which it is fine that it is gone."""
        try:
            async with self._asking():
                yield
        except Gone:
            return

    async def _pages(self, fetch: Fetch, read: Callable[[Any], Thing]) -> AsyncIterator[list[Thing]]:
        after: str | Omit = omit
        while True:
            async with self._asking():
                page = await fetch(after)
                things = [read(each) for each in page.data]
                last = page.data[-1].id if things else None
            if last is None or last == after:  # A server that does not know `after` repeats itself.
                return
            yield things
            if page.has_more is False:
                return
            after = last

    async def _attach_batch(self, store_id: str, file_ids: Sequence[str]) -> str | None:
        """The id of a batch; None if the server has none."""
        async with self._asking():
            try:
                batch = await self._client.vector_stores.file_batches.create(store_id, file_ids=list(file_ids))
            except APIStatusError as error:
                if error.status_code not in WITHOUT_PATH:
                    raise
                return None
            taken = batch.file_counts.total
            if taken < len(file_ids):
                raise ProviderAway(f"The AI provider took {taken} of {len(file_ids)} files. Try again.")
            return read_id(batch)

    async def _attach_each(self, store_id: str, file_ids: Sequence[str]) -> None:
        for file_id in file_ids:
            async with self._asking():
                await self._client.vector_stores.files.create(store_id, file_id=file_id)
        self._has_batches = False

    async def _search(self, store_id: str, query: str, most: int) -> list[Passage]:
        async with self._asking():
            try:
                page = await self._client.vector_stores.search(store_id, query=query, max_num_results=most)
            except APIStatusError as error:
                if error.status_code not in WITHOUT_PATH:
                    raise
                await self._client.vector_stores.retrieve(store_id)
                raise ProviderRefused(
                    "This AI provider cannot search without answering. Ask the clone instead, or use another provider."
                ) from None
            return [
                Passage(each.file_id, each.filename, "\n".join(part.text for part in each.content), each.score)
                for each in page.data
            ]

    async def _begin(self, question: Question) -> AsyncStream[ResponseStreamEvent]:
        body = self._body(question)
        async with self._asking():
            try:
                return await self._client.responses.create(**body)
            except APIStatusError as error:
                if "temperature" not in body or not _is_about_temperature(error):
                    raise
            self._without_temperature.add(str(body["model"]))
            return await self._client.responses.create(**self._body(question))

    def _body(self, question: Question) -> ResponseCreateParamsStreaming:
        model = question.model or self.model
        if self._is_openai:
            model = current(model, datetime.now(UTC).date())
        said: list[ResponseInputItemParam] = [
            {"role": "user" if turn.is_question else "assistant", "content": turn.text} for turn in question.history
        ]
        body: ResponseCreateParamsStreaming = {
            "model": model,
            "input": [*said, {"role": "user", "content": question.text}],
            "store": True,
            "stream": True,
        }
        if question.instructions:
            body["instructions"] = question.instructions
        if question.store_ids:
            body["tools"] = [
                {
                    "type": "file_search",
                    "vector_store_ids": list(question.store_ids),
                    "max_num_results": PASSAGES_OF_ANSWER,
                }
            ]
            body["include"] = ["file_search_call.results"]
        if question.temperature is not None and model not in self._without_temperature:
            body["temperature"] = question.temperature
        if question.max_output_tokens is not None:
            body["max_output_tokens"] = max(question.max_output_tokens, LEAST_OUTPUT_TOKENS)
        if question.tags:
            body["metadata"] = dict(question.tags)
        return body


@contextmanager
def _worded() -> Iterator[None]:
    """A block that raises the port's errors only."""
    try:
        yield
    except ProviderError:
        raise
    except APIStatusError as error:
        raise refusal(error.status_code, error.body, error.response.headers) from error
    except (APIConnectionError, TimeoutError) as error:
        raise ProviderAway(AWAY) from error
    except APIError as error:
        raise failure(error.code, error.message) from error
    except Exception as error:  # The SDK checks nothing of what it reads, and its HTTP library has errors of its own.
        raise ProviderAway(STRANGE) from error


@asynccontextmanager
async def _spooled(content: Content) -> AsyncIterator[IO[bytes]]:
    """A file of this machine with that content, since the SDK streams nothing else."""
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        size = 0
        async for piece in content.pieces():
            size += len(piece)
            if size > MOST_BYTES:
                raise _too_large()
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.seek, 0)
        yield file
    finally:
        file.close()


async def _newest_first(pages: AsyncIterator[list[Dated]]) -> AsyncIterator[Dated]:
    """What is on these pages, also of a server that does not know `order`: then all of them are read first."""
    async for page in pages:
        if page[0].created_at < page[-1].created_at:
            page += [thing async for more in pages for thing in more]
            page.sort(key=lambda thing: thing.created_at, reverse=True)
        for thing in page:
            yield thing


def _member(file: Any) -> Member:
    error = file.last_error.code if getattr(file, "last_error", None) else None
    status = FILE_STATUSES.get(file.status, FileStatus.UNKNOWN)
    return Member(read_id(file), status, member_error(error) if status is FileStatus.FAILED else None)


def _is_about_temperature(error: APIStatusError) -> bool:
    return error.status_code == HTTPStatus.BAD_REQUEST and "temperature" in (error.param or error.message)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _too_large() -> ProviderRefused:
    return ProviderRefused("The AI provider takes files of 512 MB at most. Split the file, and upload its parts.")
