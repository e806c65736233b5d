"""Chat with the providers that there are: the local one over the demo's documents, and one that speaks OpenAI's API."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.money import act, bank, findings, new_clone, start
from tests.provider_fake import Break, Fails, FakeProvider, Fault, Status
from tests.serving import Gateway
from tests.sockets import open_socket
from tests.test_chat import asked, replied, say
from tests.test_message_stream import Reader

SAMUELS = "session_01a1968e23607b639ae0942f34f1171d"
WORDS = "One two three four five six seven."


@pytest.fixture(scope="module")
def local(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway without a key, over the demo."""
    prices: dict[str, Any] = {"input_token_price": "10", "output_token_price": "10"}
    with bank(server_url, template, worker=True, **prices) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    fake.answerer = lambda body, found: WORDS
    with fake.running():
        yield fake


@pytest.fixture(scope="module")
def openai(server_url: str, template: str, fake: FakeProvider) -> Iterator[Gateway]:
    settings: dict[str, Any] = {"provider": "openai", "openai_api_key": fake.key, "openai_base_url": fake.base_url}
    prices: dict[str, Any] = {"input_token_price": "10", "output_token_price": "100"}
    with bank(server_url, template, worker=True, **settings, **prices) as gateway:
        yield gateway


def test_a_clone_of_the_demo_answers_without_a_key_and_says_from_where(local: Gateway) -> None:
    with open_socket(local, "samuel") as socket:
        reader = Reader(socket).follow(SAMUELS)
        reader.next()
        question = say(local, SAMUELS, as_="samuel", content="Where should the axis of a chart begin?")
        message = replied(local, question)
        event = reader.next()
        while event["reply"]["id"] != message["answer"]["id"] or event["reply"]["status"] != "DONE":
            event = reader.next()

    reply = asked(local, question, "samuel")["answer"]
    sources = reply["message"]["sources"]["nodes"]
    assert (reply["status"], reply["provider"], reply["isGenerated"]) == ("DONE", "local", False)
    assert reader.text == reply["message"]["content"]
    assert sources
    assert all(each["document"] or each["knowledge"] for each in local_sources(local, question))
    assert all(each["passage"] in reply["message"]["contextUsed"] for each in sources)
    assert {"title": "Reading a chart critically"} in reply["message"]["sourceNotes"]
    assert (reply["message"]["tokensUsed"], Decimal(reply["message"]["costIncrement"])) == (0, Decimal(0))


def local_sources(gateway: Gateway, question: str) -> list[dict[str, object]]:
    """The sources of an answer, for somebody who sees all documents."""
    nodes: list[dict[str, object]] = asked(gateway, question, "grace")["answer"]["message"]["sources"]["nodes"]
    return nodes


def test_a_clone_that_knows_nothing_says_so(local: Gateway) -> None:
    session = start(local, "petra", new_clone(local, "0"))

    reply = replied(local, say(local, session, as_="petra"))["answer"]

    assert reply["status"] == "DONE"
    assert reply["message"]["content"]
    assert reply["message"]["sources"]["nodes"] == []
    act(local, "endSession", "petra", id=session)


def test_a_model_answers_word_for_word_and_its_tokens_are_charged(openai: Gateway, fake: FakeProvider) -> None:
    session = start(openai, "petra", new_clone(openai, "0"))
    with open_socket(openai, "petra") as socket:
        reader = Reader(socket).follow(session)
        question = say(openai, session, as_="petra", content="Count")
        reader.until_status("DONE")

    reply = replied(openai, question)["answer"]
    assert reader.text == reply["message"]["content"] == WORDS
    assert (reply["provider"], reply["isGenerated"]) == ("openai", True)
    assert (reply["message"]["tokensUsed"], Decimal(reply["message"]["costIncrement"])) == (11, Decimal("0.74"))
    assert fake.count("POST /v1/responses") == 1


@pytest.mark.parametrize(
    ("fault", "begun", "status"),
    [
        (Status(429, "rate_limit_exceeded", retry_after=0), 2, "DONE"),
        (Status(503, retry_after=0), 2, "DONE"),
        (Status(401, "invalid_api_key"), 1, "FAILED"),
        (Status(429, "credit_balance_exhausted"), 1, "FAILED"),
        (Status(400, "context_length_exceeded"), 1, "FAILED"),
        (Break(3), 1, "DONE"),
        (Break(3, "gone"), 2, "DONE"),
        (Break(3, is_quiet=True), 1, "DONE"),
        (Fails(words=3), 2, "DONE"),
    ],
    ids=str,
)
def test_a_fault_of_the_provider_never_charges_twice(
    openai: Gateway, fake: FakeProvider, fault: Fault, begun: int, status: str
) -> None:
    session = start(openai, "petra", new_clone(openai, "0"))
    before = fake.count("POST /v1/responses")
    fake.fail("POST /v1/responses", fault)

    message = replied(openai, say(openai, session, as_="petra", content="Count"))

    assert message["answer"]["status"] == status
    assert Decimal(message["session"]["totalCost"]) == (Decimal("0.74") if status == "DONE" else 0)
    assert fake.count("POST /v1/responses") - before == begun
    assert findings(openai.database_url) == []
