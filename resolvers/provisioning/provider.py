"""The port to an AI provider, in stores, files and replies. A third provider is one more file that has these methods.

None of them retries, and none looks before it acts: that is for those who call them, since only they know what was
intended before a crash. What goes wrong is one of these:

ProviderError
├── ProviderAway        no answer, or one that says nothing: it may have been done, or not
├── RateLimited         not done: too much at a time
├── QuotaExceeded       not done, and nothing will be until somebody pays
├── KeyRefused          not done: the key, or what it may do, is wrong
├── ProviderRefused     not done, and it never will be: the request is wrong
└── Gone                not done: what it was about does not exist
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from db import FileStatus


class ProviderError(Exception):
    """What a provider did not do. The message is fit to be shown to a creator. code: as the graph shows it."""

    code = "PROVIDER_FAILED"
    is_retryable = False


class ProviderAway(ProviderError):
    """The provider does not answer, or answers that something is wrong there. It may have acted, or not.

    retry_after: for how many seconds it wishes to be left alone, if it says so.
    """

    code = "PROVIDER_UNAVAILABLE"
    is_retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(ProviderError):
    """The provider wants to be asked less often, and did nothing. retry_after: in seconds, if it says so."""

    code = "PROVIDER_RATE_LIMITED"
    is_retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(ProviderError):
    """The account at the provider has no money or allowance left. Nothing is asked of it for a while."""

    code = "PROVIDER_QUOTA_EXCEEDED"
    is_retryable = True


class KeyRefused(ProviderError):
    """The provider does not accept the key, or the key may not do this."""

    code = "PROVIDER_KEY_REFUSED"


class ProviderRefused(ProviderError):
    """The provider says that the request can never be done."""

    code = "PROVIDER_REFUSED"


class Gone(ProviderError):
    """What it was about does not exist at the provider."""

    code = "PROVIDER_OBJECT_GONE"
    is_retryable = True


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file. pieces: reads it from its beginning, as often as it is called."""

    media_type: str
    size_bytes: int
    pieces: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at the provider. name: what `put_file` was given."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """A store at the provider. tags: what `make_store` was given."""

    id: str
    tags: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a store. error: if it failed, why, and what to do, in words for a creator."""

    file_id: str
    status: FileStatus
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of a file that fit a question. score: higher is better; only passages of one search compare."""

    file_id: str
    file_name: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said before. is_question: by the person, not by the clone."""

    text: str
    is_question: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered. history: the oldest first. tags: for the provider's records."""

    text: str
    model: str | None
    instructions: str
    history: Sequence[Turn] = ()
    store_ids: Sequence[str] = ()
    temperature: float | None = None
    max_output_tokens: int | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """The first thing that is known of an answer: its id, by which it can be recalled."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Delta:
    """The next words of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, the last thing of a stream. passages: what it was drawn from, the best first.

    is_complete: whether it is all that was to be said, rather than cut off by the limit of tokens.
    """

    response_id: str
    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    passages: Sequence[Passage] = ()
    is_complete: bool = True


Event: TypeAlias = Began | Delta | Answer


class Provider(Protocol):
    """An AI provider.

    name: as it is kept in the database. model: what answers unless a configuration says otherwise.
    is_generative: whether its answers are written by a model, rather than quoted from documents.
    """

    name: str
    model: str
    is_generative: bool

    async def put_file(self, name: str, content: Content) -> str:
        """Keep a file, and return its id. The name is told by `files`; its ending says what is in it."""
        ...

    def files(self) -> AsyncIterator[RemoteFile]:
        """All files, the newest first, a page at a time as they are asked for."""
        ...

    async def delete_file(self, file_id: str) -> None:
        """Delete a file, if it is there, from all stores, too."""
        ...

    async def make_store(self, title: str, tags: Mapping[str, str]) -> str:
        """Make an empty store, and return its id. tags: up to 16, by which `stores` tells it from others."""
        ...

    def stores(self) -> AsyncIterator[RemoteStore]:
        """All stores, the newest first, a page at a time as they are asked for."""
        ...

    async def delete_store(self, store_id: str) -> None:
        """Delete a store, if it is there. Its files stay."""
        ...

    async def attach(self, store_id: str, file_ids: Sequence[str]) -> str | None:
        """Put files into a store that are not in it. Returns the id of the batch, if that is how it is done.

        It begins to read them; `status` says how far it is.
        """
        ...

    async def status(self, store_id: str) -> Sequence[Member]:
        """Every file in a store. Raises Gone where there is no store."""
        ...

    async def detach(self, store_id: str, file_id: str) -> None:
        """Take a file out of a store, if it is there. The file stays."""
        ...

    async def search(self, store_ids: Sequence[str], query: str, most: int) -> Sequence[Passage]:
        """The passages of these stores' files that fit a query best, the best first."""
        ...

    def answer(self, question: Question) -> AsyncIterator[Event]:
        """The answer to a question as it is written: Began, then Deltas, and an Answer at the end."""
        ...

    async def recall(self, response_id: str) -> Answer | None:
        """An answer that was begun; None if it never came to its end, and never will. Raises ProviderAway."""
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...
