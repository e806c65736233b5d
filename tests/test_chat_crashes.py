"""What becomes of an answer when whoever writes it is killed: it is there once, whole, and charged once, or not."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx2
import pytest

from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.chaos.acts import SECRET
from tests.chaos.workload import SETTINGS
from tests.conftest import fresh_database
from tests.crashing import Server
from tests.dying import FATES, command
from tests.money import balance, findings, grant, key_of, new_clone, send, session_of, sql, start
from tests.provider_fake import Call, End, FakeProvider, Moment
from tests.serving import Gateway
from tests.sockets import open_socket
from tests.test_chat import PATIENCE, replied, say
from tests.test_message_stream import Reader

Given = TypeVar("Given")
WORDS = "One two three four five six seven."
PRICES = {"INPUT_TOKEN_PRICE": "10", "OUTPUT_TOKEN_PRICE": "100"}
PRICE = Decimal("0.74")
"""A question counts as four words, and the answer has seven."""

LET_GO = "UPDATE replies SET due_at = clock_timestamp() WHERE id = $1 AND due_at IS NOT NULL"
END = """
    UPDATE sessions SET status = 'ended', end_time = now(), end_reason = 'user', metered_until = NULL WHERE id = $1
"""
CHARGES = "SELECT kind, -amount AS amount FROM credit_entries WHERE session_id = $1"
TEACH = """
    WITH document AS (
        INSERT INTO documents (id, name, document_link, domain)
        SELECT gen_random_uuid(), 'How to count ' || $3, 'https://example.com', domain_name FROM domains LIMIT 1
        RETURNING id
    ), store AS (
        INSERT INTO vector_stores (id, vector_id, owner, domain_name, provider, file_ids)
        SELECT gen_random_uuid(), $2, 'client', domain_name, 'openai', ARRAY[$3] FROM domains LIMIT 1 RETURNING id
    ), file AS (
        INSERT INTO store_files (vector_store_id, document_id, file_id, status)
        SELECT store.id, document.id, $3, 'completed' FROM store, document
    ), clone AS (
        UPDATE clones SET vector_store_id = $2 WHERE id = $1
    )
    SELECT id FROM document
"""
LINEAGE = "query($id: ID!) { document(id: $id) { answeredMessages { nodes { id } } sources { nodes { passage } } } }"


class Held:
    """Stops streamed answers of a provider at a word, until they are let go."""

    def __init__(self, fake: FakeProvider, word: int) -> None:
        self.word = word
        self.reached, self.released = threading.Event(), threading.Event()
        fake.on_call = self.on_call

    def on_call(self, call: Call, moment: Moment) -> None:
        if moment == "during":
            self.word -= 1
            if not self.word:
                self.reached.set()
                self.released.wait(PATIENCE)


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    fake.answerer = lambda body, found: WORDS
    with fake.running():
        yield fake


def environment(fake: FakeProvider, url: str) -> dict[str, str]:
    provider = {"PROVIDER": "openai", "OPENAI_API_KEY": fake.key, "OPENAI_BASE_URL": fake.base_url}
    return {**SETTINGS, **PRICES, **provider, "ABANDONED_AFTER": "600", "DATABASE_URL": url}


@contextmanager
def asking(server: Server, url: str) -> Iterator[Gateway]:
    """A server that runs, as tests ask it."""
    gateway = Gateway(server.address.rstrip("/"), url, Tokens(SECRET, Settings.read()))
    try:
        yield gateway
    finally:
        gateway.client.close()


def let_go(gateway: Gateway, reply: str) -> None:
    """Let the time pass for which a reply belongs to whoever has it."""
    sql(gateway.database_url, LET_GO, key_of(reply))


def taught(gateway: Gateway, fake: FakeProvider) -> tuple[str, str]:
    """The ids of a clone that answers from a document, and of the document."""
    clone, file, store = new_clone(gateway, "0"), fake.put_file("count.txt", 5, "", b"Count."), fake.make_store({})
    fake.attach(store["id"], {"file_id": file["id"]})
    (row,) = sql(gateway.database_url, TEACH, key_of(clone), store["id"], file["id"])
    return clone, f"document_{row['id'].hex}"


def expect_one_charge(gateway: Gateway, session: str, message: Any, document: str) -> None:
    charges = sql(gateway.database_url, CHARGES, key_of(session))
    drawn = gateway.ask(LINEAGE, as_="grace", id=document).data["document"]
    assert drawn["answeredMessages"]["nodes"] == [{"id": message["answer"]["message"]["id"]}]
    assert drawn["sources"]["nodes"] == [{"passage": "Count."}]
    assert message["answer"]["message"]["content"] == WORDS
    assert [(each["kind"], each["amount"]) for each in charges] == [("message_charge", PRICE)]
    assert message["session"]["messageCount"] == 2
    assert findings(gateway.database_url) == []


@pytest.mark.parametrize(
    "end",
    ["completed", "gone", "cancelled", "in_progress"],
    ids=["it was whole there", "it is not known there", "it was cancelled there", "it is still written there"],
)
def test_an_answer_whose_server_is_killed_is_brought_to_its_end_by_another(
    server_url: str, template: str, tmp_path: Path, fake: FakeProvider, end: End
) -> None:
    fake.abandoned = end
    held = Held(fake, 3)
    with fresh_database(server_url, template) as url, ExitStack() as life:
        servers = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            servers.append(Server(environment(fake, url), tmp_path / name))
        first, second = servers
        life.callback(second.stop)
        first.start()
        life.callback(first.stop)
        gateway = life.enter_context(asking(first, url))
        clone, document = taught(gateway, fake)
        session = start(gateway, "petra", clone)
        question = say(gateway, session, as_="petra", content="Count")
        assert held.reached.wait(PATIENCE)
        reply = replied(gateway, question, lambda reply: reply["content"].startswith("One two three"))["answer"]["id"]
        second.start()
        other = life.enter_context(asking(second, url))
        with open_socket(other, "petra") as socket:
            reader = Reader(socket).follow(session)
            reader.until("One two three ")

            first.stop()
            held.released.set()
            let_go(other, reply)
            if end == "in_progress":
                while not fake.count("GET /v1/responses/*"):
                    time.sleep(0.02)
                fake.finish()
            last = reader.until_status("DONE")

        assert reader.text == last["reply"]["message"]["content"] == WORDS
        assert fake.count("POST /v1/responses") == (2 if end in ("gone", "cancelled") else 1)
        expect_one_charge(other, session, replied(other, question), document)


@pytest.fixture(scope="module")
def counting() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    fake.answerer = lambda body, found: WORDS
    with fake.running():
        yield fake


@pytest.fixture(scope="module")
def mortal(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, counting: FakeProvider
) -> Iterator[tuple[Gateway, Path]]:
    """A gateway in processes of its own, which die where a file says so."""
    folder = tmp_path_factory.mktemp("mortal")
    with fresh_database(server_url, template) as url:
        server = Server(environment(counting, url), folder, command(folder))
        try:
            server.start()
            with asking(server, url) as gateway:
                grant(gateway, "petra", 1_000)
                yield gateway, folder / "fate"
        finally:
            server.stop()


@pytest.mark.parametrize("fate", FATES)
def test_wherever_a_worker_is_killed_there_is_one_answer_and_one_charge(
    mortal: tuple[Gateway, Path], counting: FakeProvider, fate: str
) -> None:
    gateway, path = mortal
    clone, document = taught(gateway, counting)
    session = start(gateway, "petra", clone)
    before, asked = balance(gateway, "petra"), counting.count("POST /v1/responses")
    path.write_text(fate)
    key = uuid4()

    sent = stubbornly(lambda: send(gateway, "sendMessage", "petra", key=key, sessionId=session, content="Count"))
    question = sent.data["done"]["row"]["id"]
    reply = stubbornly(lambda: replied(gateway, question, lambda reply: not path.exists()))["answer"]["id"]
    if fate not in ("CLAIM before", "CLAIM commit"):  # then nobody had it
        let_go(gateway, reply)
    message = stubbornly(lambda: replied(gateway, question))

    expect_one_charge(gateway, session, message, document)
    assert balance(gateway, "petra") == before - PRICE
    begun_twice = fate in ("BEGIN before", "BEGIN commit")
    assert counting.count("POST /v1/responses") - asked == (2 if begun_twice else 1)


def stubbornly(attempt: Callable[[], Given]) -> Given:
    """What comes of it in the end: the process that is asked may be the one that is killed."""
    while True:
        try:
            return attempt()
        except httpx2.TransportError:
            time.sleep(0.1)


def test_a_session_that_ends_while_nobody_is_there_to_answer_is_not_charged_for_an_answer(
    server_url: str, template: str, tmp_path: Path, fake: FakeProvider
) -> None:
    held = Held(fake, 3)
    with fresh_database(server_url, template) as url, ExitStack() as life:
        server = Server(environment(fake, url), tmp_path)
        server.start()
        life.callback(server.stop)
        gateway = life.enter_context(asking(server, url))
        session = start(gateway, "petra", new_clone(gateway, "0"))
        question = say(gateway, session, as_="petra", content="Count")
        assert held.reached.wait(PATIENCE)
        server.stop()
        held.released.set()
        sql(url, END, key_of(session))
        sql(url, "UPDATE replies SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")

        server.start()
        gateway = life.enter_context(asking(server, url))
        message = replied(gateway, question)

        assert (message["answer"]["status"], message["answer"]["content"]) == ("CANCELLED", "")
        assert Decimal(session_of(gateway, session)["totalCost"]) == 0
        assert findings(url) == []
