"""Idempotency: what is sent twice under one key is done once, and the second time one is told what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from db import Scope
from tests.conftest import execute
from tests.money import (
    act,
    answer,
    balance,
    bank,
    grant,
    new_clone,
    problem,
    send,
    service_headers,
    session_of,
    set_balance,
    sql,
    start,
    user,
    work,
)
from tests.serving import CAST, Gateway, serving

KEPT = "SELECT subject FROM idempotency_keys WHERE key = $1"
HOLD = "INSERT INTO idempotency_keys (actor, key, request_hash, subject) VALUES ($1, $2, '', gen_random_uuid())"
AGE = "UPDATE idempotency_keys SET created_at = created_at - interval '49 hours' WHERE key = $1"
WRITTEN = """
    SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM messages), (SELECT count(*) FROM credit_entries),
        (SELECT sum(total_ratings) FROM clones), (SELECT sum(total_sessions) FROM clones)
"""
UNTIL_SOMEBODY_WAITS = """
    DO $$ BEGIN
        WHILE NOT EXISTS (
            SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        ) LOOP
            PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
        END LOOP;
    END $$
"""
MUTATIONS: dict[str, Callable[[Gateway], dict[str, Any]]] = {
    "startSession": lambda gateway: {"cloneId": new_clone(gateway)},
    "pauseSession": lambda gateway: {"id": start(gateway)},
    "resumeSession": lambda gateway: {"id": act(gateway, "pauseSession", "aiko", id=start(gateway))["id"]},
    "endSession": lambda gateway: {"id": start(gateway)},
    "rateSession": lambda gateway: {"id": ended(gateway), "rating": 5},
    "recordMessage": lambda gateway: {"sessionId": start(gateway), "senderType": "USER", "content": "Why?"},
    "topUpCredits": lambda gateway: {"userId": user("aiko"), "amount": "1"},
    "adjustCredits": lambda gateway: {"userId": user("aiko"), "amount": "-1", "reason": "A mistake."},
    "refundSession": lambda gateway: {"id": ended(gateway), "amount": "0.5"},
}
"""Each mutation that takes a key, and an input for it."""


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over data that the tests of this file may change. Aiko can pay for all of it."""
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


def ended(gateway: Gateway) -> str:
    """The id of a session of Aiko's that is over, and has cost something."""
    session = start(gateway)
    answer(gateway, session)
    act(gateway, "endSession", "aiko", id=session)
    return session


def actor(person: str) -> str:
    """How a person is written down as the one who sent a key."""
    return f"user:{CAST[person].id}"


def by(mutation: str) -> str:
    """Who sends a mutation here."""
    return "grace" if mutation in ("topUpCredits", "adjustCredits", "refundSession") else "aiko"


def kept(gateway: Gateway, key: UUID) -> int:
    """How many times a key is kept."""
    return len(sql(gateway.database_url, KEPT, key))


# The same again


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_sent_again_is_not_done_again(changing: Gateway, mutation: str) -> None:
    values, key = MUTATIONS[mutation](changing), uuid4()
    first = act(changing, mutation, by(mutation), key=key, **values)
    after_first = sql(changing.database_url, WRITTEN)

    again = act(changing, mutation, by(mutation), key=key, **values)

    assert again == first
    assert sql(changing.database_url, WRITTEN) == after_first
    assert kept(changing, key) == 1


def test_one_is_told_how_the_row_is_now(changing: Gateway) -> None:
    clone, key = new_clone(changing), uuid4()
    begun = act(changing, "startSession", "aiko", key=key, cloneId=clone)
    over = act(changing, "endSession", "aiko", id=begun["id"])

    assert act(changing, "startSession", "aiko", key=key, cloneId=clone) == over


def test_another_node_knows_the_key_too(changing: Gateway) -> None:
    clone, key = new_clone(changing), uuid4()
    begun = act(changing, "startSession", "aiko", key=key, cloneId=clone)

    with serving(changing.database_url) as other:
        assert act(other, "startSession", "aiko", key=key, cloneId=clone) == begun


def test_a_key_and_an_input_are_what_they_mean_however_they_are_written(changing: Gateway) -> None:
    clone, key = new_clone(changing), uuid4()
    begun = act(changing, "startSession", "aiko", key=key, cloneId=clone)

    again = [
        act(changing, "startSession", "aiko", key=str(key).upper(), cloneId=clone),
        act(changing, "startSession", "aiko", key=key.hex, cloneId=clone, demo=False),
        act(changing, "startSession", "aiko", key=key, cloneId=clone, sessionType="CHAT", userId=None),
    ]

    assert again == [begun] * 3


def test_of_many_at_once_with_one_key_one_is_done_and_all_are_told_the_same(changing: Gateway) -> None:
    clone, key, before = new_clone(changing), uuid4(), balance(changing, "aiko")

    async def all_at_once(mutation: str, who: str, **values: Any) -> list[Any]:
        calls = (asyncio.to_thread(act, changing, mutation, who, key=key, **values) for _ in range(8))
        return [row["id"] for row in await asyncio.gather(*calls)]

    sessions = asyncio.run(all_at_once("startSession", "aiko", cloneId=clone))
    entries = asyncio.run(all_at_once("topUpCredits", "grace", userId=user("aiko"), amount="3"))

    assert len(set(sessions)) == len(set(entries)) == 1
    assert session_of(changing, sessions[0])["clone"]["totalSessions"] == 1
    assert balance(changing, "aiko") == before + 3


# Another thing under the same key


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_key_stands_for_one_request_only(changing: Gateway, mutation: str) -> None:
    values, key = MUTATIONS[mutation](changing), uuid4()
    act(changing, mutation, by(mutation), key=key, **values)
    other = next(name for name in MUTATIONS if by(name) == by(mutation) and name != mutation)
    other_values = MUTATIONS[mutation](changing)
    other_values |= {"amount": "2"} if "amount" in values else {}
    values_of_other = MUTATIONS[other](changing)
    before = sql(changing.database_url, WRITTEN)

    refusals = [
        problem(changing, mutation, by(mutation), key=key, **other_values),
        problem(changing, other, by(mutation), key=key, **values_of_other),
    ]

    assert [(each["__typename"], each["code"], each["path"]) for each in refusals] == [
        ("IdempotencyKeyReused", "IDEMPOTENCY_KEY_REUSED", ["input", "idempotencyKey"])
    ] * 2
    assert sql(changing.database_url, WRITTEN) == before


def test_keys_of_two_people_never_meet(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS, Scope.CREDITS)
    clone, key = new_clone(changing), uuid4()

    begun = [
        act(changing, "startSession", "aiko", key=key, cloneId=clone),
        act(changing, "startSession", "samuel", key=key, cloneId=clone),
        act(changing, "startSession", "grace", key=key, cloneId=clone, userId=user("maya")),
        act(changing, "startSession", service, key=key, cloneId=clone, userId=user("petra")),
    ]
    refunded = problem(changing, "endSession", "aiko", key=key, id=begun[0]["id"])

    assert [each["user"]["id"] for each in begun] == [user(name) for name in ("aiko", "samuel", "maya", "petra")]
    assert len({each["id"] for each in begun}) == 4
    assert refunded["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert kept(changing, key) == 4


def test_two_who_move_one_balance_under_the_same_key_both_do(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.CREDITS)
    key, before = uuid4(), balance(changing, "aiko")

    entries = [
        act(changing, "topUpCredits", who, key=key, userId=user("aiko"), amount="2")["id"] for who in ("grace", service)
    ]

    assert len(set(entries)) == 2
    assert balance(changing, "aiko") == before + 4


# What is refused


def test_a_key_of_what_was_refused_can_be_used_again(changing: Gateway) -> None:
    set_balance(changing, "noor", 0)
    clone, key = new_clone(changing, "6"), uuid4()

    refusal = problem(changing, "startSession", "noor", key=key, cloneId=clone)
    after_refusal = kept(changing, key)
    set_balance(changing, "noor", 6)
    begun = act(changing, "startSession", "noor", key=key, cloneId=clone)

    assert (refusal["code"], after_refusal) == ("INSUFFICIENT_CREDITS", 0)
    assert (begun["status"], kept(changing, key)) == ("ACTIVE", 1)


def test_nothing_that_is_refused_is_kept_and_the_key_is_good_for_something_else(changing: Gateway) -> None:
    key, session = uuid4(), start(changing)
    entry = {"userId": user("aiko"), "amount": "1"}

    codes = [
        send(changing, "topUpCredits", "grace", key=key, **entry | {"amount": "abc"}).codes,
        send(changing, "topUpCredits", "aiko", key=key, **entry).codes,
        [problem(changing, "topUpCredits", "grace", key=key, **entry | {"amount": "0"})["code"]],
        [problem(changing, "refundSession", "grace", key=key, id=session)["code"]],
        [problem(changing, "rateSession", "grace", key=key, id=session, rating=5)["code"]],
    ]

    assert [code for (code,) in codes] == [
        "BAD_USER_INPUT", "FORBIDDEN", "INVALID_INPUT", "REFUND_TOO_LARGE", "WRONG_SESSION_STATUS",
    ]  # fmt: skip
    assert kept(changing, key) == 0
    assert act(changing, "topUpCredits", "grace", key=key, **entry)["amount"] == "1"


def test_a_message_that_was_refused_keeps_no_key_though_the_session_ended_by_it(changing: Gateway) -> None:
    set_balance(changing, "noor", 6)
    session, key = start(changing, "noor", new_clone(changing, "6")), uuid4()
    set_balance(changing, "noor", 0)
    question = {"sessionId": session, "senderType": "USER", "content": "Why?"}

    refusals = [problem(changing, "recordMessage", "noor", key=key, **question)["code"] for _ in range(2)]

    assert refusals == ["INSUFFICIENT_CREDITS", "WRONG_SESSION_STATUS"]
    assert kept(changing, key) == 0


@pytest.mark.parametrize("key", ["abc", "", " ", "019a0000-0000-7000-8000-00000000000", 7, None, ["a"]], ids=str)
def test_a_key_that_is_none_is_told_as_such(changing: Gateway, key: Any) -> None:
    query = "mutation($input: StartSessionInput!) { startSession(input: $input) { session { id } } }"

    refused = changing.ask(query, as_="aiko", input={"idempotencyKey": key, "cloneId": new_clone(changing)})

    assert refused.codes == ["BAD_USER_INPUT"]
    assert "idempotencyKey" in refused.errors[0]["message"]
    assert "UUID" in refused.errors[0]["message"]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_there_is_no_mutation_of_money_without_a_key(changing: Gateway, mutation: str) -> None:
    name = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = f"mutation($input: {name}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"

    refused = changing.ask(query, as_=by(mutation), input=MUTATIONS[mutation](changing))

    assert refused.codes == ["BAD_USER_INPUT"]
    assert "idempotencyKey" in refused.errors[0]["message"]


# While it runs


async def while_held(gateway: Gateway, key: UUID, during: Callable[[Any], Awaitable[Any]]) -> Any:
    """What came of something done while another request of Aiko's with the same key is under way."""
    connection = await asyncpg.connect(gateway.database_url)
    try:
        held = connection.transaction()
        await held.start()
        await connection.execute(HOLD, actor("aiko"), key)
        return await during(held)
    finally:
        await connection.close()


def test_who_sends_a_key_that_is_being_worked_on_is_told_to_come_again(
    changing: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.idempotency.PATIENCE", 0.3)
    clone, key = new_clone(changing), uuid4()

    async def send_meanwhile(held: Any) -> Any:
        return await asyncio.to_thread(problem, changing, "startSession", "aiko", key=key, cloneId=clone)

    refusal = asyncio.run(while_held(changing, key, send_meanwhile))

    assert (refusal["__typename"], refusal["code"]) == ("IdempotencyInProgress", "IDEMPOTENCY_IN_PROGRESS")
    assert refusal["path"] == ["input", "idempotencyKey"]
    assert act(changing, "startSession", "aiko", key=key, cloneId=clone)["status"] == "ACTIVE"


@pytest.mark.parametrize("is_done", [False, True], ids=["undone", "done"])
def test_who_waits_for_the_first_request_goes_by_what_came_of_it(changing: Gateway, is_done: bool) -> None:
    clone, key = new_clone(changing), uuid4()

    async def send_and_let_go(held: Any) -> Any:
        sent = asyncio.create_task(asyncio.to_thread(send, changing, "startSession", "aiko", key=key, cloneId=clone))
        await asyncio.wait_for(execute(changing.database_url, UNTIL_SOMEBODY_WAITS), 20)
        await (held.commit() if is_done else held.rollback())
        return (await sent).data["done"]

    done = asyncio.run(while_held(changing, key, send_and_let_go))

    if is_done:
        assert [each["code"] for each in done["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]
    else:
        assert done["row"]["status"] == "ACTIVE"


# Later


def test_keys_are_forgotten_after_two_days_and_no_earlier(
    own_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.settling.FORGET_EACH", -1)
    young, old = uuid4(), uuid4()
    for key in (young, old):
        act(own_gateway, "topUpCredits", "grace", key=key, userId=user("aiko"), amount="1")
    sql(own_gateway.database_url, AGE, old)
    sql(own_gateway.database_url, AGE.replace("49", "47"), young)

    work(own_gateway.database_url)

    assert (kept(own_gateway, young), kept(own_gateway, old)) == (1, 0)


def test_credits_move_once_under_a_key_even_when_it_is_forgotten(own_gateway: Gateway) -> None:
    grant(own_gateway, "aiko", 100)
    session = start(own_gateway, clone=new_clone(own_gateway, "0"))
    answer(own_gateway, session, "5")
    requests: list[tuple[str, dict[str, Any]]] = [
        ("topUpCredits", {"userId": user("aiko"), "amount": "1"}),
        ("adjustCredits", {"userId": user("aiko"), "amount": "1", "reason": "A mistake."}),
        ("refundSession", {"id": session, "amount": "1"}),
        ("recordMessage", {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}),
    ]
    for mutation, values in requests:
        key = uuid4()
        act(own_gateway, mutation, "grace", key=key, **values)
        sql(own_gateway.database_url, "DELETE FROM idempotency_keys")
        before = sql(own_gateway.database_url, WRITTEN)

        refusal = problem(own_gateway, mutation, "grace", key=key, **values)

        assert refusal["code"] == "IDEMPOTENCY_KEY_REUSED"
        assert sql(own_gateway.database_url, WRITTEN) == before
