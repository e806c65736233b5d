"""Acts: what clients want done, and what is so in the database when it is done."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import db
from db import demo
from gateway.settings import Settings
from gateway.tokens import Tokens
from schema import ids
from tests.money import document

SECRET: Final = "a secret for the tests, long enough"  # noqa: S105 (of servers on this machine, for minutes)
CAST: Final = {person.key: person.id for person in demo.CAST}
PEOPLE: Final = [CAST[key] for key in ("aiko", "samuel", "petra", "noor", "luca", "maya", "jonas", "ines")]
"""Some are creators, who pay for each other's clones."""

OFTEN: Final = {
    "recordMessage": 10,
    "startSession": 4,
    "endSession": 2,
    "pauseSession": 2,
    "resumeSession": 2,
    "topUpCredits": 3,
    "adjustCredits": 1,
    "refundSession": 2,
    "rateSession": 1,
}
CROWDED: Final = 12
"""How many sessions are talked in at a time, so that clients get into each other's way."""


class Fact(NamedTuple):
    """Something that is so in the database because somebody wanted it, once."""

    what: str
    about: UUID
    key: UUID | None = None
    amount: Decimal = Decimal(0)


class Talk(NamedTuple):
    """A session that a client has started."""

    id: UUID
    person: UUID
    is_demo: bool


class Act(NamedTuple):
    """Something that a client wants done for a person, or with a talk. facts: what is so when it is done."""

    mutation: str
    token: str
    key: UUID
    person: UUID
    values: Mapping[str, Any]
    talk: Talk | None = None
    facts: tuple[Fact, ...] = ()

    @property
    def request(self) -> dict[str, Any]:
        """What is sent for it."""
        return {
            "query": document(self.mutation),
            "variables": {"input": {**self.values, "idempotencyKey": str(self.key)}},
        }


class Told(NamedTuple):
    """What a client was told at last. subject: the row that it was done to; None if it was refused.

    unanswered: how often it was sent before, and nobody said what came of it. sent: when it was sent last.
    """

    act: Act
    subject: UUID | None
    unanswered: int
    sent: datetime

    @property
    def facts(self) -> Iterator[Fact]:
        """What is so, then."""
        if self.subject:
            yield from self.act.facts
            yield Fact("key", self.subject, self.act.key)
            if self.act.mutation == "startSession":
                yield Fact("session", self.subject)


class Acts:
    """Whatever can be done with credits, at random. clones: who can be talked to. back_end: the token of a chat."""

    def __init__(self, chance: random.Random, clones: list[UUID], back_end: str) -> None:
        self.chance = chance
        self.clones = clones
        self.back_end = back_end
        tokens = Tokens(SECRET, Settings.read())
        self.tokens = {person: tokens.sign(person) for person in CAST.values()}
        self._open: list[Talk] = []
        self._ended: list[Talk] = []

    def next(self) -> Act:
        """Something that somebody might want next."""
        person = self.chance.choice(PEOPLE)
        (mutation,) = self.chance.choices(list(OFTEN), list(OFTEN.values()))
        talks = self._ended if mutation in ("rateSession", "refundSession") else self._open[-CROWDED:]
        if mutation in ("topUpCredits", "adjustCredits"):
            return self._move_by_hand(mutation, person)
        if mutation == "startSession" or not talks:
            return self._start(person)
        return self._go_on(mutation, self.chance.choice(talks))

    def remember(self, told: Told) -> None:
        """Note which sessions there are, as far as one client can know what others do to them."""
        act = told.act
        if act.mutation == "startSession" and told.subject:
            self._open.append(Talk(told.subject, act.person, act.values["demo"]))
        is_over = act.mutation == "endSession" or (act.mutation == "recordMessage" and told.subject is None)
        if is_over and act.talk in self._open:
            self._open.remove(act.talk)
            self._ended.append(act.talk)

    def _start(self, person: UUID) -> Act:
        clone = ids.global_id(db.Clone, self.chance.choice(self.clones))
        values = {"cloneId": clone, "demo": self.chance.random() < 0.1}
        return Act("startSession", self.tokens[person], uuid4(), person, values)

    def _move_by_hand(self, mutation: str, person: UUID) -> Act:
        key = uuid4()
        kind, amount = (
            ("top_up", self._amount()) if mutation == "topUpCredits" else ("adjustment", -self._amount() / 10)
        )
        values = {"userId": ids.global_id(db.User, person), "amount": str(amount), "reason": "chaos"}
        fact = Fact(kind, person, key, amount)
        return Act(mutation, self.tokens[CAST["grace"]], key, person, values, facts=(fact,))

    def _go_on(self, mutation: str, talk: Talk) -> Act:
        key, token, amount = uuid4(), self.tokens[talk.person], self._amount() / 10
        values: dict[str, Any] = {"id": ids.global_id(db.Session, talk.id)}
        facts: list[Fact] = []
        match mutation:
            case "recordMessage":
                token = self.back_end
                values = {"sessionId": values["id"], "senderType": "AI", "content": str(key), "cost": str(amount)}
                facts.append(Fact("message", talk.id, key, Decimal(0) if talk.is_demo else amount))
                if not talk.is_demo:
                    facts.append(Fact("message_charge", talk.person, key, -amount))
            case "rateSession":
                values["rating"] = self.chance.randint(1, 5)
                facts.append(Fact("rating", talk.id, None, Decimal(values["rating"])))
            case "refundSession":
                token = self.tokens[CAST["grace"]]
                values["amount"] = str(amount)
                facts.append(Fact("refund", talk.person, key, amount))
            case "endSession":
                facts.append(Fact("end", talk.id))
        return Act(mutation, token, key, talk.person, values, talk, tuple(facts))

    def _amount(self) -> Decimal:
        return Decimal(self.chance.randint(1, 2_000)) / 100
