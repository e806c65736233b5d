"""A provider that answers what a test tells it to, and remembers what it was asked."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from resolvers.provisioning.provider import (
    Answer,
    Began,
    Content,
    Delta,
    Event,
    Member,
    Passage,
    ProviderError,
    Question,
    RemoteFile,
    RemoteStore,
)

PATIENCE = 30


@dataclass
class Hold:
    """Where an answer stops until the test lets it go on."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until an answer is there."""
        assert self.reached.wait(PATIENCE), "no answer got there"

    def release(self) -> None:
        self.released.set()

    async def pass_(self) -> None:
        self.reached.set()
        while not self.released.is_set():  # noqa: ASYNC110 (it is another thread that releases it)
            await asyncio.sleep(0.005)


Step = str | Hold | Exception


@dataclass
class Script:
    """An answer to be: words, where it stops, and what goes wrong."""

    steps: Sequence[Step]
    passages: Sequence[Passage] = ()
    input_tokens: int = 1_000
    output_tokens: int = 1_000
    text: str | None = None
    begins: bool = True

    def answer(self, response_id: str) -> Answer:
        text = "".join(step for step in self.steps if isinstance(step, str)) if self.text is None else self.text
        return Answer(response_id, text, "scripted-1", self.input_tokens, self.output_tokens, self.passages)


class Scripted:
    """A provider. scripts: of the answers to come. asked: every question. recalls: what comes of recalling one.

    closed: how many answers were broken off, or came to their end.
    """

    name = "scripted"
    model = "scripted-1"
    is_generative = True

    def __init__(self) -> None:
        self.scripts: deque[Script] = deque()
        self.asked: list[Question] = []
        self.recalls: deque[Answer | Script | ProviderError | None] = deque()
        self.recalled: list[str] = []
        self.closed = 0

    def will(self, *steps: Step, **values: object) -> None:
        """Answer so the next time."""
        self.scripts.append(Script(steps, **values))  # type: ignore[arg-type]

    async def answer(self, question: Question) -> AsyncGenerator[Event, None]:
        self.asked.append(question)
        script = self.scripts.popleft() if self.scripts else Script(["Because", " it is so."])
        response_id = f"resp_{uuid4().hex}"
        try:
            if script.begins:
                yield Began(response_id)
            for step in script.steps:
                match step:
                    case str():
                        yield Delta(step)
                    case Hold():
                        await step.pass_()
                    case Exception():
                        raise step
            yield script.answer(response_id)
        finally:
            self.closed += 1

    async def recall(self, response_id: str) -> Answer | None:
        self.recalled.append(response_id)
        found = self.recalls.popleft() if self.recalls else None
        if isinstance(found, ProviderError):
            raise found
        return found.answer(response_id) if isinstance(found, Script) else found

    async def close(self) -> None:
        pass

    async def put_file(self, name: str, content: Content) -> str:
        raise NotImplementedError

    def files(self) -> AsyncIterator[RemoteFile]:
        raise NotImplementedError

    async def delete_file(self, file_id: str) -> None:
        raise NotImplementedError

    async def make_store(self, title: str, tags: Mapping[str, str]) -> str:
        raise NotImplementedError

    def stores(self) -> AsyncIterator[RemoteStore]:
        raise NotImplementedError

    async def delete_store(self, store_id: str) -> None:
        raise NotImplementedError

    async def attach(self, store_id: str, file_ids: Sequence[str]) -> str | None:
        raise NotImplementedError

    async def status(self, store_id: str) -> Sequence[Member]:
        raise NotImplementedError

    async def detach(self, store_id: str, file_id: str) -> None:
        raise NotImplementedError

    async def search(self, store_ids: Sequence[str], query: str, most: int) -> Sequence[Passage]:
        raise NotImplementedError
