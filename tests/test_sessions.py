"""Sessions: what a person starts, pauses, goes on with and ends, and what that costs to the last digit."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from db import Scope
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
    service_headers,
    session_of,
    set_balance,
    sql,
    start,
    time_cost,
    user,
    work,
)
from tests.serving import CAST, Gateway
from tests.sockets import Socket, open_socket

OLD_SESSION = """
    INSERT INTO sessions (user_id, clone_id, status, rate_per_minute, total_cost)
    SELECT $1, id, $2, 6, 1 FROM clones WHERE id = $3 RETURNING id
"""
CHARGES = """
    query($id: ID!) { session(id: $id) { creditEntries(first: 100) { nodes { kind amount session { id } } } } }
"""
TOLD = """
    subscription($id: ID!) {
      sessionUpdated(id: $id) { session { status endReason totalCost messageCount user { creditsRemaining } } } }
"""


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over data that the tests of this file may change. Aiko can pay for all of it."""
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


def seconds_between(earlier: str, later: str) -> Decimal:
    """How many seconds lie between two moments of the graph, exactly."""
    length = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return Decimal(length.days * 86_400 + length.seconds) + Decimal(length.microseconds) / 1_000_000


def old_session(gateway: Gateway, status: str, person: str = "aiko") -> str:
    """The id of a session that a program opened which knows nothing of the gateway."""
    clone = key_of(new_clone(gateway))
    return f"session_{sql(gateway.database_url, OLD_SESSION, CAST[person].id, status, clone)[0]['id'].hex}"


def charges(gateway: Gateway, session: str) -> list[tuple[str, Decimal]]:
    """The movements of the balance that a session has caused, the newest first."""
    nodes = gateway.ask(CHARGES, as_="grace", id=session).data["session"]["creditEntries"]["nodes"]
    return [(node["kind"], Decimal(node["amount"])) for node in nodes]


# Time and what it costs


def test_a_session_begins_with_nothing_at_the_price_of_the_moment(changing: Gateway) -> None:
    clone = new_clone(changing, "2.75000001")

    begun = act(changing, "startSession", "aiko", cloneId=clone, sessionType="VOICE")

    assert (begun["status"], begun["sessionType"], begun["demoMode"]) == ("ACTIVE", "VOICE", False)
    assert begun["ratePerMinute"] == "2.75000001"
    assert [Decimal(begun[name]) for name in ("totalCost", "timeCost", "billableSeconds", "messageCount")] == [0] * 4
    assert begun["startTime"] == begun["meteredUntil"] == begun["lastActiveAt"]
    assert begun["endTime"] is begun["endReason"] is begun["userRating"] is None
    assert begun["user"]["id"] == user("aiko")
    assert begun["clone"] == {"id": clone, "totalSessions": 1, "averageRating": None, "totalRatings": 0}


@pytest.mark.parametrize("price", ["6", "0.0007", "1.50000001", "0.3333", "100"])
def test_time_costs_its_seconds_at_the_rate_rounded_half_to_even(changing: Gateway, price: str) -> None:
    before = balance(changing, "aiko")
    session = start(changing, clone=new_clone(changing, price))
    pass_time(changing.database_url, session, 123.4567)

    ended = act(changing, "endSession", "aiko", id=session)

    assert Decimal(ended["billableSeconds"]) == seconds_between(ended["startTime"], ended["endTime"])
    assert Decimal(ended["timeCost"]) == Decimal(ended["totalCost"]) == time_cost(ended) > 0
    assert Decimal(ended["durationMinutes"]) == round(Decimal(ended["billableSeconds"]) / 60, 4)
    assert charges(changing, session) == [("SESSION_CHARGE", -time_cost(ended))]
    assert balance(changing, "aiko") == before - time_cost(ended)


def test_a_session_keeps_its_price_when_the_clone_becomes_dearer(changing: Gateway) -> None:
    clone = new_clone(changing, "6")
    session = start(changing, clone=clone)
    rename = "mutation($input: UpdateCloneInput!) { updateClone(input: $input) { userErrors { message } } }"
    changed = changing.ask(rename, as_="maya", input={"id": clone, "basePrice": "600"})
    assert changed.data["updateClone"]["userErrors"] == []
    pass_time(changing.database_url, session, 90)

    ended = act(changing, "endSession", "aiko", id=session)
    next_one = act(changing, "startSession", "aiko", cloneId=clone)

    assert (ended["ratePerMinute"], next_one["ratePerMinute"]) == ("6", "600")
    assert Decimal(ended["totalCost"]) == time_cost(ended)


def test_the_pieces_in_which_time_is_charged_add_up_to_the_whole(changing: Gateway) -> None:
    session = start(changing, clone=new_clone(changing, "0.0123"))
    for seconds in (0.1, 0.7, 1.3, 0.24, 12.125, 0, 3.3):
        pass_time(changing.database_url, session, seconds)
        ask(changing, session)

    ended = act(changing, "endSession", "aiko", id=session)

    pieces = [amount for _, amount in charges(changing, session)]
    assert len(pieces) > 3
    assert -sum(pieces) == Decimal(ended["timeCost"]) == time_cost(ended)


def test_a_pause_is_free(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 60)
    paused = act(changing, "pauseSession", "aiko", id=session)
    pass_time(changing.database_url, session, 3600)
    resumed = act(changing, "resumeSession", "aiko", id=session)
    pass_time(changing.database_url, session, 30)
    before_end = session_of(changing, session)

    ended = act(changing, "endSession", "aiko", id=session)

    assert (paused["status"], paused["meteredUntil"]) == ("PAUSED", None)
    assert Decimal(paused["timeCost"]) == time_cost(paused)
    assert (resumed["status"], resumed["totalCost"]) == ("ACTIVE", paused["totalCost"])
    going_on = seconds_between(before_end["meteredUntil"], ended["endTime"])
    assert Decimal(ended["billableSeconds"]) == Decimal(paused["billableSeconds"]) + going_on
    assert Decimal(ended["totalCost"]) == time_cost(ended)


def test_a_session_that_ends_while_it_is_paused_costs_no_more(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 45)
    paused = act(changing, "pauseSession", "aiko", id=session)
    pass_time(changing.database_url, session, 45)

    ended = act(changing, "endSession", "aiko", id=session)

    assert ended["status"] == "ENDED"
    assert [ended[name] for name in ("totalCost", "billableSeconds")] == [
        paused[name] for name in ("totalCost", "billableSeconds")
    ]


def test_a_clone_without_a_price_is_free_also_for_who_has_nothing(changing: Gateway) -> None:
    set_balance(changing, "luca", 0)
    session = start(changing, "luca", new_clone(changing, "0"))
    pass_time(changing.database_url, session, 3600)
    ask(changing, session, "luca")
    act(changing, "pauseSession", "luca", id=session)
    act(changing, "resumeSession", "luca", id=session)

    ended = act(changing, "endSession", "luca", id=session)

    assert ended["endReason"] == "USER"
    assert Decimal(ended["totalCost"]) == 0
    assert Decimal(ended["billableSeconds"]) > 3600
    assert charges(changing, session) == []


def test_what_was_spent_is_counted_for_the_person_and_the_sessions_for_the_clone(changing: Gateway) -> None:
    clone = new_clone(changing)
    sessions = []
    for person in ("aiko", "samuel"):
        session = start(changing, person, clone)
        before = Decimal(session_of(changing, session)["user"]["totalSpent"])
        pass_time(changing.database_url, session, 20)
        answer(changing, session, "0.5")
        ended = act(changing, "endSession", person, id=session)
        sessions.append(ended["clone"]["totalSessions"])

        assert Decimal(ended["user"]["totalSpent"]) == before + Decimal(ended["totalCost"])
        assert Decimal(ended["totalCost"]) == time_cost(ended) + Decimal("0.5")
    assert sessions == [1, 2]


# When credits run out


def test_a_session_takes_the_price_of_a_minute(changing: Gateway) -> None:
    set_balance(changing, "noor", "5.99999999")

    refusal = problem(changing, "startSession", "noor", cloneId=new_clone(changing, "6"))

    assert (refusal["__typename"], refusal["code"]) == ("InsufficientCredits", "INSUFFICIENT_CREDITS")
    assert (refusal["required"], refusal["available"]) == ("6.0000", "5.99999999")
    assert balance(changing, "noor") == Decimal("5.99999999")


def test_with_the_price_of_a_minute_one_can_talk_for_a_minute(changing: Gateway) -> None:
    set_balance(changing, "noor", 6)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 45)
    ask(changing, session, "noor")
    pass_time(changing.database_url, session, 45)

    refusal = problem(changing, "recordMessage", "noor", sessionId=session, senderType="USER", content="Still there?")

    ended = session_of(changing, session)
    assert refusal["code"] == "INSUFFICIENT_CREDITS"
    assert (ended["status"], ended["endReason"], ended["messageCount"]) == ("ENDED", "CREDITS_EXHAUSTED", 1)
    assert Decimal(ended["totalCost"]) == 6
    assert Decimal(ended["billableSeconds"]) == 60
    assert balance(changing, "noor") == 0


@pytest.mark.parametrize("mutation", ["pauseSession", "endSession"])
def test_a_session_costs_no_more_than_there_is(changing: Gateway, mutation: str) -> None:
    set_balance(changing, "noor", "6.0001")
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 3600)

    ended = act(changing, mutation, "noor", id=session)

    assert (ended["status"], ended["endReason"]) == ("ENDED", "CREDITS_EXHAUSTED")
    assert Decimal(ended["totalCost"]) == Decimal("6.0001") == time_cost(ended)
    assert Decimal(ended["billableSeconds"]) == Decimal("60.001")
    assert balance(changing, "noor") == 0


def test_who_comes_back_late_with_too_little_finds_the_session_charged_and_over(changing: Gateway) -> None:
    set_balance(changing, "noor", 60)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 20 * 60)

    refusal = problem(changing, "recordMessage", "noor", sessionId=session, senderType="USER", content="Still there?")

    ended = session_of(changing, session)
    assert refusal["code"] == "INSUFFICIENT_CREDITS"
    assert (ended["status"], ended["endReason"]) == ("ENDED", "CREDITS_EXHAUSTED")
    assert (Decimal(ended["totalCost"]), balance(changing, "noor")) == (Decimal(60), Decimal(0))


def test_a_pause_is_there_also_for_who_has_nothing_left(changing: Gateway) -> None:
    set_balance(changing, "noor", 10)
    session = start(changing, "noor", new_clone(changing, "6"))
    pass_time(changing.database_url, session, 70)

    paused = act(changing, "pauseSession", "noor", id=session)
    set_balance(changing, "noor", 0)
    message = answer(changing, session, "0")["session"]

    assert Decimal(paused["user"]["creditsRemaining"]) < 3
    assert (paused["status"], message["status"]) == ("PAUSED", "PAUSED")
    assert message["totalCost"] == paused["totalCost"]
    act(changing, "endSession", "noor", id=session)


def test_a_paused_session_goes_on_once_there_are_credits_for_the_minute_that_has_begun(changing: Gateway) -> None:
    set_balance(changing, "noor", 7)
    session = start(changing, "noor", new_clone(changing, "6"))
    paused = act(changing, "pauseSession", "noor", id=session)
    set_balance(changing, "noor", 1)

    refusal = problem(changing, "resumeSession", "noor", id=session)
    grant(changing, "noor", 5)
    resumed = act(changing, "resumeSession", "noor", id=session)

    assert Decimal(refusal["required"]) == 6 - Decimal(paused["timeCost"])
    assert Decimal(refusal["available"]) == 1
    assert resumed["status"] == "ACTIVE"
    act(changing, "endSession", "noor", id=session)


# States


def test_the_end_is_final(changing: Gateway) -> None:
    session = start(changing)
    ended = act(changing, "endSession", "aiko", id=session)

    refusals = [
        *(problem(changing, f"{verb}Session", "aiko", id=session) for verb in ("pause", "resume", "end")),
        problem(changing, "recordMessage", "aiko", sessionId=session, senderType="USER", content="One more thing."),
        problem(changing, "recordMessage", "grace", sessionId=session, senderType="AI", content="And another."),
    ]

    assert [(each["code"], each["status"]) for each in refusals] == [("WRONG_SESSION_STATUS", "ENDED")] * 5
    assert {tuple(each["path"]) for each in refusals} == {("input", "id"), ("input", "sessionId")}
    assert session_of(changing, session, as_="aiko") == ended


def test_what_does_not_fit_the_state_is_refused_with_the_state(changing: Gateway) -> None:
    session = start(changing)
    while_active = [
        problem(changing, "resumeSession", "aiko", id=session),
        problem(changing, "rateSession", "aiko", id=session, rating=5),
    ]
    act(changing, "pauseSession", "aiko", id=session)

    while_paused = [
        problem(changing, "pauseSession", "aiko", id=session),
        problem(changing, "rateSession", "aiko", id=session, rating=5),
        problem(changing, "recordMessage", "aiko", sessionId=session, senderType="USER", content="Are you there?"),
    ]

    assert [each["status"] for each in while_active] == ["ACTIVE"] * 2
    assert [each["status"] for each in while_paused] == ["PAUSED"] * 3
    assert {each["code"] for each in while_active + while_paused} == {"WRONG_SESSION_STATUS"}


@pytest.mark.parametrize("pause", [False, True], ids=["active", "paused"])
def test_a_person_has_one_open_session_with_a_clone(changing: Gateway, pause: bool) -> None:
    clone = new_clone(changing)
    session = start(changing, clone=clone)
    if pause:
        act(changing, "pauseSession", "aiko", id=session)

    refusal = problem(changing, "startSession", "aiko", cloneId=clone)
    demo_refusal = problem(changing, "startSession", "aiko", cloneId=clone, demo=True)

    assert (refusal["code"], refusal["sessionId"]) == ("SESSION_ALREADY_OPEN", session)
    assert demo_refusal == refusal
    start(changing)
    start(changing, "samuel", clone)
    act(changing, "endSession", "aiko", id=session)
    assert start(changing, clone=clone) != session


def test_a_session_tells_who_ended_it(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS)

    reasons = [act(changing, "endSession", who, id=start(changing))["endReason"] for who in ("aiko", "grace", service)]

    assert reasons == ["USER", "OPERATOR", "OPERATOR"]


def test_a_service_starts_sessions_for_people_and_cannot_pay_itself(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS)

    begun = act(changing, "startSession", service, cloneId=new_clone(changing), userId=user("aiko"))
    refusal = problem(changing, "startSession", service, cloneId=new_clone(changing))
    nobody = problem(changing, "startSession", service, cloneId=new_clone(changing), userId=f"user_{uuid4().hex}")

    assert begun["user"]["id"] == user("aiko")
    assert (refusal["code"], refusal["path"]) == ("INVALID_INPUT", ["input", "userId"])
    assert (nobody["code"], nobody["path"]) == ("NOT_FOUND", ["input", "userId"])


# What cannot be started


@pytest.mark.parametrize(
    ("change", "code", "to_creator"),
    [
        ("is_published = false", "NOT_FOUND", None),
        ("is_active = false", "NOT_FOUND", "CLONE_UNAVAILABLE"),
        ("base_price = -1", "CLONE_UNAVAILABLE", "CLONE_UNAVAILABLE"),
        ("base_price = 'NaN'", "CLONE_UNAVAILABLE", "CLONE_UNAVAILABLE"),
        ("base_price = 'Infinity'", "CLONE_UNAVAILABLE", "CLONE_UNAVAILABLE"),
        ("base_price = 1e30", "CLONE_UNAVAILABLE", "CLONE_UNAVAILABLE"),
    ],
)
def test_a_clone_that_is_not_offered_takes_no_session(
    changing: Gateway, change: str, code: str, to_creator: str | None
) -> None:
    clone = new_clone(changing)
    sql(changing.database_url, f"UPDATE clones SET {change} WHERE id = $1", key_of(clone))

    refusal = problem(changing, "startSession", "aiko", cloneId=clone)

    assert refusal["code"] == code
    if to_creator:
        assert problem(changing, "startSession", "maya", cloneId=clone)["code"] == to_creator
    else:
        assert act(changing, "startSession", "maya", cloneId=clone)["status"] == "ACTIVE"


def test_input_that_leads_to_nothing_is_told(changing: Gateway) -> None:
    missing = problem(changing, "startSession", "aiko", cloneId=f"clone_{uuid4().hex}")
    how = problem(changing, "startSession", "aiko", cloneId=new_clone(changing), sessionType="UNKNOWN")

    assert (missing["code"], missing["path"]) == ("NOT_FOUND", ["input", "cloneId"])
    assert (how["code"], how["path"]) == ("INVALID_INPUT", ["input", "sessionType"])


def test_other_peoples_sessions_are_as_if_there_were_none(changing: Gateway) -> None:
    session = start(changing)

    for verb in ("pause", "resume", "end"):
        refusals = [
            problem(changing, f"{verb}Session", "samuel", id=session),
            problem(changing, f"{verb}Session", "maya", id=session),
            problem(changing, f"{verb}Session", "aiko", id=f"session_{uuid4().hex}"),
        ]

        assert [each["code"] for each in refusals] == ["NOT_FOUND"] * 3
        assert refusals[0] == refusals[1] == refusals[2]


# Other programs


def test_a_session_of_another_program_is_left_to_it(changing: Gateway) -> None:
    session = old_session(changing, "active")
    before = session_of(changing, session)

    refusals = [
        *(problem(changing, f"{verb}Session", "aiko", id=session) for verb in ("pause", "resume", "end")),
        problem(changing, "recordMessage", "aiko", sessionId=session, senderType="USER", content="Why?"),
        problem(changing, "recordMessage", "grace", sessionId=session, senderType="AI", content="Because."),
        problem(changing, "refundSession", "grace", id=session),
    ]
    work(changing.database_url)

    assert [each["code"] for each in refusals] == ["SESSION_ELSEWHERE"] * 6
    assert session_of(changing, session) == before
    assert charges(changing, session) == []


def test_a_session_of_another_program_can_be_rated_and_stands_in_nobodys_way(changing: Gateway) -> None:
    open_elsewhere = session_of(changing, old_session(changing, "active"))

    rated = act(changing, "rateSession", "aiko", id=old_session(changing, "ended"), rating=4)

    assert rated["userRating"] == Decimal(rated["clone"]["averageRating"]) == 4
    assert act(changing, "startSession", "aiko", cloneId=open_elsewhere["clone"]["id"])["status"] == "ACTIVE"


def test_a_rate_that_another_program_lowers_gives_nothing_back_and_ends_nothing(changing: Gateway) -> None:
    session = start(changing)
    pass_time(changing.database_url, session, 60)
    before = ask(changing, session)["session"]
    sql(changing.database_url, "UPDATE sessions SET rate_per_minute = 1 WHERE id = $1", key_of(session))

    lowered = ask(changing, session)["session"]

    assert (lowered["status"], lowered["totalCost"]) == ("ACTIVE", before["totalCost"])
    sql(changing.database_url, "UPDATE sessions SET rate_per_minute = 6 WHERE id = $1", key_of(session))
    ended = act(changing, "endSession", "aiko", id=session)
    assert Decimal(ended["totalCost"]) == time_cost(ended)


# Live


def next_change(socket: Socket, before: Any) -> Any:
    """The next session told that differs from `before`. An event may tell what the first look has told already."""
    session = before
    while session == before:
        session = socket.data()["sessionUpdated"]["session"]
    return session


def test_whoever_looks_at_a_session_sees_each_charge_and_the_balance(changing: Gateway) -> None:
    session = start(changing)

    with open_socket(changing, "aiko") as socket:
        socket.subscribe("1", TOLD, id=session)
        first: Any = socket.data()["sessionUpdated"]["session"]
        message = answer(changing, session, "2.5")["session"]
        after_message = next_change(socket, first)
        ended = act(changing, "endSession", "aiko", id=session)
        after_end = next_change(socket, after_message)

    assert first["status"] == "ACTIVE"
    assert Decimal(first["totalCost"]) == 0
    assert after_message == {
        "status": "ACTIVE",
        "endReason": None,
        "totalCost": message["totalCost"],
        "messageCount": 1,
        "user": {"creditsRemaining": message["user"]["creditsRemaining"]},
    }
    assert after_end == {
        "status": "ENDED",
        "endReason": "USER",
        "totalCost": ended["totalCost"],
        "messageCount": 1,
        "user": {"creditsRemaining": ended["user"]["creditsRemaining"]},
    }
