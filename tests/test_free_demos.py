"""Free demonstrations: a few, short, and of no use to whoever wants to talk for nothing."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from db import Scope
from tests.money import (
    act,
    answer,
    ask,
    balance,
    bank,
    key_of,
    new_clone,
    pass_time,
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
from tests.serving import Gateway

FORGET = "DELETE FROM sessions WHERE demo_mode"
MOVEMENTS = "SELECT id FROM credit_entries WHERE session_id = $1"


@pytest.fixture(scope="module")
def _changing(server_url: str, template: str) -> Iterator[Gateway]:
    with bank(server_url, template, demo_sessions=2, demo_length=60) as gateway:
        yield gateway


@pytest.fixture
def changing(_changing: Gateway) -> Gateway:
    """A gateway at which each person has two demonstrations of a minute, and nobody has had one."""
    sql(_changing.database_url, FORGET)
    set_balance(_changing, "noor", 10)
    return _changing


def demo(gateway: Gateway, person: str = "noor", clone: str | None = None) -> str:
    return start(gateway, person, clone, demo=True)


def test_a_demonstration_costs_nothing_and_leaves_no_entry(changing: Gateway) -> None:
    session = demo(changing)
    pass_time(changing.database_url, session, 20)
    ask(changing, session, "noor")
    message = answer(changing, session, cost="5")

    ended = act(changing, "endSession", "noor", id=session)

    assert (ended["demoMode"], ended["ratePerMinute"], ended["messageCount"]) == (True, "6", 2)
    assert [Decimal(ended[name]) for name in ("totalCost", "timeCost")] == [0, 0]
    assert Decimal(message["costIncrement"]) == 0
    assert Decimal(ended["billableSeconds"]) > 20
    assert sql(changing.database_url, MOVEMENTS, key_of(session)) == []
    assert balance(changing, "noor") == 10


def test_who_has_nothing_can_have_a_demonstration(changing: Gateway) -> None:
    set_balance(changing, "noor", 0)

    session = demo(changing)

    assert session_of(changing, session)["status"] == "ACTIVE"
    assert ask(changing, session, "noor")["session"]["status"] == "ACTIVE"


def test_a_person_has_so_many_demonstrations_whoever_starts_them(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS)
    clone = new_clone(changing)
    act(changing, "endSession", "noor", id=demo(changing, clone=clone))
    act(changing, "startSession", service, cloneId=new_clone(changing), demo=True, userId=user("noor"))

    refusals = [
        problem(changing, "startSession", "noor", cloneId=new_clone(changing), demo=True),
        problem(changing, "startSession", service, cloneId=clone, demo=True, userId=user("noor")),
    ]

    assert [(each["code"], each["path"]) for each in refusals] == [("DEMO_USED_UP", ["input", "demo"])] * 2
    assert session_of(changing, demo(changing, "luca"))["demoMode"]
    assert act(changing, "startSession", "noor", cloneId=clone)["demoMode"] is False


def test_a_demonstration_is_over_when_its_time_is_up(changing: Gateway) -> None:
    session = demo(changing)
    pass_time(changing.database_url, session, 61)

    refusal = problem(changing, "recordMessage", "noor", sessionId=session, senderType="USER", content="And then?")

    ended = session_of(changing, session)
    assert (refusal["code"], refusal["status"]) == ("WRONG_SESSION_STATUS", "ENDED")
    assert (ended["status"], ended["endReason"], ended["messageCount"]) == ("ENDED", "DEMO_OVER", 0)
    assert Decimal(ended["billableSeconds"]) == 60


def test_pauses_make_a_demonstration_no_longer(changing: Gateway) -> None:
    session = demo(changing)
    for _ in range(2):
        pass_time(changing.database_url, session, 20)
        act(changing, "pauseSession", "noor", id=session)
        pass_time(changing.database_url, session, 600)
        act(changing, "resumeSession", "noor", id=session)
    pass_time(changing.database_url, session, 25)

    ended = act(changing, "pauseSession", "noor", id=session)

    assert (ended["status"], ended["endReason"]) == ("ENDED", "DEMO_OVER")
    assert Decimal(ended["billableSeconds"]) == 60


def test_the_worker_ends_a_demonstration_that_nobody_ends(changing: Gateway) -> None:
    session = demo(changing)
    pass_time(changing.database_url, session, 120)

    work(changing.database_url, demo_length=60)

    ended = session_of(changing, session)
    assert ended["endReason"] == "DEMO_OVER"
    assert Decimal(ended["totalCost"]) == 0


def test_a_session_that_is_paid_cannot_become_a_demonstration(changing: Gateway) -> None:
    clone = new_clone(changing)
    session = start(changing, "noor", clone)

    refusal = problem(changing, "startSession", "noor", cloneId=clone, demo=True)
    sneaked = send(changing, "endSession", "noor", id=session, demo=True)

    assert (refusal["code"], refusal["sessionId"]) == ("SESSION_ALREADY_OPEN", session)
    assert sneaked.codes == ["BAD_USER_INPUT"]
    pass_time(changing.database_url, session, 30)
    assert Decimal(act(changing, "endSession", "noor", id=session)["totalCost"]) > 3


def test_a_demonstration_cannot_be_refunded(changing: Gateway) -> None:
    session = demo(changing)
    act(changing, "endSession", "noor", id=session)

    refusal = problem(changing, "refundSession", "grace", id=session)
    with_amount = problem(changing, "refundSession", "grace", id=session, amount="0.0001")

    assert refusal == with_amount
    assert refusal["code"] == "REFUND_TOO_LARGE"
    assert Decimal(refusal["refundable"]) == 0
