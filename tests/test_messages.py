"""Messages: who may record which, what they cost, and what is kept of them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from db import Scope
from tests.money import (
    act,
    answer,
    ask,
    balance,
    bank,
    grant,
    new_clone,
    pass_time,
    problem,
    problems,
    rounded,
    send,
    service_headers,
    session_of,
    set_balance,
    sql,
    start,
)
from tests.serving import Gateway

TOKENS: dict[str, Any] = {"inputTokens": 1_000, "outputTokens": 500}
SOURCES = """
    query($id: ID!) { message(id: $id) {
      sources { nodes { rank score passage document {
        id answeredMessages(first: 1, orderBy: { field: CREATED_AT, direction: DESC }) { nodes { id } } } } }
      documents { nodes { id } }
    } }
"""
ENTRIES = "query($id: ID!) { message(id: $id) { creditEntries { nodes { kind amount session { id } } } } }"


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway where a thousand tokens in cost 0.05 credits, and a thousand out 0.25. Aiko can pay for all of it."""
    prices: dict[str, Any] = {"input_token_price": "0.05", "output_token_price": "0.25"}
    with bank(server_url, template, max_body_bytes=5_000_000, **prices) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


@pytest.fixture
def session(changing: Gateway) -> str:
    """A session of Aiko's in which time costs nothing, so that all that moves is what messages cost."""
    return start(changing, clone=new_clone(changing, "0"))


def documents(gateway: Gateway, count: int) -> list[str]:
    """The ids of some documents."""
    return [
        f"document_{row['id'].hex}" for row in sql(gateway.database_url, "SELECT id FROM documents LIMIT $1", count)
    ]


# Who records what


def test_a_person_records_own_questions(changing: Gateway, session: str) -> None:
    message = ask(changing, session, content="Why is the sky blue?", contextUsed="We spoke of rain.")

    assert (message["senderType"], message["content"]) == ("USER", "Why is the sky blue?")
    assert message["contextUsed"] == "We spoke of rain."
    assert message["tokensUsed"] == Decimal(message["costIncrement"]) == 0
    assert (message["session"]["id"], message["session"]["messageCount"]) == (session, 1)


@pytest.mark.parametrize(
    "values",
    [{"senderType": "AI"}, {"cost": "0"}, {"sources": [{"documentId": f"document_{uuid4().hex}", "passage": "x"}]}],
    ids=lambda values: next(iter(values)),
)
def test_a_person_records_no_answers_and_names_no_costs_and_no_sources(
    changing: Gateway, session: str, values: dict[str, Any]
) -> None:
    wanted = {"sessionId": session, "senderType": "USER", "content": "Why?", **values}

    for person in ("aiko", "maya", "samuel"):
        assert send(changing, "recordMessage", person, **wanted).codes == ["FORBIDDEN"]
    assert session_of(changing, session)["messageCount"] == 0


def test_an_admin_and_a_service_record_both_sides(changing: Gateway, session: str) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS)

    recorded = [recorder(changing, session, as_=who) for who in ("grace", service) for recorder in (ask, answer)]

    assert [each["senderType"] for each in recorded] == ["USER", "AI"] * 2
    assert [each["session"]["messageCount"] for each in recorded] == [1, 2, 3, 4]


def test_an_answer_comes_also_when_the_session_was_paused_meanwhile(changing: Gateway, session: str) -> None:
    act(changing, "pauseSession", "aiko", id=session)

    message = answer(changing, session, "0.75")

    assert message["session"]["status"] == "PAUSED"
    assert Decimal(message["session"]["totalCost"]) == Decimal("0.75")


# What it costs


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [
        ({"inputTokens": 1_000, "outputTokens": 1_000}, "0.3"),
        ({"inputTokens": 1_234, "outputTokens": 0}, "0.0617"),
        ({"inputTokens": 1, "outputTokens": 0}, "0"),
        ({"inputTokens": 3, "outputTokens": 0}, "0.0002"),
        ({"inputTokens": 5, "outputTokens": 0}, "0.0002"),
        ({"inputTokens": 0, "outputTokens": 1}, "0.0002"),
        ({"inputTokens": 0, "outputTokens": 3}, "0.0008"),
    ],
    ids=str,
)
def test_a_message_costs_its_tokens_rounded_half_to_even(
    changing: Gateway, session: str, tokens: dict[str, Any], cost: str
) -> None:
    before = balance(changing, "aiko")

    message = ask(changing, session, **tokens)

    exactly = (tokens["inputTokens"] * Decimal("0.05") + tokens["outputTokens"] * Decimal("0.25")) / 1_000
    assert Decimal(message["costIncrement"]) == Decimal(cost) == rounded(exactly)
    assert message["tokensUsed"] == tokens["inputTokens"] + tokens["outputTokens"]
    assert Decimal(message["session"]["totalCost"]) == Decimal(cost)
    assert balance(changing, "aiko") == before - Decimal(cost)


@pytest.mark.parametrize("cost", ["0", "0.00012345", "0.00000001", "12.50000000", "1E+1", "-0"])
def test_a_cost_that_a_service_names_stands_to_its_last_digit(changing: Gateway, session: str, cost: str) -> None:
    before = balance(changing, "aiko")

    message = answer(changing, session, cost, **TOKENS)

    entries = changing.ask(ENTRIES, as_="aiko", id=message["id"]).data["message"]["creditEntries"]["nodes"]
    assert Decimal(message["costIncrement"]) == Decimal(cost)
    assert message["tokensUsed"] == 1_500
    assert [(each["kind"], Decimal(each["amount"]), each["session"]["id"]) for each in entries] == (
        [("MESSAGE_CHARGE", -Decimal(cost), session)] if Decimal(cost) else []
    )
    assert balance(changing, "aiko") == before - Decimal(cost)


def test_a_message_charges_the_time_until_then_too(changing: Gateway) -> None:
    session = start(changing, clone=new_clone(changing, "6"))
    pass_time(changing.database_url, session, 30)

    message = answer(changing, session, "0.5")["session"]

    assert Decimal(message["timeCost"]) == rounded(Decimal(message["billableSeconds"]) / 10) > 3
    assert Decimal(message["totalCost"]) == Decimal(message["timeCost"]) + Decimal("0.5")


def test_a_message_that_cannot_be_paid_is_refused_and_the_session_goes_on_while_its_time_can(changing: Gateway) -> None:
    set_balance(changing, "noor", 3)
    session = start(changing, "noor", new_clone(changing, "0"))

    refusal = problem(
        changing, "recordMessage", "grace", sessionId=session, senderType="AI", content="Because.", cost="3.0001"
    )
    cheaper = answer(changing, session, "3")

    assert (refusal["code"], refusal["required"], refusal["available"]) == ("INSUFFICIENT_CREDITS", "3.0001", "3")
    assert (cheaper["session"]["messageCount"], cheaper["session"]["status"]) == (1, "ACTIVE")
    assert balance(changing, "noor") == 0


def test_a_message_that_leaves_too_little_for_the_minute_is_the_last_one(changing: Gateway) -> None:
    set_balance(changing, "noor", 10)
    session = start(changing, "noor", new_clone(changing, "6"))

    message = answer(changing, session, "4.5")["session"]

    ended = session_of(changing, session)
    assert (message["status"], ended["endReason"], ended["messageCount"]) == ("ENDED", "CREDITS_EXHAUSTED", 1)
    assert Decimal(ended["totalCost"]) == Decimal(ended["timeCost"]) + Decimal("4.5")
    assert balance(changing, "noor") == 10 - Decimal(ended["totalCost"])


def test_a_message_for_which_the_time_before_left_too_little_ends_the_session_with_all_time_paid(
    changing: Gateway,
) -> None:
    set_balance(changing, "noor", 9)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 62)

    refusal = problem(
        changing, "recordMessage", "grace", sessionId=session, senderType="AI", content="Because.", cost="5"
    )

    ended = session_of(changing, session)
    assert Decimal(refusal["required"]) == 5
    assert Decimal(refusal["available"]) < 3
    assert (ended["status"], ended["endReason"], ended["messageCount"]) == ("ENDED", "CREDITS_EXHAUSTED", 0)
    assert Decimal(ended["totalCost"]) == Decimal(ended["timeCost"]) == rounded(Decimal(ended["billableSeconds"]) / 10)
    assert balance(changing, "noor") == 9 - Decimal(ended["totalCost"])


# What is kept


def test_sources_become_edges_between_the_answer_and_its_documents(changing: Gateway, session: str) -> None:
    first, second = documents(changing, 2)
    given = [
        {"documentId": second, "passage": "Light is scattered.", "score": 0.75},
        {"documentId": first, "passage": "Blue more than red."},
    ]

    message = answer(changing, session, sources=given)["id"]

    shown = changing.ask(SOURCES, as_="grace", id=message).data["message"]
    sources = shown["sources"]["nodes"]
    assert [(each["rank"], each["score"], each["passage"], each["document"]["id"]) for each in sources] == [
        (1, 0.75, "Light is scattered.", second),
        (2, None, "Blue more than red.", first),
    ]
    assert {each["id"] for each in shown["documents"]["nodes"]} == {first, second}
    for source in sources:
        assert source["document"]["answeredMessages"]["nodes"] == [{"id": message}]


def test_a_source_that_does_not_exist_keeps_the_whole_message_from_being_recorded(
    changing: Gateway, session: str
) -> None:
    (known,) = documents(changing, 1)
    sources = [{"documentId": id_, "passage": "Blue."} for id_ in (known, f"document_{uuid4().hex}")]
    before = session_of(changing, session)

    refusal = problem(
        changing, "recordMessage", "grace", sessionId=session, senderType="AI", content="Because.", cost="1",
        sources=sources,
    )  # fmt: skip

    assert (refusal["code"], refusal["path"]) == ("NOT_FOUND", ["input", "sources"])
    assert session_of(changing, session) == before


def test_attachments_are_kept_as_they_are(changing: Gateway, session: str) -> None:
    attachments = [{"url": "https://example.com/a.png", "size": [1, 2.5, None]}, "text", 7, [None], {}, True]

    assert ask(changing, session, attachments=attachments)["attachments"] == attachments


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"content": ""}, ["content"]),
        ({"content": " \n"}, ["content"]),
        ({"content": "x" * 200_001}, ["content"]),
        ({"content": "a\0b"}, ["content"]),
        ({"contextUsed": "x" * 1_000_001}, ["contextUsed"]),
        ({"contextUsed": "a\0b"}, ["contextUsed"]),
        ({"senderType": "UNKNOWN"}, ["senderType"]),
        ({"inputTokens": -1}, ["inputTokens"]),
        ({"inputTokens": 10_000_001}, ["inputTokens"]),
        ({"outputTokens": -1}, ["outputTokens"]),
        ({"outputTokens": 10_000_001}, ["outputTokens"]),
        ({"cost": "-0.0001"}, ["cost"]),
        ({"cost": "1000000.0001"}, ["cost"]),
        ({"cost": "NaN"}, ["cost"]),
        ({"cost": "sNaN"}, ["cost"]),
        ({"cost": "Infinity"}, ["cost"]),
        ({"cost": "1e308"}, ["cost"]),
        ({"cost": "1e1000000"}, ["cost"]),
        ({"cost": "0.000000001"}, ["cost"]),
        ({"attachments": [1] * 51}, ["attachments"]),
        ({"sources": [{"documentId": f"document_{uuid4().hex}", "passage": "x"}] * 51}, ["sources"]),
        ({"sources": [{"documentId": f"document_{uuid4().hex}", "passage": " "}]}, ["sources", "0", "passage"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_that_cannot_be_is_a_user_error(
    changing: Gateway, session: str, values: dict[str, Any], path: list[str]
) -> None:
    wanted = {"senderType": "AI", "content": "Because.", **values}

    refusal = problem(changing, "recordMessage", "grace", sessionId=session, **wanted)

    assert (refusal["code"], refusal["path"]) == ("INVALID_INPUT", ["input", *path])
    assert session_of(changing, session)["messageCount"] == 0


def test_all_values_that_cannot_be_are_told_at_once(changing: Gateway, session: str) -> None:
    told = problems(
        changing, "recordMessage", "grace", sessionId=session, senderType="AI", content=" ", cost="NaN", inputTokens=-1
    )

    assert [each["path"][1] for each in told] == ["content", "inputTokens", "cost"]


def test_the_longest_message_that_can_be_is_kept_whole(changing: Gateway, session: str) -> None:
    content, context = "\N{GRINNING FACE}" * 200_000, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 1_000_000

    message = answer(changing, session, content=content, contextUsed=context)

    assert (message["content"], message["contextUsed"]) == (content, context)


def test_attachments_that_no_column_can_hold_are_bad_input(changing: Gateway, session: str) -> None:
    question = {"sessionId": session, "senderType": "USER", "content": "Look!"}
    large_number = f"""
        mutation {{ recordMessage(input: {{ idempotencyKey: "{uuid4()}", sessionId: "{session}", senderType: USER,
          content: "Look!", attachments: [123456789012345678901234567890] }}) {{ message {{ id }} }} }}
    """

    answers = [
        send(changing, "recordMessage", "aiko", **question, attachments=["a\0b"]),
        changing.ask(large_number, as_="aiko"),
    ]

    assert [each.codes for each in answers] == [["BAD_USER_INPUT"]] * 2
    assert session_of(changing, session)["messageCount"] == 0


@pytest.mark.parametrize("wrong", [f"message_{UUID(int=1).hex}", "session_", "nothing"])
def test_an_id_of_something_else_is_bad_input(changing: Gateway, session: str, wrong: str) -> None:
    values = {"senderType": "USER", "content": "Why?"}
    source = {"documentId": wrong, "passage": "Because."}

    assert send(changing, "recordMessage", "aiko", sessionId=wrong, **values).codes == ["BAD_USER_INPUT"]
    assert send(changing, "recordMessage", "aiko", sessionId=session, sources=[source], **values).codes == [
        "BAD_USER_INPUT"
    ]
