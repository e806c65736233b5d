"""Chat: a question, an answer from what the clone may know, and what it costs, whatever goes wrong at the provider."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from db import Scope
from resolvers.provisioning.provider import (
    Gone,
    KeyRefused,
    Passage,
    ProviderAway,
    ProviderError,
    ProviderRefused,
    QuotaExceeded,
    RateLimited,
)
from tests.money import (
    Who,
    act,
    balance,
    bank,
    findings,
    grant,
    key_of,
    new_clone,
    problem,
    send,
    service_headers,
    session_of,
    set_balance,
    sql,
    start,
)
from tests.scripted import Hold, Script, Scripted
from tests.serving import Gateway

PATIENCE = 30
PRICES = {"input_token_price": "0.05", "output_token_price": "0.25"}
PRICE = Decimal("0.3")
"""What the scripted answers cost: a thousand tokens each way."""

REPLY = """query($id: ID!) { message(id: $id) {
    session { id status totalCost messageCount endReason }
    answer { id status content provider model isGenerated errorCode errorMessage isRetryable
        question { id } session { id }
        message { id senderType content contextUsed costIncrement tokensUsed sourceNotes
            reply { id } creditEntries { nodes { kind amount } }
            sources { nodes { rank score passage document { id } knowledge { id } } } } } } }"""
OPEN = ("PENDING", "ANSWERING")


@pytest.fixture(scope="module")
def provider() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def chatting(server_url: str, template: str, provider: Scripted) -> Iterator[Gateway]:
    """A gateway whose clones answer what the tests say. A thousand tokens in cost 0.05 credits, and out 0.25."""
    with bank(server_url, template, ai=provider, worker=True, **PRICES) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


@pytest.fixture
def scripted(provider: Scripted) -> Scripted:
    """The provider, with nothing to answer and nothing to remember yet."""
    provider.scripts.clear()
    provider.asked.clear()
    provider.recalls.clear()
    provider.recalled.clear()
    return provider


@pytest.fixture
def session(chatting: Gateway) -> str:
    """A session of Aiko's in which time costs nothing, so that all that moves is what messages cost."""
    return start(chatting, clone=new_clone(chatting, "0"))


def say(gateway: Gateway, session: str, as_: Who = "aiko", **values: Any) -> str:
    """The id of a new question."""
    question: str = act(gateway, "sendMessage", as_, sessionId=session, **{"content": "Why?"} | values)["id"]
    return question


def asked(gateway: Gateway, question: str, as_: str | None = "aiko") -> Any:
    """A question as it is now, with its answer."""
    return gateway.ask(REPLY, as_=as_, id=question).data["message"]


def replied(gateway: Gateway, question: str, until: Callable[[Any], bool] | None = None) -> Any:
    """A question, once its answer has come to its end, or to a point."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        message = asked(gateway, question, "grace")
        if until(message["answer"]) if until else message["answer"]["status"] not in OPEN:
            return asked(gateway, question, "grace")  # the statements of one operation may see different moments
        time.sleep(0.02)
    raise AssertionError(message)


@contextmanager
def writing(gateway: Gateway, scripted: Scripted, session: str, *words: str) -> Iterator[str]:
    """A question whose answer is being written, and goes on when the block ends."""
    hold = Hold()
    scripted.will(*(words or ("Well",)), hold, " so.")
    question = say(gateway, session)
    hold.wait()
    try:
        yield question
    finally:
        hold.release()


# A question and its answer


def test_a_question_is_answered_and_charged_as_soon_as_the_answer_is_whole(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    before = balance(chatting, "aiko")
    scripted.will("Because", " it", " is so.", input_tokens=1_200, output_tokens=800)

    question = say(chatting, session, content="Why is it so?")

    message = replied(chatting, question)
    reply = message["answer"]
    made = reply["message"]
    assert (reply["status"], reply["content"]) == ("DONE", "Because it is so.")
    assert (reply["provider"], reply["model"], reply["isGenerated"]) == ("scripted", "scripted-1", True)
    assert (reply["question"]["id"], reply["session"]["id"]) == (question, session)
    assert (made["senderType"], made["content"], made["tokensUsed"]) == ("AI", "Because it is so.", 2_000)
    assert made["reply"]["id"] == reply["id"]
    assert Decimal(made["costIncrement"]) == Decimal("0.26")
    assert [(each["kind"], Decimal(each["amount"])) for each in made["creditEntries"]["nodes"]] == [
        ("MESSAGE_CHARGE", Decimal("-0.26"))
    ]
    assert (message["session"]["messageCount"], Decimal(message["session"]["totalCost"])) == (2, Decimal("0.26"))
    assert balance(chatting, "aiko") == before - Decimal("0.26")
    assert [each.text for each in scripted.asked] == ["Why is it so?"]


def test_what_is_asked_comes_back_at_once_with_a_reply_that_is_not_there_yet(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    sent = """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
        message { id senderType content session { id } } reply { status question { content } }
        userErrors { code } } }"""
    hold = Hold()
    scripted.will(hold, "So.")

    wanted = {"sessionId": session, "content": "Why?", "idempotencyKey": str(uuid4())}
    payload = chatting.ask(sent, as_="aiko", input=wanted).data["sendMessage"]

    question = payload["message"].pop("id")
    assert payload["message"] == {"senderType": "USER", "content": "Why?", "session": {"id": session}}
    assert payload["reply"]["status"] in OPEN
    assert payload["reply"]["question"] == {"content": "Why?"}
    assert payload["userErrors"] == []
    hold.release()
    assert replied(chatting, question)["answer"]["status"] == "DONE"


def test_a_question_that_is_sent_again_is_asked_once(chatting: Gateway, scripted: Scripted, session: str) -> None:
    key = uuid4()

    questions = {say(chatting, session, key=key) for _ in range(3)}
    (question,) = questions
    first = replied(chatting, question)
    again = say(chatting, session, key=key)

    assert again == question
    assert asked(chatting, question) == first
    assert len(scripted.asked) == 1
    assert first["session"]["messageCount"] == 2


def test_answers_to_many_are_written_at_the_same_time(chatting: Gateway, scripted: Scripted) -> None:
    sessions = [start(chatting, clone=new_clone(chatting, "0")) for _ in range(8)]
    holds = [Hold() for _ in sessions]
    for hold in holds:
        scripted.will("Well", hold)

    questions = [say(chatting, session) for session in sessions]
    for hold in holds:
        hold.wait()
    for hold in holds:
        hold.release()

    assert {replied(chatting, question)["answer"]["status"] for question in questions} == {"DONE"}


def test_the_text_is_shown_while_it_is_written(chatting: Gateway, scripted: Scripted, session: str) -> None:
    with writing(chatting, scripted, session, "Once ", "upon a time") as question:
        reply = replied(chatting, question, lambda reply: reply["content"] == "Once upon a time")["answer"]

        assert (reply["status"], reply["message"]) == ("ANSWERING", None)
    assert replied(chatting, question)["answer"]["content"] == "Once upon a time so."


@pytest.mark.parametrize("content", ["", " \n", "x" * 32_001, "a\0b"], ids=["empty", "blank", "long", "NUL"])
def test_a_question_that_cannot_be_asked_is_refused(
    chatting: Gateway, scripted: Scripted, session: str, content: str
) -> None:
    refused = problem(chatting, "sendMessage", "aiko", sessionId=session, content=content)

    assert (refused["code"], refused["path"]) == ("INVALID_INPUT", ["input", "content"])
    assert session_of(chatting, session)["messageCount"] == 0


def test_characters_that_no_database_keeps_are_left_out_of_an_answer(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    scripted.will("A\0B", passages=[Passage("file-1", "a.txt", "C\0D", 1.0)])

    reply = replied(chatting, say(chatting, session))["answer"]

    assert (reply["message"]["content"], reply["message"]["contextUsed"]) == ("AB", "CD")


# Who may ask


def test_only_those_ask_who_pay_or_act_for_others(chatting: Gateway, scripted: Scripted, session: str) -> None:
    wanted = {"sessionId": session, "content": "Why?"}

    for person in ("samuel", "maya", "jonas"):
        assert problem(chatting, "sendMessage", person, **wanted)["code"] == "NOT_FOUND"
    assert send(chatting, "sendMessage", None, **wanted).codes == ["FORBIDDEN"]
    reader = service_headers(chatting.database_url)
    assert send(chatting, "sendMessage", reader, **wanted).codes == ["FORBIDDEN"]
    assert session_of(chatting, session)["messageCount"] == 0

    for who in ("grace", service_headers(chatting.database_url, Scope.SESSIONS)):
        assert replied(chatting, say(chatting, session, as_=who))["answer"]["status"] == "DONE"


def test_a_creator_sees_that_there_is_an_answer_and_reads_it_when_it_is_shared(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    question = say(chatting, session)
    replied(chatting, question)

    before = asked(chatting, question, "maya")["answer"]
    sql(chatting.database_url, "UPDATE sessions SET transcript_shared_at = now() WHERE id = $1", key_of(session))
    after = asked(chatting, question, "maya")["answer"]

    assert (before["status"], before["content"], before["message"]["content"]) == ("DONE", None, None)
    assert after["content"] == after["message"]["content"] == "Because it is so."
    assert asked(chatting, question, "jonas") is None
    assert asked(chatting, question, "samuel") is None


# One at a time


def test_a_question_is_refused_while_the_one_before_it_is_answered(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    with writing(chatting, scripted, session) as question:
        refused = problem(chatting, "sendMessage", "aiko", sessionId=session, content="And?")

        assert refused["code"] == "REPLY_IN_PROGRESS"
        assert refused["replyId"] == asked(chatting, question)["answer"]["id"]
    replied(chatting, question)
    assert replied(chatting, say(chatting, session))["answer"]["status"] == "DONE"
    assert session_of(chatting, session)["messageCount"] == 4


# Sessions that change meanwhile


def test_an_answer_comes_also_when_the_session_is_paused_meanwhile(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    with writing(chatting, scripted, session) as question:
        act(chatting, "pauseSession", "aiko", id=session)

    message = replied(chatting, question)

    assert message["answer"]["message"]["content"] == "Well so."
    assert (message["session"]["status"], Decimal(message["session"]["totalCost"])) == ("PAUSED", PRICE)
    assert problem(chatting, "sendMessage", "aiko", sessionId=session, content="?")["code"] == "WRONG_SESSION_STATUS"


def test_an_answer_is_given_up_when_the_session_ends_meanwhile(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    closed = scripted.closed
    with writing(chatting, scripted, session) as question:
        act(chatting, "endSession", "aiko", id=session)
        replied(chatting, question)

        assert scripted.closed == closed + 1
    message = asked(chatting, question)
    assert (message["answer"]["status"], message["answer"]["content"]) == ("CANCELLED", "")
    assert message["answer"]["message"] is None
    assert (message["session"]["messageCount"], Decimal(message["session"]["totalCost"])) == (1, Decimal(0))


def test_an_answer_that_is_whole_when_the_session_has_just_ended_is_not_charged(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    end = "UPDATE sessions SET status = 'ended', end_time = now(), end_reason = 'user', metered_until = NULL"
    hold = Hold()
    scripted.will(hold, "Too late.")
    question = say(chatting, session)
    hold.wait()

    sql(chatting.database_url, f"{end} WHERE id = $1", key_of(session))
    hold.release()

    message = replied(chatting, question)
    assert (message["answer"]["status"], message["session"]["messageCount"]) == ("CANCELLED", 1)
    assert findings(chatting.database_url) == []


# What it costs


def test_time_is_charged_with_the_question_and_with_the_answer(chatting: Gateway, scripted: Scripted) -> None:
    session = start(chatting, clone=new_clone(chatting, "60"))

    replied(chatting, say(chatting, session))

    shown = session_of(chatting, session)
    assert Decimal(shown["timeCost"]) > 0
    assert Decimal(shown["totalCost"]) == Decimal(shown["timeCost"]) + PRICE


def test_an_answer_costs_what_is_left_where_the_balance_does_not_reach_and_is_the_last(
    chatting: Gateway, scripted: Scripted
) -> None:
    session = start(chatting, "noor", new_clone(chatting, "0"))
    set_balance(chatting, "noor", "0.125")

    message = replied(chatting, say(chatting, session, as_="noor"))

    assert message["answer"]["message"]["content"] == "Because it is so."
    assert Decimal(message["answer"]["message"]["costIncrement"]) == Decimal("0.125")
    assert (message["session"]["status"], message["session"]["endReason"]) == ("ENDED", "CREDITS_EXHAUSTED")
    assert Decimal(message["session"]["totalCost"]) == Decimal("0.125")
    assert balance(chatting, "noor") == 0


def test_nothing_is_asked_by_those_who_have_nothing_left(chatting: Gateway, scripted: Scripted) -> None:
    set_balance(chatting, "noor", "1")
    session = start(chatting, "noor", new_clone(chatting, "0"))
    set_balance(chatting, "noor", "0")

    refused = problem(chatting, "sendMessage", "noor", sessionId=session, content="Why?")

    assert refused["code"] == "INSUFFICIENT_CREDITS"
    assert (Decimal(refused["required"]), Decimal(refused["available"])) == (Decimal("0.0001"), Decimal(0))
    assert session_of(chatting, session)["messageCount"] == 0
    assert scripted.asked == []
    set_balance(chatting, "noor", "1")
    assert replied(chatting, say(chatting, session, as_="noor"))["answer"]["status"] == "DONE"


def test_a_question_is_not_asked_where_the_minute_that_has_begun_cannot_be_paid(
    chatting: Gateway, scripted: Scripted
) -> None:
    set_balance(chatting, "noor", "60")
    session = start(chatting, "noor", new_clone(chatting, "60"))
    set_balance(chatting, "noor", "30")

    refused = problem(chatting, "sendMessage", "noor", sessionId=session, content="Why?")

    assert refused["code"] == "INSUFFICIENT_CREDITS"
    shown = session_of(chatting, session)
    assert (shown["status"], shown["endReason"], shown["messageCount"]) == ("ENDED", "CREDITS_EXHAUSTED", 0)
    assert scripted.asked == []


def test_a_demonstration_is_free(chatting: Gateway, scripted: Scripted) -> None:
    set_balance(chatting, "noor", "0")
    session = start(chatting, "noor", new_clone(chatting, "60"), demo=True)

    message = replied(chatting, say(chatting, session, as_="noor"))

    assert message["answer"]["message"]["content"] == "Because it is so."
    assert Decimal(message["answer"]["message"]["costIncrement"]) == Decimal(message["session"]["totalCost"]) == 0
    assert (message["answer"]["message"]["tokensUsed"], balance(chatting, "noor")) == (2_000, Decimal(0))


# What goes wrong at the provider


@pytest.mark.parametrize(
    ("error", "code", "is_retryable"),
    [
        (KeyRefused("Incorrect API key provided: sk-secret."), "PROVIDER_KEY_REFUSED", False),
        (ProviderRefused("max_output_tokens is too large"), "PROVIDER_REFUSED", False),
        (QuotaExceeded("You have no credits: sk-secret."), "PROVIDER_QUOTA_EXCEEDED", True),
        (Gone("No such store: vs_secret."), "PROVIDER_OBJECT_GONE", True),
        (RateLimited("Slow down", 3_600), "PROVIDER_RATE_LIMITED", True),
        (ProviderAway("Closed for the day", 3_600), "PROVIDER_UNAVAILABLE", True),
        (ZeroDivisionError("a bug"), "ANSWER_BROKEN_OFF", True),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_what_cannot_be_answered_fails_with_one_call_and_costs_nothing(
    chatting: Gateway, scripted: Scripted, error: Exception, code: str, is_retryable: bool
) -> None:
    session = start(chatting, clone=new_clone(chatting, "0"))
    scripted.scripts.append(Script([error], begins=False))

    message = replied(chatting, say(chatting, session))

    reply = message["answer"]
    assert (reply["status"], reply["errorCode"], reply["isRetryable"]) == ("FAILED", code, is_retryable)
    assert "Nothing was charged" in reply["errorMessage"]
    assert "secret" not in reply["errorMessage"]
    assert (reply["message"], reply["content"]) == (None, "")
    assert (message["session"]["messageCount"], Decimal(message["session"]["totalCost"])) == (1, Decimal(0))
    assert len(scripted.asked) == 1
    assert replied(chatting, say(chatting, session))["answer"]["status"] == "DONE"


@pytest.mark.parametrize("error", [RateLimited("Slow down", 0.05), ProviderAway("Try again", 0)], ids=str)
def test_who_is_away_for_a_moment_is_asked_again(
    chatting: Gateway, scripted: Scripted, session: str, error: ProviderError
) -> None:
    scripted.scripts += [Script([error], begins=False), Script([error], begins=False)]

    message = replied(chatting, say(chatting, session))

    assert message["answer"]["status"] == "DONE"
    assert Decimal(message["session"]["totalCost"]) == PRICE
    assert len(scripted.asked) == 3


def test_an_answer_that_breaks_off_is_recalled_and_charged_once(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    scripted.will("It is ", ProviderAway("The line is cut", 0))
    scripted.recalls.append(ProviderAway("Not yet", 0))
    scripted.recalls.append(Script(["It is as ", "you say."], input_tokens=2_000))

    message = replied(chatting, say(chatting, session))

    assert message["answer"]["message"]["content"] == message["answer"]["content"] == "It is as you say."
    assert Decimal(message["session"]["totalCost"]) == Decimal("0.35")
    assert (len(scripted.asked), len(set(scripted.recalled)), len(scripted.recalled)) == (1, 1, 2)
    assert message["session"]["messageCount"] == 2


def test_an_answer_that_is_lost_is_begun_once_more(chatting: Gateway, scripted: Scripted, session: str) -> None:
    scripted.will("It is ", ProviderAway("The line is cut", 0))

    message = replied(chatting, say(chatting, session))

    assert message["answer"]["content"] == "Because it is so."
    assert Decimal(message["session"]["totalCost"]) == PRICE
    assert (len(scripted.asked), len(scripted.recalled)) == (2, 1)


def test_an_answer_that_is_lost_twice_is_given_up(chatting: Gateway, scripted: Scripted, session: str) -> None:
    for _ in range(3):
        scripted.will("It is ", ProviderAway("The line is cut", 0))

    message = replied(chatting, say(chatting, session))

    reply = message["answer"]
    assert (reply["status"], reply["errorCode"], reply["isRetryable"]) == ("FAILED", "ANSWER_BROKEN_OFF", True)
    assert reply["content"] == ""
    assert (message["session"]["messageCount"], Decimal(message["session"]["totalCost"])) == (1, Decimal(0))
    assert len(scripted.asked) == 2


def test_an_empty_answer_is_none(chatting: Gateway, scripted: Scripted, session: str) -> None:
    scripted.will(" \n")

    message = replied(chatting, say(chatting, session))

    assert (message["answer"]["status"], message["answer"]["errorCode"]) == ("FAILED", "ANSWER_EMPTY")
    assert Decimal(message["session"]["totalCost"]) == 0


def test_a_text_that_ends_up_differently_is_kept_as_it_ends_up(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    scripted.will("Becuase", text="Because.")

    assert replied(chatting, say(chatting, session))["answer"]["message"]["content"] == "Because."
    assert findings(chatting.database_url) == []
