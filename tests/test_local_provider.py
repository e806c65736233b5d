"""The local provider keeps files and stores, finds passages and quotes them, and behaves like any other."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import psutil
import pytest

from db import FileStatus, demo
from db.engine import Database
from resolvers.provisioning.extraction import EMPTY, TOO_LONG, WRONG_TYPE
from resolvers.provisioning.local import FOUND, FOUND_TOGETHER, NOTHING_FOUND, LocalProvider
from resolvers.provisioning.provider import Answer, Began, Content, Delta, Gone, Member, ProviderAway, Question, Turn
from tests.conftest import execute

MEGABYTE = 1024 * 1024
POND = """# The pond

Frogs live in the pond. They sing at night, from April until June, to be heard by other frogs.

## In winter

The frogs sleep in the mud at the bottom. Keep a hole in the ice open, so that gas can leave the water and they breathe.

## Feeding goldfish

Goldfish want little: feed them what they eat in two minutes, and nothing at all when the water is too cold.
"""


def content(words: str | bytes, times: int = 1) -> Content:
    piece = words.encode() if isinstance(words, str) else words

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(times):
            yield piece

    return Content("text/markdown", len(piece) * times, pieces)


def use(url: str, act: Callable[[LocalProvider], Awaitable[Any]], **options: Any) -> Any:
    async def using() -> Any:
        database = Database(url, **options)
        try:
            return await act(LocalProvider(database))
        finally:
            await database.close()

    return asyncio.run(using())


async def store_with(provider: LocalProvider, name: str, words: str | bytes) -> tuple[str, str]:
    file_id = await provider.put_file(name, content(words))
    store_id = await provider.make_store("A store", {"instance": "test"})
    await provider.attach(store_id, [file_id])
    return store_id, file_id


async def asked(provider: LocalProvider, store_ids: list[str], text: str, **options: Any) -> tuple[list[Any], Answer]:
    question = Question(text, None, "", store_ids=store_ids, **options)
    *events, answer = [event async for event in provider.answer(question)]
    assert isinstance(answer, Answer)
    return events, answer


def test_a_file_is_found_in_the_store_that_holds_it_until_it_is_taken_out(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)
        other = await provider.make_store("Another store", {})

        found = await provider.search([store_id], "How do frogs get through the winter?", 3)

        assert found[0].file_id == file_id
        assert found[0].file_name == "pond.md"
        assert found[0].text.startswith("The frogs sleep in the mud")
        assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
        assert 0 < found[0].score <= 1
        assert len(await provider.search([store_id], "frogs", 1)) == 1
        assert await provider.search([other], "How do frogs get through the winter?", 3) == []
        await provider.detach(store_id, file_id)
        await provider.detach(store_id, file_id)
        assert await provider.search([store_id], "frogs", 3) == []
        assert await provider.status(store_id) == []
        assert file_id in [file.id async for file in provider.files()]

    use(own_database, act)


def test_what_has_no_word_and_no_spelling_in_common_is_not_found(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "pond.md", POND)

        rare = "Which dishwasher connects to water in the kitchen of a rented apartment?"
        for question in ("Who invented the telescope?", rare, "the of and", "", "?!", "' \\ & | ! :*", "日本語"):
            assert await provider.search([store_id], question, 3) == [], question
        assert await provider.search([], "frogs", 3) == []

    use(own_database, act)


@pytest.mark.usefixtures("pgvector")
@pytest.mark.parametrize("question", ["goldfsh feding", "Goldfische", "frogs\x1f in; the 'winter' \\"])
def test_typing_errors_and_other_forms_are_found_by_their_spelling(own_database: str, question: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)

        found = await provider.search([store_id], question, 3)

        assert [passage.file_id for passage in found][:1] == [file_id]

    use(own_database, act)


@pytest.mark.usefixtures("pgvector")
def test_other_scripts_are_found_by_their_spelling(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "пруд.txt", "Лягушки живут в пруду. Зимой они спят в иле на дне.")

        assert await provider.search([store_id], "лягушка", 3)

    use(own_database, act)


def test_without_pgvector_words_are_found_and_spellings_are_not(own_database: str) -> None:
    asyncio.run(execute(own_database, "DROP EXTENSION IF EXISTS vector"))

    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "pond.md", POND)

        assert await provider.search([store_id], "frogs in winter", 3)
        assert await provider.search([store_id], "goldfsh feding", 3) == []

    use(own_database, act)


@pytest.mark.parametrize(
    ("name", "words", "error"),
    [
        ("empty.md", b"", EMPTY),
        ("image.pdf", b"\x89PNG\r\n\x1a\n\x00\x00", WRONG_TYPE),
        ("setup.exe", b"MZ\x90\x00", WRONG_TYPE),
    ],
)
def test_a_file_that_cannot_be_read_fails_in_its_store_with_the_reason(
    own_database: str, name: str, words: bytes, error: str
) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, name, words)

        assert await provider.status(store_id) == [Member(file_id, FileStatus.FAILED, error)]

    use(own_database, act)


def test_a_good_file_is_complete_at_once_and_attached_once(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)
        await provider.attach(store_id, [file_id])

        assert await provider.status(store_id) == [Member(file_id, FileStatus.COMPLETED)]
        assert file_id.startswith("file-local-")
        assert store_id.startswith("vs_local_")

    use(own_database, act)


def test_a_text_of_100_mb_is_refused_and_never_in_memory(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        before = psutil.Process(os.getpid()).memory_info().rss
        most = before

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal most
            for _ in range(100):
                most = max(most, psutil.Process(os.getpid()).memory_info().rss)
                yield b"word " * (MEGABYTE // 5)

        file_id = await provider.put_file("long.txt", Content("text/plain", 100 * MEGABYTE, pieces))

        most = max(most, psutil.Process(os.getpid()).memory_info().rss)
        assert most - before < 20 * MEGABYTE
        store_id = await provider.make_store("A store", {})
        await provider.attach(store_id, [file_id])
        assert [member.error for member in await provider.status(store_id)] == [TOO_LONG]

    use(own_database, act)


def test_a_long_text_is_kept_whole_while_others_are_served(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        words = "".join(f"The number of house {number} is painted in blue. " for number in range(30_000))
        putting = asyncio.create_task(provider.put_file("long.md", content(words)))
        turns = 0
        while not putting.done():
            await asyncio.sleep(0.005)
            turns += 1
        store_id = await provider.make_store("A store", {})
        await provider.attach(store_id, [putting.result()])

        found = await provider.search([store_id], "house 29999", 1)

        assert "house 29999" in found[0].text
        assert turns > 20

    use(own_database, act)


def test_no_connection_is_held_while_a_file_is_read(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            assert provider.database.connections.in_use == 0
            assert await provider.status(store_id) == []
            yield b"# Pond\n\nFrogs."

        store_id = await provider.make_store("A store", {})
        await provider.put_file("a.md", Content("text/markdown", 5, pieces))

    use(own_database, act, pool_size=1)


def test_files_and_stores_are_listed_the_newest_first(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)
        files = [file async for file in provider.files()]
        stores = [store async for store in provider.stores()]

        assert (files[0].id, files[0].name) == (file_id, "pond.md")
        assert (stores[0].id, stores[0].tags) == (store_id, {"instance": "test"})
        assert len(files) > 200
        for listed in (files, stores):
            assert len({each.id for each in listed}) == len(listed)
            assert [each.created_at for each in listed] == sorted((each.created_at for each in listed), reverse=True)

    use(own_database, act)


def test_what_is_deleted_is_gone_and_can_be_deleted_again(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)
        for _ in range(2):
            await provider.delete_file(file_id)
        assert await provider.status(store_id) == []
        with pytest.raises(Gone):
            await provider.attach(store_id, [file_id])
        for _ in range(2):
            await provider.delete_store(store_id)

        with pytest.raises(Gone):
            await provider.status(store_id)
        with pytest.raises(Gone):
            await provider.search([store_id], "frogs", 3)
        with pytest.raises(Gone):
            await provider.attach(store_id, [])
        with pytest.raises(Gone):
            await asked(provider, [store_id], "frogs")

    use(own_database, act)


def test_an_answer_quotes_passages_with_what_they_stand_under(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, file_id = await store_with(provider, "pond.md", POND)

        events, answer = await asked(provider, [store_id], "What do frogs do in winter?")

        began, *deltas = events
        assert began == Began(answer.response_id)
        assert len(deltas) >= 2
        assert answer.text == "".join(delta.text for delta in deltas if isinstance(delta, Delta))
        assert answer.text.startswith(FOUND)
        assert "> The frogs sleep in the mud at the bottom." in answer.text
        assert "*The pond › In winter*" in answer.text  # noqa: RUF001
        assert answer.passages[0].file_id == file_id
        assert (answer.input_tokens, answer.output_tokens, answer.is_complete) == (0, 0, True)
        assert (await asked(provider, [store_id], "frogs"))[1].response_id != answer.response_id
        assert await provider.recall(answer.response_id) is None

    use(own_database, act)


def test_words_that_several_files_have_are_quoted_once(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, first = await store_with(provider, "pond.md", POND)
        second = await provider.put_file("copy.md", content(POND))
        await provider.attach(store_id, [second])

        _, answer = await asked(provider, [store_id], "What do frogs do in winter?")

        assert answer.text.count("The frogs sleep in the mud at the bottom.") == 1
        assert {each.file_id for each in answer.passages} <= {first, second}
        assert len({each.text for each in answer.passages}) == len(answer.passages)

    use(own_database, act)


def test_an_answer_says_that_nothing_was_found(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "pond.md", POND)

        _, answer = await asked(provider, [store_id], "Who invented the telescope?")

        assert (answer.text, answer.passages) == (NOTHING_FOUND, [])
        assert (await asked(provider, [], "frogs"))[1].text == NOTHING_FOUND

    use(own_database, act)


def test_a_question_that_says_too_little_is_taken_together_with_the_one_before(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "pond.md", POND)
        history = [Turn("How much do I feed goldfish?", is_question=True), Turn("Little.", is_question=False)]

        _, answer = await asked(provider, [store_id], "And what else?", history=history)
        history += [Turn("And what else?", is_question=True), Turn(answer.text, is_question=False)]
        _, again = await asked(provider, [store_id], "How much do I feed goldfish?", history=history)
        history += [Turn("How much do I feed goldfish?", is_question=True), Turn(again.text, is_question=False)]
        _, repeated = await asked(provider, [store_id], "And what else?", history=history)

        assert answer.text.startswith(FOUND_TOGETHER)
        assert "nothing at all when the water is too cold" in answer.text
        assert again.text.startswith(FOUND)
        assert "nothing at all when the water is too cold" in again.text
        assert "nothing at all when the water is too cold" not in repeated.text

    use(own_database, act)


def test_an_answer_keeps_to_the_limit_of_tokens_after_the_first_passage(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        store_id, _ = await store_with(provider, "pond.md", POND)

        _, answer = await asked(provider, [store_id], "frogs in the pond in winter", max_output_tokens=40)

        assert len(answer.passages) == 1

    use(own_database, act)


def test_a_database_that_does_not_answer_is_a_provider_that_is_away() -> None:
    async def act(provider: LocalProvider) -> None:
        with pytest.raises(ProviderAway):
            await provider.status("vs_local_1")
        with pytest.raises(ProviderAway):
            await provider.put_file("pond.md", content(POND))
        with pytest.raises(ProviderAway):
            await provider.make_store("A store", {})

    use("postgresql://127.0.0.1:1/nothing", act)


def test_names_that_the_gateway_gives_are_not_shown_as_titles(own_database: str) -> None:
    async def act(provider: LocalProvider) -> None:
        name = "clonegraph.0123456789abcdef0123456789abcdef.My-pond-notes.txt"
        store_id, _ = await store_with(provider, name, "Frogs live in it.")

        _, answer = await asked(provider, [store_id], "frogs")

        assert "*My pond notes*" in answer.text

    use(own_database, act)


# The demo


def test_every_file_of_the_demo_is_at_the_local_provider_with_its_passages(demo_database: str) -> None:
    astray = """
        SELECT openai_file_id FROM (
            SELECT openai_file_id, 'document:' || id || ':' || sha256 AS op_key, sha256 FROM documents
            UNION ALL SELECT openai_file_id, 'knowledge:' || id || ':' || sha256, sha256 FROM knowledge
        ) AS things
        WHERE sha256 IS NULL OR openai_file_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM local_files JOIN remote_objects AS object ON object.remote_id = local_files.id
            WHERE local_files.id = openai_file_id AND object.name = local_files.name AND object.sha256 = things.sha256
                AND object.op_key = things.op_key AND (provider, kind, state) = ('local', 'file', 'live')
                AND EXISTS (SELECT FROM local_chunks WHERE file_id = local_files.id)
        )
        UNION ALL SELECT id FROM local_files WHERE id NOT IN (SELECT openai_file_id FROM documents
            WHERE openai_file_id IS NOT NULL
            UNION SELECT openai_file_id FROM knowledge WHERE openai_file_id IS NOT NULL)
    """
    assert asyncio.run(execute(demo_database, astray)) == []


def test_every_store_of_the_demo_is_at_the_local_provider_with_its_files(demo_database: str) -> None:
    astray = """
        SELECT vector_id FROM vector_stores AS store WHERE provider IS DISTINCT FROM 'local'
            OR NOT EXISTS (
                SELECT FROM local_stores JOIN remote_objects AS object ON object.remote_id = local_stores.id
                WHERE local_stores.id = vector_id AND object.op_key = tags->>'owner' AND object.name = tags->>'name'
                    AND (object.provider, kind, state) = ('local', 'store', 'live') AND object.op_key = (
                        SELECT coalesce(
                            (SELECT 'clone:' || id FROM clones WHERE vector_store_id = vector_id),
                            (SELECT 'expert:' || id FROM experts WHERE name = expert_name),
                            (SELECT 'domain:' || id FROM domains WHERE domains.domain_name = store.domain_name)
                        ) || ':store'))
            OR ARRAY(SELECT unnest(file_ids) ORDER BY 1)
                <> ARRAY(SELECT file_id FROM local_store_files WHERE store_id = vector_id ORDER BY 1)
        UNION ALL SELECT file_id FROM store_files AS file WHERE file_id IS NOT NULL AND sha256 IS DISTINCT FROM (
            SELECT sha256 FROM documents WHERE documents.id = document_id
            UNION ALL SELECT sha256 FROM knowledge WHERE knowledge.id = knowledge_id)
    """
    assert asyncio.run(execute(demo_database, astray)) == []


def test_the_files_of_the_demo_are_what_its_rows_say(demo_database: str) -> None:
    import hashlib

    files = {f"storage://{key}": hashlib.sha256(kept).hexdigest() for key, kept in demo.files(demo.Scale.SMALL)}
    rows = asyncio.run(
        execute(
            demo_database,
            "SELECT document_link, sha256 FROM documents UNION SELECT file_url, sha256 FROM knowledge",
        )
    )

    assert dict(rows) == files


def test_passages_of_the_demo_are_those_that_the_provider_would_make(own_database: str) -> None:
    key, text = next(demo.files(demo.Scale.SMALL))
    passages = "SELECT heading, passage, grams FROM local_chunks WHERE file_id = $1 ORDER BY position"
    same = "SELECT openai_file_id FROM documents WHERE document_link = $1 AND openai_file_id IS NOT NULL"

    file_id = use(own_database, lambda provider: provider.put_file("a.md", content(text)))

    ((loaded,),) = asyncio.run(execute(own_database, same, f"storage://{key}"))
    made: list[asyncpg.Record] = asyncio.run(execute(own_database, passages, file_id))
    assert made
    assert made == asyncio.run(execute(own_database, passages, loaded))
