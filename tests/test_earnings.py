"""Earnings: what a clone gets of what people pay, and what it gives back when they get something back."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.money import (
    act,
    answer,
    balance,
    bank,
    grant,
    new_clone,
    pass_time,
    problem,
    rounded,
    session_of,
    start,
)
from tests.serving import Gateway

EARNINGS = """
    query($id: ID!) { clone(id: $id) { totalEarnings creatorEntries(first: 100) {
        nodes { amount kind earnedAfter creator { id } session { id } creditEntry { kind amount } } } } }
"""
SEEN = "query($id: ID!) { session(id: $id) { creatorEntries { totalCount } } }"


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway at which creators get all that is paid. Aiko can pay for all of it."""
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


@pytest.fixture(scope="module")
def sharing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway that keeps three tenths of what is paid."""
    with bank(server_url, template, platform_share="0.3") as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


def earnings(gateway: Gateway, clone: str) -> tuple[Decimal, list[Any]]:
    """What a clone has earned in all, and by what, the newest first."""
    shown = gateway.ask(EARNINGS, as_="maya", id=clone).data["clone"]
    return Decimal(shown["totalEarnings"]), shown["creatorEntries"]["nodes"]


def amounts(entries: list[Any]) -> list[Decimal]:
    return [Decimal(entry["amount"]) for entry in entries]


def paid(gateway: Gateway, *costs: str) -> tuple[str, str]:
    """The ids of a clone, and of a session with it that is over, with answers of these costs and time for nothing."""
    clone = new_clone(gateway, "0")
    session = start(gateway, clone=clone)
    for cost in costs:
        answer(gateway, session, cost)
    act(gateway, "endSession", "aiko", id=session)
    return clone, session


def test_a_clone_earns_what_is_paid_for_time_and_for_messages(changing: Gateway) -> None:
    clone = new_clone(changing, "6")
    session = start(changing, clone=clone)
    pass_time(changing.database_url, session, 10)
    answer(changing, session, "0.25")
    pass_time(changing.database_url, session, 10)
    ended = act(changing, "endSession", "aiko", id=session)

    total, entries = earnings(changing, clone)

    assert total == sum(amounts(entries)) == Decimal(ended["totalCost"]) > 2
    assert Decimal(entries[0]["earnedAfter"]) == total
    assert [each["creditEntry"]["kind"] for each in entries] == ["SESSION_CHARGE", "MESSAGE_CHARGE", "SESSION_CHARGE"]
    assert amounts(entries) == [-Decimal(each["creditEntry"]["amount"]) for each in entries]
    assert {(each["kind"], each["session"]["id"]) for each in entries} == {("EARNING", session)}


def test_the_platform_keeps_its_share_of_each_charge(sharing: Gateway) -> None:
    costs = ["1", "0.0001", "0.0005", "0.0015", "0.00012345", "12.34567891"]

    clone, _ = paid(sharing, *costs)

    total, entries = earnings(sharing, clone)
    assert amounts(entries)[::-1] == [share for cost in costs if (share := rounded(Decimal(cost) * Decimal("0.7")))]
    assert total == sum(amounts(entries))


def test_a_clone_never_earns_more_than_was_paid(changing: Gateway) -> None:
    costs = ["0.00005001", "0.00014999", "0.00000001"]

    clone, session = paid(changing, *costs)

    total, entries = earnings(changing, clone)
    assert all(0 < Decimal(each["amount"]) <= -Decimal(each["creditEntry"]["amount"]) for each in entries)
    assert total <= sum(map(Decimal, costs)) == Decimal(session_of(changing, session)["totalCost"])


def test_a_platform_that_keeps_everything_leaves_no_earnings(server_url: str, template: str) -> None:
    with bank(server_url, template, platform_share="1") as keeping:
        clone, session = paid(keeping, "5")
        act(keeping, "refundSession", "grace", id=session, amount="2")

        total, entries = earnings(keeping, clone)

        assert total == 0
        assert entries == []


@pytest.mark.parametrize(("back", "left"), [("4", "6"), ("9.99999999", "0.00000001"), ("10", "0"), (None, "0")])
def test_a_refund_gives_back_and_takes_the_same_part_of_the_earning(
    sharing: Gateway, back: str | None, left: str
) -> None:
    clone, session = paid(sharing, "2.5", "7.5")
    before, given = balance(sharing, "aiko"), 10 - Decimal(left)

    refunded = act(sharing, "refundSession", "grace", id=session, **({"amount": back} if back else {}))

    total, entries = earnings(sharing, clone)
    assert (refunded["status"], Decimal(refunded["totalCost"])) == ("ENDED", Decimal(left))
    assert balance(sharing, "aiko") == before + given
    assert entries[0]["kind"] == "REFUND"
    assert total == rounded(Decimal(left) * Decimal("0.7"))
    assert amounts(entries) == [total - 7, Decimal("5.25"), Decimal("1.75")]
    assert (entries[0]["creditEntry"]["kind"], Decimal(entries[0]["creditEntry"]["amount"])) == ("REFUND", given)


def test_what_was_spent_goes_back_with_a_refund(changing: Gateway) -> None:
    _, session = paid(changing, "8")
    spent = Decimal(session_of(changing, session)["user"]["totalSpent"])

    refunded = act(changing, "refundSession", "grace", id=session, amount="3")

    assert Decimal(refunded["user"]["totalSpent"]) == spent - 3


def test_refunds_never_exceed_what_is_left_of_the_cost(changing: Gateway) -> None:
    clone, session = paid(changing, "10")
    act(changing, "refundSession", "grace", id=session, amount="7")

    refusal = problem(changing, "refundSession", "grace", id=session, amount="3.00000001")
    emptied = act(changing, "refundSession", "grace", id=session, amount="3")
    again = [
        problem(changing, "refundSession", "grace", id=session),
        problem(changing, "refundSession", "grace", id=session, amount="0.00000001"),
    ]

    assert (refusal["code"], refusal["path"]) == ("REFUND_TOO_LARGE", ["input", "amount"])
    assert Decimal(refusal["refundable"]) == 3
    assert Decimal(emptied["totalCost"]) == 0
    assert [each["code"] for each in again] == ["REFUND_TOO_LARGE"] * 2
    assert [Decimal(each["refundable"]) for each in again] == [0, 0]
    assert earnings(changing, clone)[0] == 0


def test_many_small_refunds_never_bring_an_earning_below_zero(sharing: Gateway) -> None:
    clone, session = paid(sharing, "0.001", "0.00012345")

    for _ in range(11):
        act(sharing, "refundSession", "grace", id=session, amount="0.0001")
        assert earnings(sharing, clone)[0] >= 0
    refunded = act(sharing, "refundSession", "grace", id=session)

    assert Decimal(refunded["totalCost"]) == earnings(sharing, clone)[0] == 0


def test_a_session_that_goes_on_can_be_refunded_and_costs_no_less_afterwards(changing: Gateway) -> None:
    clone = new_clone(changing, "6")
    session = start(changing, clone=clone)
    pass_time(changing.database_url, session, 30)
    answer(changing, session, "2")
    refunded = act(changing, "refundSession", "grace", id=session)
    pass_time(changing.database_url, session, 30)

    ended = act(changing, "endSession", "aiko", id=session)

    later = Decimal(ended["timeCost"]) - Decimal(refunded["timeCost"])
    assert refunded["status"] == "ACTIVE"
    assert Decimal(refunded["totalCost"]) == 0
    assert later > 3
    assert Decimal(ended["totalCost"]) == earnings(changing, clone)[0] == later


def test_a_refund_of_nothing_that_exists_is_told(changing: Gateway) -> None:
    refusal = problem(changing, "refundSession", "grace", id=f"session_{uuid4().hex}")
    too_long = problem(changing, "refundSession", "grace", id=paid(changing, "1")[1], reason="x" * 1_001)

    assert (refusal["code"], refusal["path"]) == ("NOT_FOUND", ["input", "id"])
    assert (too_long["code"], too_long["path"]) == ("INVALID_INPUT", ["input", "reason"])


def test_only_the_creator_and_admins_see_what_was_earned(changing: Gateway) -> None:
    _, session = paid(changing, "1")

    seen = {person: changing.ask(SEEN, as_=person, id=session).data["session"] for person in ("maya", "grace", "aiko")}

    assert [seen[person]["creatorEntries"]["totalCount"] for person in ("maya", "grace", "aiko")] == [1, 1, 0]
    for person in ("jonas", "samuel", None):
        assert changing.ask(SEEN, as_=person, id=session).data["session"] is None
