"""The provider that speaks OpenAI's API, over real HTTP, with a server that fails in every way that servers do."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any, TypeVar

import pytest

from db import FileStatus
from resolvers.provisioning import openai
from resolvers.provisioning.openai import MOST_BYTES, OpenAIProvider
from resolvers.provisioning.openai_models import DEFAULT_MODEL, REMAP, current
from resolvers.provisioning.provider import (
    Answer,
    Began,
    Content,
    Delta,
    Event,
    Gone,
    KeyRefused,
    Passage,
    Provider,
    ProviderAway,
    ProviderError,
    ProviderRefused,
    Question,
    QuotaExceeded,
    RateLimited,
    Turn,
)
from resolvers.provisioning.providers import ProviderOptions
from tests.provider_fake import Break, Cut, Drop, Fails, FakeProvider, Fault, Hang, Malformed, Moment, Status
from tests.test_uploads import MEGABYTE, memory

Result = TypeVar("Result")
Act = Callable[[Provider], Awaitable[Any]]

CATS = "Cats purr when they are content.\n\nCats sleep for most of the day."
DOGS = "Dogs bark at strangers.\n\nA dog wags its tail."


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider that works, until it is told to fail."""
    fake = FakeProvider()
    with fake.running():
        yield fake


def use(fake: FakeProvider, act: Callable[[Provider], Awaitable[Result]], **options: Any) -> Result:
    """What comes of an act at that provider."""
    chosen: dict[str, Any] = {"key": fake.key, "base_url": fake.base_url, "timeout": 10} | options

    async def run() -> Result:
        provider = OpenAIProvider(ProviderOptions(**chosen))
        try:
            return await act(provider)
        finally:
            await provider.close()

    return asyncio.run(run())


def text(words: str | bytes, size: int | None = None) -> Content:
    """A text as the content of a file."""
    content = words.encode() if isinstance(words, str) else words

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return Content("text/plain", len(content) if size is None else size, pieces)


async def everything(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def stocked(provider: Provider, **texts: str) -> tuple[str, dict[str, str]]:
    """A new store of texts, and the ids of its files by name."""
    store_id = await provider.make_store("Animals", {})
    files = {name: await provider.put_file(f"{name}.md", text(words)) for name, words in texts.items()}
    await provider.attach(store_id, list(files.values()))
    return store_id, files


def asked(fake: FakeProvider, question: Question, **options: Any) -> list[Event]:
    return use(fake, lambda provider: everything(provider.answer(question)), **options)


def answered(fake: FakeProvider, question: Question) -> Answer:
    answer = asked(fake, question)[-1]
    assert isinstance(answer, Answer)
    return answer


QUESTION = Question("Why do cats purr?", None, "You are kind.")
CREATES: dict[str, tuple[str, Act]] = {
    "a file": ("POST /v1/files", lambda provider: provider.put_file("a.txt", text("a"))),
    "a store": ("POST /v1/vector_stores", lambda provider: provider.make_store("A", {})),
    "a batch": ("POST /v1/vector_stores/*/file_batches", lambda provider: provider.attach("vs_1", ["file-1"])),
    "an answer": ("POST /v1/responses", lambda provider: everything(provider.answer(QUESTION))),
}
ACTS: dict[str, Act] = {
    **{f"make {name}": act for name, (_, act) in CREATES.items()},
    "list files": lambda provider: anext(aiter(provider.files()), None),
    "list stores": lambda provider: anext(aiter(provider.stores()), None),
    "delete a file": lambda provider: provider.delete_file("file-1"),
    "delete a store": lambda provider: provider.delete_store("vs_1"),
    "detach": lambda provider: provider.detach("vs_1", "file-1"),
    "status": lambda provider: provider.status("vs_1"),
    "search": lambda provider: provider.search(["vs_1", "vs_2"], "cats", 5),
    "recall": lambda provider: provider.recall("resp_1"),
}


# Files


def test_a_file_is_kept_as_it_is_under_its_name(fake: FakeProvider) -> None:
    file_id = use(fake, lambda provider: provider.put_file("Über Katzen.md", text(CATS)))

    kept = fake.files[file_id]
    assert (kept.name, kept.size) == ("Über Katzen.md", len(CATS))
    assert kept.sha256 == hashlib.sha256(CATS.encode()).hexdigest()


def test_a_large_file_takes_no_memory(fake: FakeProvider) -> None:
    piece = bytes(MEGABYTE)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield piece

    use(fake, lambda provider: provider.put_file("small.bin", text("small")))
    with memory() as seen:
        file_id = use(
            fake, lambda provider: provider.put_file("large.bin", Content("text/plain", 100 * MEGABYTE, pieces))
        )

    assert fake.files[file_id].size == 100 * MEGABYTE
    assert max(seen) - seen[0] < 30 * MEGABYTE


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProviderRefused, match="512 MB at most"):
        use(fake, lambda provider: provider.put_file("large.bin", text("", size=MOST_BYTES + 1)))
    monkeypatch.setattr(openai, "MOST_BYTES", 3)
    with pytest.raises(ProviderRefused, match="512 MB at most"):
        use(fake, lambda provider: provider.put_file("larger than it says.bin", text("four", size=3)))

    assert fake.calls == []


@pytest.mark.parametrize("name", ['"quoted".txt', "back\\slash.txt", "two\nlines.txt"])
def test_a_name_that_would_not_arrive_as_it_is_is_refused(fake: FakeProvider, name: str) -> None:
    with pytest.raises(ProviderRefused, match="Rename it"):
        use(fake, lambda provider: provider.put_file(name, text("a")))

    assert fake.calls == []


def test_files_come_newest_first_and_page_by_page(fake: FakeProvider) -> None:
    ids = [fake.put_file(f"{number}.txt", 1, "", b"a")["id"] for number in range(250)]

    async def first(provider: Provider) -> str:
        async for file in provider.files():
            return file.id
        raise AssertionError

    async def names(provider: Provider) -> list[str]:
        return [file.name async for file in provider.files()]

    assert use(fake, first) == ids[-1]
    assert fake.count("GET /v1/files") == 1
    assert use(fake, names) == [f"{number}.txt" for number in reversed(range(250))]
    assert fake.count("GET /v1/files") == 4


def test_files_come_newest_first_from_a_server_that_cannot_sort(fake: FakeProvider) -> None:
    for number in range(150):
        fake.files[fake.put_file(f"{number}.txt", 1, "", b"a")["id"]].created_at = 1_000 + number
    fake.order_ignored = True

    async def names(provider: Provider) -> list[str]:
        return [file.name async for file in provider.files()]

    assert use(fake, names) == [f"{number}.txt" for number in reversed(range(150))]


def test_a_server_that_repeats_its_first_page_is_read_once(fake: FakeProvider) -> None:
    ids = [fake.put_file(f"{number}.txt", 1, "", b"a")["id"] for number in range(150)]
    fake.after_ignored = True

    async def listed(provider: Provider) -> list[str]:
        return [file.id async for file in provider.files()]

    assert use(fake, listed) == ids[:49:-1]


def test_a_file_is_deleted_from_all_stores_and_only_once(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> str:
        store_id, files = await stocked(provider, cats=CATS, dogs=DOGS)
        await provider.delete_file(files["cats"])
        await provider.delete_file(files["cats"])
        return store_id

    store_id = use(fake, act)

    assert fake.held(store_id) == {"dogs.md"}
    assert len(fake.live()) == 2


# Stores


def test_a_store_is_told_with_its_tags(fake: FakeProvider) -> None:
    tags = {"instance": "here", "owner": "clone:1"}

    async def act(provider: Provider) -> list[tuple[str, dict[str, str]]]:
        await provider.make_store("Older", {})
        await provider.make_store("Newer", tags)
        return [(fake.stores[store.id].name, dict(store.tags)) async for store in provider.stores()]

    assert use(fake, act) == [("Newer", tags), ("Older", {})]


def test_a_store_is_deleted_without_its_files_and_only_once(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> dict[str, str]:
        store_id, files = await stocked(provider, cats=CATS)
        await provider.delete_store(store_id)
        await provider.delete_store(store_id)
        await provider.detach(store_id, files["cats"])
        return files

    files = use(fake, act)

    assert fake.live() == {("file", files["cats"])}


def test_files_are_put_into_a_store_in_batches(fake: FakeProvider) -> None:
    store_id = fake.make_store({"name": "Many"})["id"]
    ids = [fake.put_file(f"{number}.txt", 1, "", b"a")["id"] for number in range(1_100)]

    batch_id = use(fake, lambda provider: provider.attach(store_id, [*ids, ids[0]]))

    bodies = [call.body for call in fake.calls]
    assert [list(body) for body in bodies] == [["file_ids"]] * 3
    assert [len(body["file_ids"]) for body in bodies] == [500, 500, 100]
    assert list(fake.stores[store_id].members) == ids
    assert batch_id == list(fake.stores[store_id].batches)[-1]
    assert fake.attached_twice() == set()


def test_a_server_without_batches_is_asked_once_for_them(fake: FakeProvider) -> None:
    fake.no_file_batches = True
    store_id = fake.make_store({"name": "Plain"})["id"]
    ids = [fake.put_file(f"{number}.txt", 1, "", b"a")["id"] for number in range(4)]

    async def act(provider: Provider) -> list[str | None]:
        return [await provider.attach(store_id, ids[:2]), await provider.attach(store_id, ids[2:])]

    assert use(fake, act) == [None, None]
    assert fake.count("POST /v1/vector_stores/*/file_batches") == 1
    assert fake.count("POST /v1/vector_stores/*/files") == 4
    assert list(fake.stores[store_id].members) == ids
    assert fake.attached_twice() == set()


def test_a_missing_file_is_not_taken_for_a_server_without_batches(fake: FakeProvider) -> None:
    store_id = fake.make_store({"name": "A"})["id"]
    file_id = fake.put_file("a.txt", 1, "", b"a")["id"]

    async def act(provider: Provider) -> str | None:
        with pytest.raises(Gone):
            await provider.attach(store_id, ["file-gone"])
        with pytest.raises(Gone):
            await provider.attach("vs_gone", [file_id])
        return await provider.attach(store_id, [file_id])

    assert use(fake, act) in fake.stores[store_id].batches


def test_a_batch_that_leaves_files_out_is_noticed(fake: FakeProvider) -> None:
    fake.most_in_batch = 1

    with pytest.raises(ProviderAway, match="took 1 of 2 files"):
        use(fake, lambda provider: stocked(provider, cats=CATS, dogs=DOGS))


def test_every_file_of_a_store_tells_how_far_it_is(fake: FakeProvider) -> None:
    fake.indexing_polls = 2
    fake.unreadable("1.txt")
    fake.never_read("2.txt")
    store_id = fake.make_store({"name": "Many"})["id"]
    ids = [fake.put_file(f"{number}.txt", 1, "", b"a")["id"] for number in range(150)]

    async def act(provider: Provider) -> list[list[FileStatus]]:
        await provider.attach(store_id, ids)
        looks = [await provider.status(store_id) for _ in range(2)]
        return [[{member.file_id: member.status for member in look}[id_] for id_ in ids] for look in looks]

    first, second = use(fake, act)

    assert first == [FileStatus.IN_PROGRESS] * 150
    assert second[:4] == [
        FileStatus.COMPLETED,
        FileStatus.FAILED,
        FileStatus.IN_PROGRESS,
        FileStatus.COMPLETED,
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("unsupported_file", "Upload it as PDF"),
        ("invalid_file", "save it again"),
        ("server_error", "Try again"),
        ("a_new_code", "could not read the file"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(fake: FakeProvider, code: str, words: str) -> None:
    fake.unreadable("cats.md", code)

    async def act(provider: Provider) -> str | None:
        store_id, _ = await stocked(provider, cats=CATS)
        (member,) = await provider.status(store_id)
        return member.error

    assert words in (use(fake, act) or "")


def test_the_status_of_a_store_that_is_gone_is_an_error(fake: FakeProvider) -> None:
    with pytest.raises(Gone, match="made anew"):
        use(fake, lambda provider: provider.status("vs_gone"))


# Search


def test_the_best_passages_of_all_stores_come_first(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> list[tuple[str, str]]:
        stores = [(await stocked(provider, **{name: words}))[0] for name, words in (("cats", CATS), ("dogs", DOGS))]
        found = await provider.search(stores, "dog tail, or cats", 3)
        return [(passage.file_name, passage.text) for passage in found]

    found = use(fake, act)

    assert found[0] == ("dogs.md", "A dog wags its tail.")
    assert [name for name, _ in found[1:]] == ["cats.md", "cats.md"]


def test_no_more_passages_are_asked_for_than_there_may_be(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> None:
        store_id, _ = await stocked(provider, cats=CATS)
        await provider.search([store_id], "cats", 1_000)

    use(fake, act)

    assert fake.calls[-1].body["max_num_results"] == 50


def test_a_server_that_cannot_search_is_told_from_a_store_that_is_gone(fake: FakeProvider) -> None:
    with pytest.raises(Gone):
        use(fake, lambda provider: provider.search(["vs_gone"], "cats", 5))

    fake.no_search = True
    store_id = fake.make_store({"name": "A"})["id"]

    with pytest.raises(ProviderRefused, match="cannot search"):
        use(fake, lambda provider: provider.search([store_id], "cats", 5))
    with pytest.raises(Gone):
        use(fake, lambda provider: provider.search(["vs_gone"], "cats", 5))


# Answers


def test_an_answer_comes_word_by_word_and_then_as_a_whole(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> list[Event]:
        store_id, _ = await stocked(provider, cats=CATS, dogs=DOGS)
        question = Question("Why do cats purr and dogs bark?", None, "You are kind.", store_ids=[store_id])
        return await everything(provider.answer(question))

    began, *deltas, answer = use(fake, act)

    assert isinstance(began, Began)
    assert isinstance(answer, Answer)
    assert began.response_id == answer.response_id
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == answer.text
    assert len(deltas) > 3
    assert answer.text.startswith("According to cats.md: Cats purr")
    assert (answer.model, answer.is_complete) == (DEFAULT_MODEL, True)
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0
    assert [passage.file_name for passage in answer.passages] == ["cats.md", "cats.md", "dogs.md"]


def test_the_first_word_comes_before_the_last_is_written(fake: FakeProvider) -> None:
    async def act(provider: Provider) -> list[str]:
        states = []
        async with aclosing(provider.answer(QUESTION)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Began):
                    response_id = event.response_id
                states.append(fake.responses[response_id]["status"])
        return states

    fake.word_delay = 0.01
    states = use(fake, act)

    assert states[1] == "in_progress"
    assert states[-1] == "completed"


def test_a_question_is_sent_with_all_that_belongs_to_it(fake: FakeProvider) -> None:
    history = [Turn("Hello", is_question=True), Turn("Hi!", is_question=False)]
    question = Question("Why?", "gpt-6-sol", "You are kind.", history, (), 0.3, 5, {"session": "1"})

    asked(fake, question)

    assert fake.calls[-1].body == {
        "model": "gpt-6-sol",
        "instructions": "You are kind.",
        "input": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": "Why?"},
        ],
        "temperature": 0.3,
        "max_output_tokens": 16,
        "metadata": {"session": "1"},
        "store": True,
        "stream": True,
    }


def test_an_answer_that_was_cut_off_says_so(fake: FakeProvider) -> None:
    fake.answerer = lambda _body, _found: "word " * 40

    answer = answered(fake, Question("Why?", None, "", max_output_tokens=20))

    assert not answer.is_complete
    assert len(answer.text.split()) == 20


def test_a_model_without_temperature_is_asked_again_once(fake: FakeProvider) -> None:
    fake.models_without_temperature = {"gpt-6-sol"}
    question = Question("Why?", "gpt-6-sol", "", temperature=0.3)

    async def act(provider: Provider) -> None:
        for _ in range(2):
            await everything(provider.answer(question))

    use(fake, act)

    assert ["temperature" in call.body for call in fake.calls] == [True, False, False]
    assert len(fake.responses) == 2


def test_an_answer_without_usage_or_results_is_an_answer(fake: FakeProvider) -> None:
    fake.no_usage = True

    answer = answered(fake, QUESTION)

    assert (answer.input_tokens, answer.output_tokens, answer.passages) == (0, 0, [])


def test_passages_with_ids_of_the_servers_own_keep_the_names_of_files(fake: FakeProvider) -> None:
    fake.internal_citation_ids = True

    async def act(provider: Provider) -> tuple[Event, dict[str, str]]:
        store_id, files = await stocked(provider, cats=CATS)
        return (await everything(provider.answer(Question("Cats?", None, "", store_ids=[store_id]))))[-1], files

    answer, files = use(fake, act)

    assert isinstance(answer, Answer)
    assert {passage.file_name for passage in answer.passages} == {"cats.md"}
    assert all(passage.file_id not in files.values() for passage in answer.passages)


def test_cited_files_come_before_better_passages_that_are_not_cited(fake: FakeProvider) -> None:
    fake.cited = 1

    async def act(provider: Provider) -> Event:
        store_id, _ = await stocked(provider, cats=CATS, dogs=DOGS)
        question = Question("Do cats purr when dogs bark?", None, "", store_ids=[store_id])
        return (await everything(provider.answer(question)))[-1]

    answer = use(fake, act)

    assert isinstance(answer, Answer)
    assert [passage.file_name for passage in answer.passages] == ["dogs.md", "cats.md", "cats.md"]
    assert answer.passages[0].score < answer.passages[1].score


def test_what_is_cited_is_told_although_the_server_does_not_show_it(fake: FakeProvider) -> None:
    fake.include_ignored = True

    async def act(provider: Provider) -> tuple[Event, str]:
        store_id, files = await stocked(provider, cats=CATS)
        return (await everything(provider.answer(Question("Cats?", None, "", store_ids=[store_id]))))[-1], files["cats"]

    answer, file_id = use(fake, act)

    assert isinstance(answer, Answer)
    assert list(answer.passages) == [Passage(file_id, "cats.md", "", 0)]


def test_the_words_of_a_stream_are_the_answer_of_a_server_that_does_not_repeat_them(fake: FakeProvider) -> None:
    fake.no_final_output = True

    assert answered(fake, QUESTION).text == "I found nothing about that."


def test_a_retired_model_gives_way_to_its_successor_at_openai_only(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Question("Why?", "gpt-4-turbo", "")

    elsewhere = answered(fake, question)
    monkeypatch.setattr(openai, "OPENAI", ("127.0.0.1",))
    at_openai = answered(fake, question)

    assert (elsewhere.model, at_openai.model) == ("gpt-4-turbo", "gpt-6.1-sol")


def test_a_model_is_replaced_from_the_day_on_which_it_is_shut_down() -> None:
    retired = REMAP["gpt-4o"]

    assert current("gpt-4o", retired.on - timedelta(days=1)) == "gpt-4o"
    assert current("gpt-4o", retired.on) == retired.successor
    assert all(each.successor not in REMAP for each in REMAP.values())
    assert DEFAULT_MODEL not in REMAP


def test_the_operators_model_answers_unless_the_question_names_one(fake: FakeProvider) -> None:
    _, *_, answer = asked(fake, QUESTION, model="a-local-model")

    assert isinstance(answer, Answer)
    assert answer.model == "a-local-model"


@pytest.mark.parametrize("is_quiet", [True, False])
def test_an_answer_that_breaks_off_can_be_recalled(fake: FakeProvider, is_quiet: bool) -> None:
    fake.fail("POST /v1/responses", Break(2, is_quiet=is_quiet))
    seen: list[Event] = []

    async def collect(provider: Provider) -> None:
        async for event in provider.answer(QUESTION):
            seen.append(event)  # noqa: PERF401 (what came before it broke off is wanted)

    async def act(provider: Provider) -> Answer | None:
        with pytest.raises(ProviderAway):
            await collect(provider)
        assert isinstance(seen[0], Began)
        return await provider.recall(seen[0].response_id)

    answer = use(fake, act)

    assert [type(event) for event in seen] == [Began, Delta, Delta]
    assert answer
    assert answer.text == "I found nothing about that."
    assert answer.output_tokens > 0
    assert fake.count("POST /v1/responses") == 1


def test_an_answer_that_is_still_being_written_can_be_recalled_later(fake: FakeProvider) -> None:
    fake.fail("POST /v1/responses", Break(1, then="in_progress"))
    with pytest.raises(ProviderAway):
        asked(fake, QUESTION)
    (response_id,) = fake.responses

    with pytest.raises(ProviderAway, match="still being written") as caught:
        use(fake, lambda provider: provider.recall(response_id))
    fake.finish()

    assert caught.value.retry_after == 1
    assert use(fake, lambda provider: provider.recall(response_id))


@pytest.mark.parametrize("end", ["failed", "cancelled", "gone"])
def test_an_answer_that_never_came_to_its_end_is_none(fake: FakeProvider, end: Any) -> None:
    fake.fail("POST /v1/responses", Break(1, then=end))
    fake.on_call = lambda _call, moment: began.extend(fake.responses) if moment == "after" else None
    began: list[str] = []
    with pytest.raises(ProviderAway):
        asked(fake, QUESTION)

    assert use(fake, lambda provider: provider.recall(began[0])) is None


def test_an_answer_that_nobody_listens_to_any_more_is_let_go(fake: FakeProvider) -> None:
    fake.answerer = lambda _body, _found: "word " * 1_000
    fake.abandoned = "cancelled"
    fake.word_delay = 0.01

    async def act(provider: Provider) -> None:
        events = aiter(provider.answer(QUESTION))
        await anext(events)
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        (response_id,) = fake.responses
        while fake.responses[response_id]["status"] == "in_progress":  # noqa: ASYNC110 (it is another thread's)
            await asyncio.sleep(0.01)
        assert await provider.recall(response_id) is None

    use(fake, act)


@pytest.mark.parametrize("event", ["response.failed", "error"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ProviderAway),
        ("vector_store_timeout", ProviderAway),
        ("502", ProviderAway),
        ("rate_limit_exceeded", RateLimited),
        ("429", RateLimited),
        ("insufficient_quota", QuotaExceeded),
        ("invalid_prompt", ProviderRefused),
    ],
)
def test_an_answer_that_fails_while_it_is_written_says_why(
    fake: FakeProvider, event: Any, code: str, kind: type[ProviderError]
) -> None:
    fake.fail("POST /v1/responses", Fails(code, words=1, event=event))

    with pytest.raises(ProviderError) as caught:
        asked(fake, QUESTION)

    assert type(caught.value) is kind


# Errors


MOMENTS: Sequence[Moment] = ("before", "after")
UNPAID: Sequence[str] = (
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "insufficient_quota",
)
ERRORS: list[tuple[Fault, type[ProviderError]]] = [
    *((Status(429, code), QuotaExceeded) for code in UNPAID),
    (Status(402), QuotaExceeded),
    (Status(429, "rate_limit_exceeded"), RateLimited),
    (Status(429), RateLimited),
    (Status(401, "invalid_api_key"), KeyRefused),
    (Status(403), KeyRefused),
    (Status(400, message="The title is too long."), ProviderRefused),
    (Status(413), ProviderRefused),
    (Status(422), ProviderRefused),
    (Status(408), ProviderAway),
    (Status(409), ProviderAway),
    (Status(500), ProviderAway),
    (Status(503, retry_after=2), ProviderAway),
    (Drop(), ProviderAway),
    (Hang(5), ProviderAway),
    (Malformed(), ProviderAway),
    (Cut(200), ProviderAway),
    (Cut(500), ProviderAway),
]


@pytest.mark.parametrize(("fault", "kind"), ERRORS, ids=str)
def test_whatever_goes_wrong_is_said_once_and_nothing_is_sent_twice(
    fake: FakeProvider, fault: Fault, kind: type[ProviderError]
) -> None:
    async def acts(provider: Provider) -> list[ProviderError]:
        errors = []
        for match, act in CREATES.values():
            fake.fail(match, fault, times=9)
            with pytest.raises(ProviderError) as caught:
                await act(provider)
            errors.append(caught.value)
        return errors

    errors = use(fake, acts, timeout=0.5)

    assert [type(error) for error in errors] == [kind] * len(CREATES)
    assert [fake.count(match) for match, _ in CREATES.values()] == [1] * len(CREATES)
    assert len(fake.calls) == len(CREATES)
    assert all(str(error).endswith(".") for error in errors)


@pytest.mark.parametrize("act", ACTS)
def test_nothing_but_errors_of_the_port_comes_out(fake: FakeProvider, act: str) -> None:
    async def acts(provider: Provider) -> None:
        for when, (fault, _) in product(MOMENTS, ERRORS):
            if not isinstance(fault, Hang):
                fake.fail("* /**", fault, when=when)
                with pytest.raises(ProviderError):
                    await ACTS[act](provider)

    use(fake, acts)

    assert fake.faults_met == 2 * (len(ERRORS) - 1)


@pytest.mark.parametrize("create", ["a file", "a store"])
def test_what_was_made_before_the_answer_was_lost_is_there(fake: FakeProvider, create: str) -> None:
    match, act = CREATES[create]
    fake.fail(match, Drop(), when="after")

    with pytest.raises(ProviderAway):
        use(fake, act)

    assert len(fake.live()) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_provider_says_how_long_it_wants_to_be_left_alone(fake: FakeProvider, status: int) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=10)
    waits = []
    for value in (0, 1.5, 300, format_datetime(moment, usegmt=True), "soon", "inf", None):
        fake.fail("POST /v1/vector_stores", Status(status, retry_after=value))
        with pytest.raises(ProviderError) as caught:
            use(fake, lambda provider: provider.make_store("A", {}))
        assert isinstance(caught.value, RateLimited | ProviderAway)
        waits.append(caught.value.retry_after)

    assert waits[:3] == [0, 1.5, 300]
    assert 500 < (waits[3] or 0) <= 600
    assert waits[4:] == [None, None, None]


def test_a_model_that_is_not_there_is_refused_rather_than_gone(fake: FakeProvider) -> None:
    fake.models_that_are_gone = {"gpt-1"}

    with pytest.raises(ProviderRefused, match="Choose another one"):
        asked(fake, Question("Why?", "gpt-1", ""))


def test_an_answer_about_a_store_that_is_gone_says_so(fake: FakeProvider) -> None:
    with pytest.raises(Gone):
        asked(fake, Question("Why?", None, "", store_ids=["vs_gone"]))


def test_a_wrong_key_and_none_are_refused_without_being_shown(fake: FakeProvider) -> None:
    for key in ("sk-wrong", None):
        with pytest.raises(KeyRefused) as caught:
            use(fake, lambda provider: provider.make_store("A", {}), key=key)
        assert "sk-" not in str(caught.value)


def test_what_the_provider_says_is_told_in_short_and_without_keys(fake: FakeProvider) -> None:
    fake.fail("POST /v1/vector_stores", Status(400, message="The key sk-abc_123 is\nno name. " + "x" * 1_000))

    with pytest.raises(ProviderRefused) as caught:
        use(fake, lambda provider: provider.make_store("A", {}))

    message = str(caught.value)
    assert message.startswith("The AI provider refuses this. It says: The key (key) is no name. xxx")
    assert len(message) < 400


def test_a_server_that_falls_silent_in_mid_answer_is_not_waited_for(fake: FakeProvider) -> None:
    fake.word_delay = 5

    with pytest.raises(ProviderAway, match="does not answer"):
        asked(fake, QUESTION, timeout=0.5)


def test_at_random_faults_there_is_an_answer_or_an_error_of_the_port(fake: FakeProvider) -> None:
    fake.chaos(0.5, seed=7)
    outcomes: set[type[ProviderError] | None] = set()

    async def act(provider: Provider) -> None:
        for each in [*ACTS.values()] * 10:
            try:
                await each(provider)
            except ProviderError as error:
                outcomes.add(type(error))
            else:
                outcomes.add(None)

    use(fake, act)

    assert fake.faults_met > len(ACTS)
    assert outcomes >= {None, ProviderAway, RateLimited}
