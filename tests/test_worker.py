"""The worker: what happens to sessions by itself, however many processes run, and however long none did."""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from db import demo
from db.engine import Database
from gateway.settings import Settings
from resolvers.settling import Settling
from tests.money import (
    act,
    answer,
    ask,
    balance,
    bank,
    grant,
    key_of,
    new_clone,
    pass_time,
    problem,
    session_of,
    set_balance,
    sql,
    start,
    time_cost,
    work,
)
from tests.serving import Gateway

HOUR = 3600
CHARGES = """
    SELECT kind, -amount AS amount, actor, idempotency_key, created_at FROM credit_entries
    WHERE session_id = $1 ORDER BY number
"""
ENDED_ELSEWHERE = """
    UPDATE sessions SET status = 'ended', end_time = start_time + $2::int * interval '1 second' WHERE id = $1
"""


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over data that the tests of this file may change, and whose worker comes when it is called."""
    with bank(server_url, template) as gateway:
        asyncio.run(demo.go_on(gateway.database_url))
        grant(gateway, "aiko", 10_000)
        yield gateway


def charges(gateway: Gateway, session: str) -> list[Any]:
    """The movements of the balance that a session has caused, in their order."""
    return sql(gateway.database_url, CHARGES, key_of(session))


def after_work(gateway: Gateway, session: str, **settings: Any) -> Any:
    """A session as the worker leaves it."""
    work(gateway.database_url, **settings)
    return session_of(gateway, session)


# Silent sessions


def test_a_silent_session_is_charged_each_interval_and_not_more_often(changing: Gateway) -> None:
    session, before = start(changing), balance(changing, "aiko")

    pass_time(changing.database_url, session, 30)
    too_early = after_work(changing, session)
    pass_time(changing.database_url, session, 31)
    charged = after_work(changing, session)
    again = after_work(changing, session)
    pass_time(changing.database_url, session, 61)
    later = after_work(changing, session)

    assert Decimal(too_early["totalCost"]) == 0
    assert charged["status"] == "ACTIVE"
    assert Decimal(charged["billableSeconds"]) > 61
    assert again == charged
    assert Decimal(later["billableSeconds"]) > Decimal(charged["billableSeconds"]) + 61
    assert Decimal(later["totalCost"]) == time_cost(later) == sum(each["amount"] for each in charges(changing, session))
    assert balance(changing, "aiko") == before - time_cost(later)
    assert {(each["kind"], each["actor"], each["idempotency_key"]) for each in charges(changing, session)} == {
        ("session_charge", None, None)
    }


def test_silence_is_charged_up_to_the_grace_and_no_further(changing: Gateway) -> None:
    session = start(changing)

    pass_time(changing.database_url, session, 400)
    once = after_work(changing, session)
    pass_time(changing.database_url, session, 600)
    twice = after_work(changing, session)

    assert (once["status"], twice["status"]) == ("ACTIVE", "ACTIVE")
    assert Decimal(once["billableSeconds"]) == Decimal(twice["billableSeconds"]) == 300
    assert Decimal(once["totalCost"]) == Decimal(twice["totalCost"]) == 30
    assert len(charges(changing, session)) == 1


def test_who_comes_back_in_time_pays_for_the_silence_once(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 600)
    work(changing.database_url)

    message = ask(changing, session)["session"]

    assert Decimal(message["billableSeconds"]) > 600
    assert message["status"] == "ACTIVE"
    ended = act(changing, "endSession", "aiko", id=session)
    assert Decimal(ended["totalCost"]) == time_cost(ended) == sum(each["amount"] for each in charges(changing, session))


def test_a_message_begins_the_grace_anew(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 200)
    spoken = Decimal(ask(changing, session)["session"]["billableSeconds"])
    pass_time(changing.database_url, session, 400)

    assert Decimal(after_work(changing, session)["billableSeconds"]) == spoken + 300


def test_a_silent_session_whose_credits_run_out_is_ended(changing: Gateway) -> None:
    set_balance(changing, "noor", 12)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 200)

    ended = after_work(changing, session)

    assert (ended["status"], ended["endReason"]) == ("ENDED", "CREDITS_EXHAUSTED")
    assert Decimal(ended["totalCost"]) == 12
    assert Decimal(ended["billableSeconds"]) == 120
    assert balance(changing, "noor") == 0


def test_a_session_ends_in_the_minute_to_whose_end_the_credits_do_not_reach(changing: Gateway) -> None:
    set_balance(changing, "noor", 10)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 61)

    ended = after_work(changing, session)

    assert (ended["status"], ended["endReason"]) == ("ENDED", "CREDITS_EXHAUSTED")
    assert Decimal(ended["totalCost"]) == time_cost(ended) == 10 - balance(changing, "noor")


# Sessions that nobody comes back to


@pytest.mark.parametrize("hours", [0.6, 5, 24 * 400])
def test_an_abandoned_session_is_ended_and_billed_up_to_its_last_message_and_the_grace(
    changing: Gateway, hours: float
) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 60)
    spoken = Decimal(answer(changing, session, "0.5")["session"]["billableSeconds"])
    pass_time(changing.database_url, session, hours * HOUR)

    ended = after_work(changing, session)

    assert (ended["status"], ended["endReason"], ended["meteredUntil"]) == ("ENDED", "ABANDONED", None)
    assert Decimal(ended["billableSeconds"]) == spoken + 300
    assert Decimal(ended["totalCost"]) == time_cost(ended) + Decimal("0.5")
    assert after_work(changing, session) == ended


def test_a_paused_session_is_ended_after_the_limit_and_costs_nothing_more(changing: Gateway) -> None:
    session = start(changing)
    paused = act(changing, "pauseSession", "aiko", id=session)

    pass_time(changing.database_url, session, 23 * HOUR)
    waiting = after_work(changing, session)
    pass_time(changing.database_url, session, 2 * HOUR)
    ended = after_work(changing, session)

    assert waiting["status"] == "PAUSED"
    assert (ended["status"], ended["endReason"]) == ("ENDED", "ABANDONED")
    assert ended["totalCost"] == waiting["totalCost"] == paused["totalCost"]
    assert problem(changing, "resumeSession", "aiko", id=session)["status"] == "ENDED"


def test_the_limits_are_those_of_the_settings(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 20)

    silent = after_work(changing, session, metering_interval=1, session_grace=5, abandoned_after=60)
    pass_time(changing.database_url, session, 50)
    ended = after_work(changing, session, metering_interval=1, session_grace=7, abandoned_after=60)

    assert (silent["status"], ended["endReason"]) == ("ACTIVE", "ABANDONED")
    assert [Decimal(each["billableSeconds"]) for each in (silent, ended)] == [5, 7]


# Several workers, and sessions that are broken


def test_workers_that_come_at_once_charge_once(changing: Gateway) -> None:
    silent, abandoned = ([start(changing) for _ in range(5)] for _ in range(2))
    for session in silent:
        pass_time(changing.database_url, session, 500)
    for session in abandoned:
        pass_time(changing.database_url, session, 5 * HOUR)

    async def work_at_once() -> None:
        databases = [Database(changing.database_url) for _ in range(4)]
        workers = [Settling(database, Settings.read().terms) for database in databases]
        try:
            await asyncio.gather(*(worker.work() for worker in workers))
        finally:
            await asyncio.gather(*(database.close() for database in databases))

    asyncio.run(work_at_once())

    for session in silent + abandoned:
        assert [each["amount"] for each in charges(changing, session)] == [30]
    assert {session_of(changing, session)["status"] for session in silent} == {"ACTIVE"}
    assert {session_of(changing, session)["endReason"] for session in abandoned} == {"ABANDONED"}


def test_a_session_that_cannot_be_charged_keeps_no_other_from_it(changing: Gateway) -> None:
    broken, sound = start(changing), start(changing)
    pass_time(changing.database_url, broken, 1_000)
    pass_time(changing.database_url, sound, 500)
    sql(changing.database_url, "UPDATE sessions SET rate_per_minute = 'NaN' WHERE id = $1", key_of(broken))

    charged = after_work(changing, sound)
    untouched = Decimal(session_of(changing, broken)["totalCost"])
    sql(changing.database_url, "UPDATE sessions SET rate_per_minute = 6 WHERE id = $1", key_of(broken))
    mended = after_work(changing, broken)

    assert untouched == 0
    assert Decimal(charged["totalCost"]) == Decimal(mended["totalCost"]) == 30


# Other programs


def test_a_session_that_another_program_ends_is_charged_up_to_its_end(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 200)
    sql(changing.database_url, ENDED_ELSEWHERE, key_of(session), 150)

    settled = after_work(changing, session)

    assert (settled["status"], settled["endReason"], settled["meteredUntil"]) == ("ENDED", None, None)
    assert [Decimal(settled[name]) for name in ("billableSeconds", "totalCost")] == [150, 15]
    assert after_work(changing, session) == settled


def test_what_was_charged_before_another_program_ends_a_session_earlier_stays(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 200)
    charged = ask(changing, session)["session"]
    sql(changing.database_url, ENDED_ELSEWHERE, key_of(session), 100)

    settled = after_work(changing, session)

    assert settled["meteredUntil"] is None
    assert [settled[name] for name in ("totalCost", "billableSeconds")] == [
        charged[name] for name in ("totalCost", "billableSeconds")
    ]


def test_a_session_that_another_program_pauses_is_charged_until_then_and_can_be_resumed(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 100)
    sql(changing.database_url, "UPDATE sessions SET status = 'paused' WHERE id = $1", key_of(session))

    settled = after_work(changing, session)
    pass_time(changing.database_url, session, 100)
    resumed = act(changing, "resumeSession", "aiko", id=session)

    assert (settled["status"], settled["meteredUntil"]) == ("PAUSED", None)
    assert Decimal(settled["totalCost"]) == time_cost(settled) > 10
    assert (resumed["status"], resumed["billableSeconds"]) == ("ACTIVE", settled["billableSeconds"])


@pytest.mark.parametrize("silence", [0, 400])
def test_a_paused_session_that_another_program_lets_go_on_costs_something_again(
    changing: Gateway, silence: int
) -> None:
    session = start(changing)
    act(changing, "pauseSession", "aiko", id=session)
    pass_time(changing.database_url, session, silence)
    sql(changing.database_url, "UPDATE sessions SET status = 'active' WHERE id = $1", key_of(session))

    seen = after_work(changing, session)
    pass_time(changing.database_url, session, 100)
    ended = act(changing, "endSession", "aiko", id=session)

    assert seen["status"] == "ACTIVE"
    assert seen["meteredUntil"] is not None
    assert Decimal(ended["billableSeconds"]) > 100
    assert Decimal(ended["totalCost"]) == time_cost(ended)


# By itself


def test_a_gateway_has_a_worker_that_works_by_itself(
    server_url: str, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.settling.Settling.pause", 0.05)
    with bank(server_url, template, worker=True) as gateway:
        set_balance(gateway, "aiko", 1_000)
        silent, abandoned = start(gateway), start(gateway)
        pass_time(gateway.database_url, silent, 500)
        pass_time(gateway.database_url, abandoned, 5 * HOUR)

        deadline = time.monotonic() + 20
        while session_of(gateway, abandoned)["status"] == "ACTIVE" and time.monotonic() < deadline:
            time.sleep(0.05)

        assert session_of(gateway, abandoned)["endReason"] == "ABANDONED"
        assert Decimal(session_of(gateway, silent)["totalCost"]) == 30
