"""Who may do what with sessions and credits, as a table, and what people try who are on the wrong side of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from db import Scope
from tests.money import (
    Who,
    act,
    answer,
    ask,
    bank,
    grant,
    new_clone,
    send,
    service_headers,
    session_of,
    sql,
    start,
    user,
)
from tests.serving import CAST, Answer, Gateway

PEOPLE = ("nobody", "aiko", "maya", "samuel", "grace")
SERVICES: Mapping[str, tuple[Scope, ...]] = {
    "reader": (),
    "talker": (Scope.SESSIONS,),
    "cashier": (Scope.CREDITS,),
    "both": (Scope.SESSIONS, Scope.CREDITS),
}
"""What each service may do beside reading."""

OWN = {"aiko", "grace", "talker", "both"}
TALKERS = {"grace", "talker", "both"}
CASHIERS = {"grace", "cashier", "both"}
MAY = {
    "startSession": OWN,
    "pauseSession": OWN,
    "resumeSession": OWN,
    "endSession": OWN,
    "rateSession": OWN,
    "recordMessage": OWN,
    "recordMessage of the clone": TALKERS,
    "recordMessage at a cost": TALKERS,
    "topUpCredits": CASHIERS,
    "adjustCredits": CASHIERS,
    "refundSession": CASHIERS,
}
"""Who may do what about Aiko and her session with Maya's clone. Nobody else may do anything."""

BLIND_TO_IT = {"maya", "samuel"}
"""Those who are told of a session of Aiko's what they are told of none, since they could have one of their own."""

EVERYTHING = """
    SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM messages), (SELECT count(*) FROM credit_entries),
        (SELECT count(*) FROM creator_entries), (SELECT count(*) FROM idempotency_keys)
"""


@dataclass(frozen=True)
class Scene:
    """A gateway that may be changed, and who comes to it."""

    gateway: Gateway
    viewers: Mapping[str, Who]

    def values_for(self, what: str) -> dict[str, Any]:
        """The input of a mutation for which everything is ready."""
        if what == "startSession":
            return {"cloneId": new_clone(self.gateway), "userId": user("aiko")}
        if what in ("topUpCredits", "adjustCredits"):
            return {"userId": user("aiko"), "amount": "1", "reason": "Because."}
        session = start(self.gateway)
        answer(self.gateway, session)
        if what == "resumeSession":
            act(self.gateway, "pauseSession", "aiko", id=session)
        if what in ("rateSession", "refundSession"):
            act(self.gateway, "endSession", "aiko", id=session)
        more: dict[str, dict[str, Any]] = {
            "recordMessage": {"sessionId": session, "senderType": "USER", "content": "Why?"},
            "recordMessage of the clone": {"sessionId": session, "senderType": "AI", "content": "Because."},
            "recordMessage at a cost": {"sessionId": session, "senderType": "USER", "content": "Why?", "cost": "1"},
            "rateSession": {"id": session, "rating": 5},
        }
        return more.get(what, {"id": session})


@pytest.fixture(scope="module")
def scene(server_url: str, template: str) -> Iterator[Scene]:
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 10_000)
        services = {name: service_headers(gateway.database_url, *scopes) for name, scopes in SERVICES.items()}
        yield Scene(gateway, {**{name: name for name in PEOPLE}, "nobody": None, **services})


def outcome(answer: Answer) -> str:
    """What came of a mutation, in a word."""
    if answer.codes:
        assert answer.body.get("data") in (None, {"done": None})
        return answer.codes[0]
    errors = answer.data["done"]["userErrors"]
    return errors[0]["code"] if errors else "DONE"


@pytest.mark.parametrize("viewer", [*PEOPLE, *SERVICES])
@pytest.mark.parametrize("what", MAY)
def test_each_does_what_the_table_says_and_whoever_may_not_changes_nothing(
    scene: Scene, what: str, viewer: str
) -> None:
    values = scene.values_for(what)
    before = sql(scene.gateway.database_url, EVERYTHING)

    came = outcome(send(scene.gateway, what.split(maxsplit=1)[0], scene.viewers[viewer], **values))

    is_changed = sql(scene.gateway.database_url, EVERYTHING) != before
    if viewer in MAY[what]:
        assert (came, is_changed) == ("DONE", True)
    else:
        about_own_session = MAY[what] is OWN and what != "startSession"
        refusal = "NOT_FOUND" if about_own_session and viewer in BLIND_TO_IT else "FORBIDDEN"
        assert (came, is_changed) == (refusal, False)


@pytest.mark.parametrize("mutation", ["topUpCredits", "adjustCredits"])
@pytest.mark.parametrize("person", ["aiko", "maya"])
def test_nobody_gives_credits_to_oneself(scene: Scene, mutation: str, person: str) -> None:
    values = {"userId": user(person), "amount": "1000000", "reason": "I am worth it."}

    assert outcome(send(scene.gateway, mutation, person, **values)) == "FORBIDDEN"


def test_a_person_can_say_who_pays_only_if_it_is_that_person(scene: Scene) -> None:
    own = act(scene.gateway, "startSession", "aiko", cloneId=new_clone(scene.gateway), userId=user("aiko"))
    of_others = [
        outcome(send(scene.gateway, "startSession", person, cloneId=new_clone(scene.gateway), userId=user(payer)))
        for person, payer in (("aiko", "samuel"), ("maya", "aiko"), ("samuel", "grace"))
    ]

    assert own["user"]["id"] == user("aiko")
    assert of_others == ["FORBIDDEN"] * 3


def test_an_admin_pays_unless_somebody_else_is_named(scene: Scene) -> None:
    grant(scene.gateway, "grace", 100)

    begun = act(scene.gateway, "startSession", "grace", cloneId=new_clone(scene.gateway))

    assert begun["user"]["id"] == user("grace")
    assert act(scene.gateway, "endSession", "grace", id=begun["id"])["endReason"] == "USER"


def test_nobody_starts_a_session_for_a_person_whose_account_is_closed(scene: Scene) -> None:
    values = {"cloneId": new_clone(scene.gateway, "0"), "userId": user("viktor")}

    for viewer in ("grace", "talker"):
        assert outcome(send(scene.gateway, "startSession", scene.viewers[viewer], **values)) == "NOT_FOUND"
    assert outcome(send(scene.gateway, "startSession", "viktor", cloneId=values["cloneId"])) == "UNAUTHENTICATED"


def test_what_others_do_for_a_person_is_paid_by_that_person_and_written_down_with_who_did_it(scene: Scene) -> None:
    before = sql(scene.gateway.database_url, "SELECT max(number) AS last FROM credit_entries")[0]["last"]
    begun = act(scene.gateway, "startSession", scene.viewers["talker"], **scene.values_for("startSession"))
    answer(scene.gateway, begun["id"], "2", as_=scene.viewers["talker"])
    ask(scene.gateway, begun["id"], "aiko")
    act(scene.gateway, "topUpCredits", scene.viewers["cashier"], userId=user("aiko"), amount="7")
    act(scene.gateway, "adjustCredits", "grace", userId=user("aiko"), amount="-7", reason="Not hers.")

    written = sql(
        scene.gateway.database_url,
        """
        SELECT user_id, kind, split_part(actor, ':', 1) AS actor FROM credit_entries
        WHERE number > $1 AND kind <> 'session_charge' ORDER BY number
        """,
        before,
    )

    assert {row["user_id"] for row in written} == {CAST["aiko"].id}
    assert [(row["kind"], row["actor"]) for row in written] == [
        ("message_charge", "service"),
        ("top_up", "service"),
        ("adjustment", "user"),
    ]
    assert session_of(scene.gateway, begun["id"])["messageCount"] == 2
