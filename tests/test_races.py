"""What happens to money at the same moment comes to what it would come to one after the other."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from itertools import cycle
from threading import Barrier
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from db import Scope
from db.engine import Database
from resolvers.settling import Settling
from resolvers.terms import Terms
from tests.money import (
    Who,
    act,
    answer,
    balance,
    bank,
    document,
    key_of,
    new_clone,
    pass_time,
    send,
    service_headers,
    session_of,
    set_balance,
    sql,
    start,
    time_cost,
    user,
    work,
)
from tests.serving import CAST, Gateway, serving

Nodes: TypeAlias = list[Gateway]
"""Two gateways over one database. Whatever is sent at once goes to both of them, in turn."""

Call: TypeAlias = Callable[[Gateway], Any]

PEOPLE = ["aiko", "luca", "samuel", "petra", "noor", "tariq", "maya", "jonas"]
ENTRIES = "SELECT count(*) FROM credit_entries WHERE user_id = $1"


@pytest.fixture(scope="module")
def nodes(server_url: str, template: str) -> Iterator[Nodes]:
    with bank(server_url, template) as first, serving(first.database_url) as second:
        assert all(node.client.get("/health").is_success for node in (first, second))
        yield [first, second]


def at_once(nodes: Nodes, calls: list[Call]) -> list[Any]:
    """What comes of calls that begin at the same moment, each at the next of the gateways."""
    gate = Barrier(len(calls))

    def begin(call: Call, node: Gateway) -> Any:
        gate.wait(30)
        return call(node)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(begin, calls, cycle(nodes)))


def sending(times: int, mutation: str, as_: Who, **values: Any) -> list[Call]:
    """The same mutation, that many times."""
    return [lambda node: payload(node, mutation, as_, **values)] * times


def payload(node: Gateway, mutation: str, as_: Who, **values: Any) -> Any:
    """What a mutation comes to, which is anything but an error."""
    return {**send(node, mutation, as_, **values).data["done"], "mutation": mutation}


def outcomes(answers: list[Any]) -> Mapping[str, int]:
    """How often it was done, or refused with which code."""
    return Counter(error["code"] for each in answers for error in each["userErrors"] or [{"code": "DONE"}])


def test_of_50_charges_at_once_a_balance_of_10_pays_10(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 10)
    session = start(nodes[0], "aiko", new_clone(nodes[0], "0"))
    service = service_headers(nodes[0].database_url, Scope.SESSIONS)
    message = {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}

    answers = at_once(nodes, sending(50, "recordMessage", service, **message))

    shown = session_of(nodes[0], session)
    assert outcomes(answers) == {"DONE": 10, "INSUFFICIENT_CREDITS": 40}
    assert (Decimal(shown["totalCost"]), shown["messageCount"]) == (Decimal(10), 10)
    assert balance(nodes[0], "aiko") == 0


@pytest.mark.parametrize(
    ("mutation", "moves"),
    [("startSession", 0), ("recordMessage", 1), ("endSession", 1), ("refundSession", 1), ("topUpCredits", 1)],
)
def test_what_is_sent_20_times_at_once_with_one_key_is_done_once(nodes: Nodes, mutation: str, moves: int) -> None:
    set_balance(nodes[0], "aiko", 100)
    clone = new_clone(nodes[0], "0" if mutation == "recordMessage" else "6")
    session = start(nodes[0], "aiko", clone)
    pass_time(nodes[0].database_url, session, 60)
    if mutation == "refundSession":
        act(nodes[0], "endSession", "aiko", id=session)
    as_, values = {
        "startSession": ("aiko", {"cloneId": new_clone(nodes[0])}),
        "recordMessage": ("grace", {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}),
        "endSession": ("aiko", {"id": session}),
        "refundSession": ("grace", {"id": session, "amount": "1.5"}),
        "topUpCredits": ("grace", {"userId": user("aiko"), "amount": "5"}),
    }[mutation]
    before = entries(nodes[0], "aiko")

    answers = at_once(nodes, sending(20, mutation, as_, key=uuid4(), **values))

    assert outcomes(answers) == {"DONE": 20}
    assert all(each == answers[0] for each in answers)
    assert entries(nodes[0], "aiko") == before + moves


def test_of_requests_at_once_with_one_key_and_different_input_one_is_done(nodes: Nodes) -> None:
    key, before = uuid4(), balance(nodes[0], "aiko")
    calls = [
        call
        for amount in range(1, 11)
        for call in sending(1, "topUpCredits", "grace", key=key, userId=user("aiko"), amount=str(amount))
    ]

    answers = at_once(nodes, calls)

    assert outcomes(answers) == {"DONE": 1, "IDEMPOTENCY_KEY_REUSED": 9}
    (done,) = [each["row"] for each in answers if each["row"]]
    assert balance(nodes[0], "aiko") == before + Decimal(done["amount"])


def test_whatever_is_done_to_a_session_at_once_is_done_or_refused(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 100_000)
    clone = new_clone(nodes[0], "6000")
    told: list[Any] = []

    for _ in range(8):
        session = start(nodes[0], "aiko", clone)
        question = {"sessionId": session, "senderType": "USER", "content": "Why?"}
        calls = [
            *sending(2, "pauseSession", "aiko", id=session),
            *sending(2, "resumeSession", "aiko", id=session),
            *sending(2, "recordMessage", "aiko", **question),
            *sending(2, "endSession", "aiko", id=session),
        ]
        random.shuffle(calls)
        answers = at_once(nodes, calls)
        shown = session_of(nodes[0], session)

        told += answers
        assert outcomes([each for each in answers if each["mutation"] == "endSession"])["DONE"] == 1
        assert shown["status"] == "ENDED"
        assert Decimal(shown["totalCost"]) == time_cost(shown)

    assert set(outcomes(told)) == {"DONE", "WRONG_SESSION_STATUS"}


def test_of_starts_at_once_with_one_clone_a_person_gets_one_session(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 100)
    clone = new_clone(nodes[0])

    answers = at_once(nodes, sending(10, "startSession", "aiko", cloneId=clone))

    assert outcomes(answers) == {"DONE": 1, "SESSION_ALREADY_OPEN": 9}
    (opened,) = [each["row"] for each in answers if each["row"]]
    assert {error["sessionId"] for each in answers for error in each["userErrors"]} == {opened["id"]}
    assert session_of(nodes[0], opened["id"])["clone"]["totalSessions"] == 1


def test_a_clone_counts_all_of_the_sessions_that_are_started_at_once(nodes: Nodes) -> None:
    clone = new_clone(nodes[0], "0")

    answers = at_once(nodes, [call for person in PEOPLE for call in sending(2, "startSession", person, cloneId=clone)])

    opened = [each["row"]["id"] for each in answers if each["row"]]
    assert outcomes(answers) == {"DONE": 8, "SESSION_ALREADY_OPEN": 8}
    assert session_of(nodes[0], opened[0])["clone"]["totalSessions"] == 8


def test_of_demonstrations_at_once_a_person_gets_as_many_as_there_are(nodes: Nodes) -> None:
    clones = [new_clone(nodes[0]) for _ in range(8)]

    answers = at_once(
        nodes, [call for clone in clones for call in sending(1, "startSession", "noor", cloneId=clone, demo=True)]
    )

    assert outcomes(answers) == {"DONE": 3, "DEMO_USED_UP": 5}


def test_refunds_at_once_never_give_back_more_than_it_cost(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 10)
    clone = new_clone(nodes[0], "0")
    session = start(nodes[0], "aiko", clone)
    answer(nodes[0], session, "10")

    answers = at_once(nodes, sending(20, "refundSession", "grace", id=session, amount="1.5"))

    assert outcomes(answers) == {"DONE": 6, "REFUND_TOO_LARGE": 14}
    assert Decimal(session_of(nodes[0], session)["totalCost"]) == 1
    assert balance(nodes[0], "aiko") == 9
    assert earned(nodes[0], clone) == 1


def test_the_mean_of_ratings_at_once_is_exact(nodes: Nodes) -> None:
    clone = new_clone(nodes[0], "0")
    sessions = [start(nodes[0], person, clone) for person in PEOPLE]
    for person, session in zip(PEOPLE, sessions, strict=True):
        act(nodes[0], "endSession", person, id=session)
    ratings = [1, 2, 3, 4, 5, 5, 4, 3]

    answers = at_once(
        nodes,
        [
            call
            for person, session, rating in zip(PEOPLE, sessions, ratings, strict=True)
            for call in sending(2, "rateSession", person, id=session, rating=rating)
        ],
    )

    shown = session_of(nodes[0], sessions[0])["clone"]
    assert outcomes(answers) == {"DONE": 8, "ALREADY_RATED": 8}
    assert (Decimal(shown["averageRating"]), shown["totalRatings"]) == (Decimal(27) / 8, 8)


def test_workers_that_charge_time_while_people_talk_charge_each_second_once(nodes: Nodes) -> None:
    set_balance(nodes[0], "tariq", 100_000)
    session = start(nodes[0], "tariq", new_clone(nodes[0], "6000"))
    message = {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}

    async def work_without_rest() -> None:
        database = Database(nodes[0].database_url)
        for _ in range(4):
            await Settling(database, Terms(metering_interval=timedelta(0))).work()
        await database.close()

    workers = [lambda node: asyncio.run(work_without_rest())] * 3
    answers = at_once(nodes, workers + sending(12, "recordMessage", "grace", **message))
    answers += at_once(nodes, workers + sending(3, "endSession", "tariq", id=session))

    shown = session_of(nodes[0], session)
    assert outcomes([each for each in answers if each]) == {"DONE": 12 + 1, "WRONG_SESSION_STATUS": 2}
    assert Decimal(shown["totalCost"]) == time_cost(shown) + 12
    assert balance(nodes[0], "tariq") == 100_000 - Decimal(shown["totalCost"])


def test_of_workers_at_once_one_ends_an_abandoned_session_and_charges_it(nodes: Nodes) -> None:
    set_balance(nodes[0], "tariq", 100)
    session = start(nodes[0], "tariq", new_clone(nodes[0], "6"))
    before = entries(nodes[0], "tariq")
    pass_time(nodes[0].database_url, session, 7_200)

    at_once(nodes, [lambda node: work(node.database_url)] * 6)

    shown = session_of(nodes[0], session)
    assert (shown["status"], shown["endReason"]) == ("ENDED", "ABANDONED")
    assert Decimal(shown["totalCost"]) == 30
    assert entries(nodes[0], "tariq") == before + 1


def test_an_old_program_and_the_gateway_move_one_balance_at_once(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 100)
    session = start(nodes[0], "aiko", new_clone(nodes[0], "0"))
    before = entries(nodes[0], "aiko")
    message = {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}
    old = "UPDATE user_profiles SET credits_remaining = credits_remaining + 2 WHERE id = $1"

    at_once(
        nodes,
        [lambda node: sql(node.database_url, old, CAST["aiko"].id)] * 20
        + sending(20, "recordMessage", "grace", **message),
    )

    assert balance(nodes[0], "aiko") == 100 + 20 * 2 - 20
    assert entries(nodes[0], "aiko") == before + 40


def test_creators_who_pay_each_other_at_once_do_not_wait_for_each_other_forever(nodes: Nodes) -> None:
    clones = {"jonas": new_clone(nodes[0], "0", "maya"), "maya": new_clone(nodes[0], "0", "jonas")}
    for person in clones:
        set_balance(nodes[0], person, 100)
    sessions = {person: start(nodes[0], person, clone) for person, clone in clones.items()}
    for session in sessions.values():
        answer(nodes[0], session, "10")
    calls: list[Call] = []
    for person, session in sessions.items():
        message = {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}
        calls += sending(12, "recordMessage", "grace", **message)
        calls += sending(6, "refundSession", "grace", id=session, amount="0.5")
        calls += sending(4, "topUpCredits", "grace", userId=user(person), amount="3")
    random.shuffle(calls)

    answers = at_once(nodes, calls)

    assert outcomes(answers) == {"DONE": 44}
    for person, clone in clones.items():
        assert balance(nodes[0], person) == 100 - 10 - 12 + 3 + 12
        assert earned(nodes[0], clone) == 10 + 12 - 3


def test_a_client_that_hangs_up_and_sends_it_again_is_charged_once(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 100)
    session = start(nodes[0], "aiko", new_clone(nodes[0], "0"))
    message = {"sessionId": session, "senderType": "AI", "content": "Because.", "cost": "1"}
    hung_up = 0

    for number in range(30):
        key, node = uuid4(), nodes[number % len(nodes)]
        body = {"query": document("recordMessage"), "variables": {"input": {**message, "idempotencyKey": str(key)}}}
        try:
            node.client.post("/graphql", json=body, headers=node.headers("grace"), timeout=0.001 * (1 + number % 10))
        except httpx2.TimeoutException:
            hung_up += 1
        act(nodes[-1], "recordMessage", "grace", key=key, **message)

    shown = session_of(nodes[0], session)
    assert hung_up > 0
    assert (Decimal(shown["totalCost"]), shown["messageCount"]) == (Decimal(30), 30)
    assert balance(nodes[0], "aiko") == 70


def test_an_old_program_that_locks_in_another_order_costs_a_second_try_and_no_credit(nodes: Nodes) -> None:
    set_balance(nodes[0], "aiko", 100)
    session = start(nodes[0], "aiko", new_clone(nodes[0], "6"))
    pass_time(nodes[0].database_url, session, 60)
    key = uuid4()

    async def cross() -> Any:
        old = await asyncpg.connect(nodes[0].database_url)
        try:
            async with old.transaction():
                await old.execute("UPDATE user_profiles SET language = 'en' WHERE id = $1", CAST["aiko"].id)
                ending = asyncio.create_task(
                    asyncio.to_thread(send, nodes[0], "endSession", "aiko", key=key, id=session)
                )
                while not await old.fetch(WAITING):  # noqa: ASYNC110 (PostgreSQL tells nobody)
                    await asyncio.sleep(0.02)
                await old.execute("UPDATE sessions SET session_metadata = '{}' WHERE id = $1", key_of(session))
        except asyncpg.DeadlockDetectedError:
            pass
        finally:
            await old.close()
        return await ending

    first = asyncio.run(cross())
    act(nodes[-1], "endSession", "aiko", key=key, id=session)

    assert first.codes in ([], ["TIMEOUT"])
    assert all(error["extensions"]["retryable"] for error in first.errors)
    assert balance(nodes[0], "aiko") == 100 - Decimal(session_of(nodes[0], session)["totalCost"])


WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def entries(node: Gateway, person: str) -> int:
    """How often the balance of a person moved."""
    count: int = sql(node.database_url, ENTRIES, CAST[person].id)[0][0]
    return count


def earned(node: Gateway, clone: str) -> Decimal:
    """What a clone has earned."""
    amount: Decimal = sql(node.database_url, "SELECT total_earnings FROM clones WHERE id = $1", key_of(clone))[0][0]
    return amount
