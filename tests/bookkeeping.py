"""Two sets of books at once: what is done goes to a gateway and to the model, and then both must be the same.

How long a request takes nobody can know beforehand. So the database's clock is looked at around each step, what was
done tells at which moment between the two it was done, and the model is told that moment: everything else must follow
to the last digit. What was refused tells no moment. Time only makes things dearer, so the model must refuse it at the
later of the two: that is where either outcome would do, and it is a few milliseconds wide.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from db import Scope
from db.engine import Database
from gateway.settings import Settings
from resolvers.settling import Settling
from tests import ledger_model as terms
from tests.ledger_books import Books, read
from tests.ledger_model import Model, Refused, Sent
from tests.money import bank, key_of, send, service_headers
from tests.serving import Answer, Gateway

SETTINGS: dict[str, Any] = {
    "input_token_price": str(float(terms.INPUT_PRICE * 1_000)),
    "output_token_price": str(float(terms.OUTPUT_PRICE * 1_000)),
    "platform_share": str(float(1 - terms.SHARE_OF_CREATORS)),
    "metering_interval": terms.METERING_INTERVAL.total_seconds(),
    "session_grace": terms.GRACE.total_seconds(),
    "abandoned_after": terms.ABANDONED_AFTER.total_seconds(),
    "pause_limit": terms.PAUSE_LIMIT.total_seconds(),
    "demo_sessions": terms.DEMOS,
    "demo_length": terms.DEMO_SECONDS,
}

PEOPLE = {
    "aiko": ("user", "100"),
    "luca": ("user", "0.034"),
    "petra": ("user", "30"),
    "maya": ("creator", "10"),
    "jonas": ("creator", "1"),
    "grace": ("admin", "0"),
}
"""What they are, and what they have at first, by their names."""
CLONES = {
    "free": ("jonas", "0"),
    "tiny": ("maya", "0.00012345"),
    "cheap": ("jonas", "0.6"),
    "fair": ("maya", "1"),
    "dear": ("jonas", "30"),
    "shut": ("maya", "1"),
}
"""Whose they are, and what a minute costs at first, by their names. `shut` takes no sessions."""

PERSON = """
    INSERT INTO user_profiles (email, full_name, role, credits_remaining) VALUES (gen_random_uuid()::text, $1, $2, $3)
    RETURNING id
"""
CLONE = """
    INSERT INTO clones (name, creator_id, base_price, is_active, is_published, published_at)
    VALUES ($1, $2, $3, $1 <> 'shut', true, now())
    RETURNING id
"""
LAST = "SELECT (SELECT max(number) FROM credit_entries), (SELECT max(number) FROM creator_entries)"
END_ALL = """
    UPDATE sessions SET status = 'ended', end_time = coalesce(end_time, clock_timestamp()), metered_until = NULL
    WHERE status <> 'ended' OR metered_until IS NOT NULL
"""
"""So that the worker has nothing to do with earlier lives."""
START_ELSEWHERE = """
    INSERT INTO sessions (user_id, clone_id, status, rate_per_minute, total_cost) VALUES ($1, $2, 'active', 1, 0)
    RETURNING id
"""
AGE = """
    UPDATE sessions SET start_time = start_time - $1::interval, last_active_at = last_active_at - $1::interval,
        metered_until = metered_until - $1::interval
    WHERE last_active_at IS NOT NULL AND status <> 'ended'
"""

UPDATE_CLONE = "mutation($input: UpdateCloneInput!) { updateClone(input: $input) { userErrors { code } } }"

IDS = ("id", "sessionId", "cloneId", "userId")
SETTLED_AFTER = ("INSUFFICIENT_CREDITS", "WRONG_SESSION_STATUS")
"""After a message was refused so, the session is charged all the same, and ends if it cannot go on."""


class World(NamedTuple):
    """A gateway that really serves, two services, the worker, and another program that is connected to the database."""

    gateway: Gateway
    services: dict[str, dict[str, str]]
    worker: Settling
    runner: asyncio.Runner
    connection: "asyncpg.Connection[asyncpg.Record]"


@contextmanager
def world(server_url: str, template: str) -> Iterator[World]:
    """All of it, over a database of its own. At the end, all that must hold of money is looked at."""
    with bank(server_url, template, **SETTINGS) as gateway:
        url = gateway.database_url
        services = {"chat": service_headers(url, Scope.SESSIONS), "till": service_headers(url, Scope.CREDITS)}
        with asyncio.Runner() as runner:
            database, connection = Database(url), runner.run(asyncpg.connect(url))
            yield World(gateway, services, Settling(database, Settings.read(**SETTINGS).terms), runner, connection)
            runner.run(connection.close())
            runner.run(database.close())


@dataclass
class Bookkeeping:
    """The books of new people and new clones. Everybody and everything has a name in both.

    tally: how often what came of what. sent: all mutations, in their order. clock: the database's, when it was looked
    at last.
    """

    world: World
    tally: Counter[str]
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[UUID, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sql(END_ALL)
        for person, (role, balance) in PEOPLE.items():
            self.call(person, f"user_{self.sql(PERSON, person, role, balance)[0]['id'].hex}")
        for clone, (creator, price) in CLONES.items():
            self.call(clone, f"clone_{self.sql(CLONE, clone, self.key_of(creator), price)[0]['id'].hex}")
        self.call("nobody", f"user_{uuid4().hex}")
        self.call("no clone", f"clone_{uuid4().hex}")
        self.call("no session", f"session_{uuid4().hex}")
        elsewhere = self.sql(START_ELSEWHERE, self.key_of("petra"), self.key_of("fair"))
        self.call("elsewhere", f"session_{elsewhere[0]['id'].hex}")
        self.last: tuple[int, int] = tuple(self.sql(LAST)[0])
        self.model = Model(self.look())

    def call(self, name: str, id_: str) -> None:
        self.ids[name] = id_
        self.names[self.key_of(name)] = name

    def key_of(self, name: str) -> UUID:
        return key_of(self.ids[name])

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """The rows of a statement of another program."""
        return list(self.world.runner.run(self.world.connection.fetch(statement, *arguments)))

    def look(self) -> Books:
        """The books of the database as they are now."""
        books = self.world.runner.run(read(self.world.connection, self.names, self.last))
        self.clock: datetime = self.sql("SELECT clock_timestamp()")[0][0]
        return books

    def wait(self, seconds: float) -> None:
        """Let time pass: for the server it is as if nothing had happened for so long."""
        if seconds:
            self.sql(AGE, timedelta(seconds=seconds))
            self.model.wait(timedelta(seconds=seconds))

    def work(self) -> None:
        """Let the worker do what is due: first where time was not charged for the longest."""
        began, sessions, settled = self.clock, self.model.books.sessions, 0
        self.world.runner.run(self.world.worker.work())
        seen = self.look()
        for name in sorted(sessions, key=lambda name: sessions[name].metered or self.clock):
            session, has_changed = sessions[name], seen.sessions[name] != sessions[name]
            if self.model.is_due(session, began) or (has_changed and self.model.is_due(session, self.clock)):
                self.model.settle(name, self.moment_of(name, seen, began))
                settled += 1
        self.agree("worker", "settles" if settled else "has nothing to do", seen)

    def send(self, who: str, mutation: str, **values: Any) -> str | None:
        """What is new, by name, if something is: a session, a message or an entry."""
        return self.deliver(Sent(who, mutation, str(uuid4()), values))

    def deliver(self, sent: Sent) -> str | None:
        """The same for a mutation that may have been sent before."""
        began, new_name = self.clock, f"{sent.mutation} {len(self.sent)}"
        is_again = (sent.who, sent.key) in self.model.done
        self.sent.append(sent)
        given = {name: self.ids.get(value, value) if name in IDS else value for name, value in sent.values.items()}
        answer = send(self.world.gateway, sent.mutation, self.headers(sent.who), key=sent.key, **given)
        code, row = came_of(answer)
        is_new = row is not None and row["id"] not in self.ids.values()
        if is_new:
            self.call(new_name, row["id"])
        seen = self.look()
        session = sent.values.get("sessionId") or sent.values.get("id") or new_name
        moment = self.moment_of(session, seen, began)
        expected, subject = None, ""
        try:
            subject = self.model.do(sent, moment if row else self.clock, new_name)
        except Refused as refused:
            expected = str(refused)
        assert code == expected, f"{code} instead of {expected} for {sent}"
        if row:
            assert row["id"] == self.ids[subject], f"done to something else than {subject}: {sent}"
        elif sent.mutation == "recordMessage" and code in SETTLED_AFTER:
            self.model.settle(session, moment, is_silent=False)
        self.agree(sent.mutation, code or ("done again" if is_again else "done"), seen)
        self.agree_with(row or {})
        return new_name if is_new else None

    def change_clone(self, clone: str, price: str, *, is_active: bool) -> None:
        """Let its creator change the price of a clone, and whether it is on the market."""
        change = {"input": {"id": self.ids[clone], "basePrice": price, "isActive": is_active}}
        body = {"query": UPDATE_CLONE, "variables": change}
        creator = self.headers(CLONES[clone][0])
        answer = Answer(self.world.gateway.client.post("/graphql", json=body, headers=creator), [])
        assert answer.data["updateClone"]["userErrors"] == []
        self.model.books.clones[clone].price = Fraction(price)
        self.model.books.clones[clone].is_active = is_active
        self.agree("change of price" if is_active else "closing of clone")

    def headers(self, who: str) -> dict[str, str]:
        token = {"authorization": f"Bearer {self.world.gateway.tokens.sign(self.key_of(who))}"} if who in PEOPLE else {}
        return self.world.services.get(who, token)

    def moment_of(self, session: str, seen: Books, began: datetime) -> datetime:
        """When something was done to a session: when it says so, if that can be."""
        told = seen.sessions.get(session)
        return min(max(told.last_moment, began), self.clock) if told else self.clock

    def agree(self, step: str, outcome: str = "done", seen: Books | None = None) -> None:
        """Both books are the same after a step."""
        self.tally[f"{step}: {outcome}"] += 1
        differences = (seen or self.look()).differences(self.model.books)
        assert not differences, "\n".join([f"after {step}: {outcome}", *differences])

    def agree_with(self, row: dict[str, Any]) -> None:
        """So is what whoever sent it was told."""
        shown = row.get("session", row)
        if "timeCost" in shown:
            session = self.model.books.sessions[self.names[key_of(shown["id"])]]
            told = [Fraction(shown[name]) for name in ("totalCost", "timeCost", "billableSeconds")]
            assert told == [session.cost, session.time_cost, session.seconds], shown
            assert (shown["status"].lower(), shown["messageCount"]) == (session.status, session.messages), shown
            assert Fraction(shown["user"]["creditsRemaining"]) == self.model.books.accounts[session.payer].balance, (
                shown
            )


def came_of(answer: Answer) -> tuple[str | None, Any]:
    """Why a mutation was refused, or the row that it was done to."""
    if answer.errors:
        (code,) = answer.codes
        return code, None
    done = answer.data["done"]
    for error in done["userErrors"]:
        if error["__typename"] == "InsufficientCredits":
            assert Fraction(error["required"]) > Fraction(error["available"]) >= 0, error
    codes = {error["code"] for error in done["userErrors"]}
    assert len(codes) == (0 if done["row"] else 1), done
    return next(iter(codes), None), done["row"]
