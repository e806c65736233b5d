"""Credits: balances moved by hand, every number that is sent for one, and the history that people see."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
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
    problem,
    problems,
    send,
    set_balance,
    start,
    user,
)
from tests.serving import Gateway

STEPS, STEPS_AT_A_TIME = 300, 50

HISTORY = """
    query($after: String) { viewer { creditsRemaining creditEntries(first: 7, after: $after) {
        totalCount nodes { id amount balanceAfter createdAt } pageInfo { hasNextPage endCursor } } } }
"""
ENTRY = "query($id: ID!) { creditEntry(id: $id) { amount kind session { id } } }"
LAST_ENTRY = """
    query($id: ID!) { session(id: $id) {
        creditEntries(first: 1) { nodes { amount reason balanceAfter spentAfter idempotencyKey } } } }
"""
OF_MESSAGE = "query($id: ID!) { message(id: $id) { creditEntries { nodes { id } } } }"


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over data that the tests of this file may change. Aiko can pay for all of it."""
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


def history(gateway: Gateway, person: str) -> tuple[Decimal, list[Any]]:
    """What a person has, and all entries, page by page."""
    entries: list[Any] = []
    after = None
    while True:
        shown = gateway.ask(HISTORY, as_=person, after=after).data["viewer"]
        page = shown["creditEntries"]
        entries += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(entries) == page["totalCount"]
            return Decimal(shown["creditsRemaining"]), entries
        after = page["pageInfo"]["endCursor"]


def charged(gateway: Gateway, clone: str, cost: str = "2") -> str:
    """The id of the entry of a message that Aiko has paid."""
    message = answer(gateway, start(gateway, clone=clone), cost)["id"]
    (entry,) = gateway.ask(OF_MESSAGE, as_="grace", id=message).data["message"]["creditEntries"]["nodes"]
    id_: str = entry["id"]
    return id_


# By hand


def test_a_top_up_adds_credits_and_says_where_they_come_from(changing: Gateway) -> None:
    before, key = balance(changing, "noor"), uuid4()

    entry = act(changing, "topUpCredits", "grace", key=key, userId=user("noor"), amount="25.5", reason="Invoice 17")

    assert (entry["kind"], entry["amount"], entry["reason"]) == ("TOP_UP", "25.5", "Invoice 17")
    assert entry["idempotencyKey"] == str(key)
    assert entry["user"]["id"] == user("noor")
    assert Decimal(entry["balanceAfter"]) == Decimal(entry["user"]["creditsRemaining"]) == before + Decimal("25.5")
    assert Decimal(entry["spentAfter"]) == Decimal(entry["user"]["totalSpent"]) == 0
    assert balance(changing, "noor") == before + Decimal("25.5")


@pytest.mark.parametrize("amount", ["3.00000001", "-3.00000001"])
def test_an_adjustment_corrects_a_balance_both_ways(changing: Gateway, amount: str) -> None:
    set_balance(changing, "noor", 10)

    entry = act(changing, "adjustCredits", "grace", userId=user("noor"), amount=amount, reason="Counted twice.")

    assert (entry["kind"], entry["amount"], entry["reason"]) == ("ADJUSTMENT", amount, "Counted twice.")
    assert balance(changing, "noor") == Decimal(entry["balanceAfter"]) == 10 + Decimal(amount)


def test_an_adjustment_takes_no_more_than_there_is(changing: Gateway) -> None:
    set_balance(changing, "noor", "1.5")

    refusal = problem(
        changing, "adjustCredits", "grace", userId=user("noor"), amount="-1.50000001", reason="A mistake."
    )
    emptied = act(changing, "adjustCredits", "grace", userId=user("noor"), amount="-1.5", reason="A mistake.")

    assert (refusal["code"], refusal["path"]) == ("INSUFFICIENT_CREDITS", ["input", "amount"])
    assert (Decimal(refusal["required"]), Decimal(refusal["available"])) == (Decimal("1.50000001"), Decimal("1.5"))
    assert Decimal(emptied["balanceAfter"]) == balance(changing, "noor") == 0


@pytest.mark.parametrize("mutation", ["topUpCredits", "adjustCredits"])
def test_nobody_has_no_balance(changing: Gateway, mutation: str) -> None:
    for amount in ("1", "-1")[: 2 if mutation == "adjustCredits" else 1]:
        refusal = problem(changing, mutation, "grace", userId=f"user_{uuid4().hex}", amount=amount, reason="Why not?")

        assert (refusal["code"], refusal["path"]) == ("NOT_FOUND", ["input", "userId"])


@pytest.mark.parametrize("reason", ["", " \n", "x" * 1_001, "a\0b"], ids=lambda reason: repr(reason[:3]))
def test_an_adjustment_says_why(changing: Gateway, reason: str) -> None:
    refusal = problem(changing, "adjustCredits", "grace", userId=user("noor"), amount="1", reason=reason)

    assert (refusal["code"], refusal["path"]) == ("INVALID_INPUT", ["input", "reason"])


# Numbers


@pytest.mark.parametrize(
    ("sent", "added"),
    [
        ("0.00000001", "0.00000001"),
        ("1000000000", "1000000000"),
        ("999999999.99999999", "999999999.99999999"),
        ("1e2", "100"),
        ("+5", "5"),
        ("007", "7"),
        (5, "5"),
        (0.1, "0.1"),
        (1e-8, "0.00000001"),
    ],
)
def test_an_amount_arrives_to_its_last_digit(changing: Gateway, sent: Any, added: str) -> None:
    before = balance(changing, "samuel")

    entry = act(changing, "topUpCredits", "grace", userId=user("samuel"), amount=sent)

    assert Decimal(entry["amount"]) == Decimal(added)
    assert balance(changing, "samuel") == before + Decimal(added)


@pytest.mark.parametrize("literal", ["0.1", '"0.1"', "1e-1"])
def test_an_amount_can_be_written_into_the_document(changing: Gateway, literal: str) -> None:
    before = balance(changing, "samuel")
    written = f"""mutation {{ topUpCredits(input: {{ idempotencyKey: "{uuid4()}", userId: "{user("samuel")}",
        amount: {literal} }}) {{ userErrors {{ code }} }} }}"""

    done = changing.ask(written, as_="grace").data["topUpCredits"]

    assert done["userErrors"] == []
    assert balance(changing, "samuel") == before + Decimal("0.1")


@pytest.mark.parametrize(
    "amount",
    [
        0,
        "-0",
        "-1",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        1e308,
        "1e1000000",
        "-1e1000000",
        "1e-1000000",
        2**53 + 1,
        "1000000000.00000001",
        "0.000000001",
        "1.000000000",
    ],
    ids=str,
)
def test_an_amount_that_cannot_be_is_a_user_error_and_moves_nothing(changing: Gateway, amount: Any) -> None:
    before = balance(changing, "noor")
    told = problems(changing, "topUpCredits", "grace", userId=user("noor"), amount=amount)
    if amount != "-1":
        told += problems(changing, "adjustCredits", "grace", userId=user("noor"), amount=amount, reason="Why not?")
        told += problems(changing, "refundSession", "grace", id=f"session_{uuid4().hex}", amount=amount)

    assert {(each["code"], *each["path"]) for each in told} == {("INVALID_INPUT", "input", "amount")}
    assert balance(changing, "noor") == before


@pytest.mark.parametrize("amount", ["abc", "", "1,5", "0x10", True, [], [0, [5], 0], {}, None], ids=str)
def test_what_is_no_number_is_bad_input(changing: Gateway, amount: Any) -> None:
    answer = send(changing, "topUpCredits", "grace", userId=user("noor"), amount=amount)

    assert answer.codes == ["BAD_USER_INPUT"]
    assert "Decimal" in answer.errors[0]["message"]


def test_many_small_steps_add_up_exactly(changing: Gateway) -> None:
    before, session = balance(changing, "aiko"), start(changing, clone=new_clone(changing, "0"))

    for _ in range(STEPS // STEPS_AT_A_TIME):
        steps = "".join(
            f"""step{number}: recordMessage(input: {{ idempotencyKey: "{uuid4()}", sessionId: $session, senderType: AI,
                content: "Because.", cost: "0.0001" }}) {{ userErrors {{ code }} }} """
            for number in range(STEPS_AT_A_TIME)
        )
        done = changing.ask(f"mutation($session: ID!) {{ {steps} }}", as_="grace", session=session).data
        assert all(step["userErrors"] == [] for step in done.values())

    ended = act(changing, "endSession", "aiko", id=session)
    assert ended["messageCount"] == STEPS
    assert Decimal(ended["totalCost"]) == STEPS * Decimal("0.0001")
    assert balance(changing, "aiko") == before - STEPS * Decimal("0.0001")


# History


def test_the_history_of_a_balance_is_a_chain_that_ends_with_it_and_begins_at_nothing(changing: Gateway) -> None:
    grant(changing, "petra", 30)
    session = start(changing, "petra", new_clone(changing, "6"))
    for cost in ("0.3", "0.00000007", "1"):
        answer(changing, session, cost)
    act(changing, "endSession", "petra", id=session)
    act(changing, "refundSession", "grace", id=session, amount="0.5")

    now, entries = history(changing, "petra")

    amounts = [Decimal(entry["amount"]) for entry in entries]
    balances = [Decimal(entry["balanceAfter"]) for entry in entries]
    assert len({entry["id"] for entry in entries}) == len(entries) > 10
    assert [entry["createdAt"] for entry in entries] == sorted((each["createdAt"] for each in entries), reverse=True)
    assert balances[0] == now == sum(amounts)
    assert [later - earlier for later, earlier in pairwise([*balances, Decimal(0)])] == amounts


def test_an_entry_is_seen_by_who_paid_by_who_earned_and_by_admins(changing: Gateway) -> None:
    entry = charged(changing, new_clone(changing, creator="maya"))

    seen = {
        person: changing.ask(ENTRY, as_=person, id=entry).data["creditEntry"]
        for person in ("aiko", "maya", "grace", "samuel", "jonas", None)
    }

    assert seen["aiko"]["amount"] == "-2"
    assert seen["aiko"] == seen["maya"] == seen["grace"]
    assert seen["samuel"] is seen["jonas"] is seen[None] is None


def test_what_a_person_has_left_and_why_is_not_told_to_the_creator(changing: Gateway) -> None:
    session = start(changing, clone=new_clone(changing, creator="maya"))
    answer(changing, session, "2")
    act(changing, "refundSession", "grace", id=session, amount="1", reason="A broken line.")

    to_payer, to_admin, to_creator = (
        changing.ask(LAST_ENTRY, as_=person, id=session).data["session"]["creditEntries"]["nodes"][0]
        for person in ("aiko", "grace", "maya")
    )

    assert to_payer == to_admin
    assert (to_payer["amount"], to_payer["reason"]) == ("1", "A broken line.")
    assert all(to_payer.values())
    assert to_creator == {name: to_payer[name] if name == "amount" else None for name in to_payer}
