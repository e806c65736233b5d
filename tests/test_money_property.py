"""Whatever is done with credits, in whatever order: the database agrees with a model that knows nothing of it.

Hypothesis chooses what people, services, an old program and the worker do, and how much time passes. After each step
every balance, session and entry is what the model says. MONEY_STEPS says how many steps there are, MONEY_SEED which.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, ClassVar, TypeVar

import pytest
from asyncpg import CheckViolationError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.bookkeeping import CLONES, Bookkeeping, World, world

Method = TypeVar("Method", bound=Callable[..., None])

STEPS = int(os.environ.get("MONEY_STEPS", "400"))
SEED = int(os.environ.get("MONEY_SEED", "4"))
STEPS_OF_A_LIFE = 40

MOVE = (
    "UPDATE user_profiles SET credits_remaining = credits_remaining + $2, total_spent = total_spent + $3 WHERE id = $1"
)
END = "UPDATE sessions SET status = 'ended', end_time = clock_timestamp() WHERE id = $1 AND status <> 'ended'"

PERSON = st.sampled_from(["aiko", "luca", "petra", "maya"])
CLONE = st.sampled_from([*CLONES])
OFFER = st.sampled_from([*CLONES, "fair", "fair", "free", "dear", "no clone"])
BY = st.sampled_from([*(6 * ["payer"]), "chat", "grace", "till", "maya"])
ANYBODY = st.sampled_from(["chat", "grace", "chat", "till", "luca"])
CHAT = st.sampled_from(["chat", "grace"])
TREASURER = st.sampled_from(["grace", "till", "grace", "till", "chat", "aiko"])
AMOUNT = st.one_of(
    st.sampled_from(["10", "1", "0.0001", "29.9999", "0.00000001", "100.00012345", "0.1"]),
    st.decimals(Decimal("0.0001"), 50, places=4).map(str),
    st.decimals(Decimal("0.00000001"), 5, places=8).map("{:f}".format),
)
LESS = AMOUNT.map("-{}".format)
NO_AMOUNT = st.sampled_from(["0", "-0.5", "NaN", "Infinity", "1e308", "9007199254740993", "0.000000001"])
COST = st.one_of(
    st.sampled_from(
        ["all", "all", "all", "all", "1", "0.00012345", "0", "0.25", "-1", "NaN", "1e308", "0.000000001", "1000000.1"]
    ),
    st.decimals(0, 20, places=8).map("{:f}".format),
)
TOKENS = st.sampled_from([0, 1, 333, 4_000, 100_000])
LEFT = st.sampled_from(["0", "0.0001", "0.00012345", "0.6", "1", "1.0001", "29.9999", "30", "60"])
PRICE = st.sampled_from([price for _, price in CLONES.values()])
SENDER = st.sampled_from(["same", "same", "grace", "till", "aiko"])
SECONDS = st.one_of(
    st.sampled_from([0.0, 0.0, 1.0, 59.0, 60.0, 61.0, 199.0, 200.0, 300.0, 301.0, 1_801.0, 86_401.0]),
    st.integers(1, 600).map(float),
    st.integers(1, 90_000_000).map(lambda microseconds: microseconds / 1_000_000),
)


def session(*states: str) -> st.SearchStrategy[str]:
    """A session, mostly in one of these states."""
    return st.runner().flatmap(lambda life: st.sampled_from(life.sessions(*states)))


ACTIVE, PAUSED, OPEN, ENDED = session("active"), session("paused"), session("active", "paused"), session("ended")
OTHER_VALUES: dict[str, dict[str, Any]] = {
    "startSession": {"sessionType": "VOICE"},
    "recordMessage": {"content": "What else?"},
    "rateSession": {"feedback": "On second thoughts."},
    "refundSession": {"reason": "On second thoughts."},
    "topUpCredits": {"reason": "On second thoughts."},
    "adjustCredits": {"reason": "On second thoughts."},
}
"""What is changed in an input that is sent under an old key; another session, unless told."""
OTHER_MUTATION = {"pauseSession": "endSession", "endSession": "pauseSession", "topUpCredits": "adjustCredits"}
"""Mutations of the same input."""


@dataclass(frozen=True)
class Step:
    """Something that happens: a method of Money, and what it is called with."""

    name: str
    values: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


STEPS_THERE_ARE: list[st.SearchStrategy[Step]] = []


def step(times: int, **given: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Make a method a step, which is chosen so many times as often as others, and is called with what is drawn."""

    def note(method: Method) -> Method:
        make = partial(Step, method.__name__)
        STEPS_THERE_ARE.extend(st.fixed_dictionaries(given).map(make) for _ in range(times))
        return method

    return note


class Money(RuleBasedStateMachine):
    """A life: what can happen. By: a person, one of the services `chat` and `till`, or whoever pays for the session.

    There is one rule for all steps, and not one for each: of many, Hypothesis would leave most out of any one life.
    """

    world: ClassVar[World]
    tally: ClassVar[Counter[str]]
    ends: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.keeping = Bookkeeping(self.world, self.tally)
        self.books = self.keeping.model.books
        self.begin()

    def begin(self) -> None:
        """A session that is over, one that is paused while the price changes, one for a minute, and a free one."""
        self.start("aiko", "fair", demo=False)
        self.end("startSession 0", after=90.0, by="payer")
        self.rate("startSession 0", by="payer", stars=2)
        self.start("maya", "cheap", demo=False)
        self.pause("startSession 3", after=30.0, by="payer")
        self.change_clone("cheap", "0.7", is_active=True)
        self.start("petra", "dear", demo=False)
        self.start("luca", "fair", demo=True)

    def teardown(self) -> None:
        self.ends.update(f"{session.status} {session.reason or ''}" for session in self.books.sessions.values())

    def sessions(self, *states: str) -> list[str]:
        """What something could be done to: mostly sessions of ours in these states, but also others, and none."""
        there = self.books.sessions
        fit = [name for name, session in there.items() if session.status in states and session.active]
        return [*(4 * fit), *there, "no session"]

    @rule(step=st.deferred(lambda: st.one_of(STEPS_THERE_ARE)))
    def go_on(self, step: Step) -> None:
        getattr(self, step.name)(**step.values)

    @step(4, session=ACTIVE, after=SECONDS, by=BY, content=st.sampled_from(["Why?", "Why?", " "]), tokens=TOKENS)
    def ask(self, session: str, after: float, by: str, content: str, tokens: int) -> None:
        self.record(session, after, by, "USER", content=content, inputTokens=tokens)

    @step(3, session=OPEN, after=SECONDS, by=CHAT, tokens=TOKENS)
    def answer(self, session: str, after: float, by: str, tokens: int) -> None:
        self.record(session, after, by, "AI", inputTokens=tokens, outputTokens=2 * tokens)

    @step(4, session=OPEN, after=SECONDS, by=CHAT, sender=st.sampled_from(["AI", "USER"]), cost=COST)
    def say_at_cost(self, session: str, after: float, by: str, sender: str, cost: str) -> None:
        """`all`: exactly what the person has."""
        if cost == "all":
            cost = spelt(self.books.accounts[self.payer_of(session)].balance)
        self.record(session, after, by, sender, cost=cost)

    @step(3, by=PERSON, clone=OFFER, demo=st.booleans())
    def start(self, by: str, clone: str, *, demo: bool) -> None:
        self.keeping.send(by, "startSession", cloneId=clone, userId=None, demo=demo, sessionType="CHAT")

    @step(1, by=ANYBODY, clone=OFFER, for_=PERSON | st.sampled_from(["nobody", None]), demo=st.booleans())
    def start_for(self, by: str, clone: str, for_: str | None, *, demo: bool) -> None:
        self.keeping.send(by, "startSession", cloneId=clone, userId=for_, demo=demo, sessionType="CHAT")

    @step(4, session=ACTIVE, after=SECONDS, by=BY)
    def pause(self, session: str, after: float, by: str) -> None:
        self.send("pauseSession", session, by, after)

    @step(4, session=PAUSED, after=SECONDS, by=BY)
    def resume(self, session: str, after: float, by: str) -> None:
        self.send("resumeSession", session, by, after)

    @step(2, session=OPEN, after=SECONDS, by=BY)
    def end(self, session: str, after: float, by: str) -> None:
        self.send("endSession", session, by, after)

    @step(3, session=ENDED, by=BY, stars=st.sampled_from([1, 2, 3, 4, 5, 5, 0, 6]))
    def rate(self, session: str, by: str, stars: int) -> None:
        self.send("rateSession", session, by, rating=stars, feedback=None)

    @step(3, session=session("active", "paused", "ended"), by=TREASURER, amount=st.none() | AMOUNT | NO_AMOUNT)
    def refund(self, session: str, by: str, amount: str | None) -> None:
        self.send("refundSession", session, by, amount=amount, reason=None)

    @step(1, person=PERSON, by=TREASURER, amount=AMOUNT | NO_AMOUNT)
    def top_up(self, person: str, by: str, amount: str) -> None:
        self.keeping.send(by, "topUpCredits", userId=person, amount=amount, reason="An invoice.")

    @step(1, person=PERSON, by=TREASURER, amount=AMOUNT | LESS | NO_AMOUNT, reason=st.sampled_from(["A mistake.", " "]))
    def adjust(self, person: str, by: str, amount: str, reason: str) -> None:
        self.keeping.send(by, "adjustCredits", userId=person, amount=amount, reason=reason)

    @step(
        6,
        ago=st.integers(1, 9),
        was=st.sampled_from(["done", "done", "sent"]),
        by=SENDER,
        what=st.sampled_from(["same", "same", "other input", "other mutation"]),
    )
    def send_again(self, ago: int, was: str, by: str, what: str) -> None:
        """An old key once more: with the same or with another input, by the same or by another person."""
        done = [sent for sent, _ in self.keeping.model.done.values()]
        there = done if was == "done" else self.keeping.sent
        sent = there[-min(ago, len(there))]
        if what == "other input":
            sent = sent._replace(values=sent.values | OTHER_VALUES.get(sent.mutation, {"id": "elsewhere"}))
        if what == "other mutation":
            sent = sent._replace(mutation=OTHER_MUTATION.get(sent.mutation, sent.mutation))
        self.keeping.deliver(sent if by == "same" else sent._replace(who=by))

    @step(2, clone=CLONE, price=PRICE, is_active=st.sampled_from([True, True, False]))
    def change_clone(self, clone: str, price: str, *, is_active: bool) -> None:
        """Its creator changes the price: no matter to the sessions that go on."""
        self.keeping.change_clone(clone, price, is_active=is_active)

    @step(4, after=SECONDS)
    def work(self, after: float) -> None:
        """The worker does what is due."""
        self.keeping.wait(after)
        self.keeping.work()

    @step(2, person=PERSON, left=st.none() | LEFT, amount=AMOUNT | LESS, spent=st.sampled_from(["0", "0", "1", "-0.1"]))
    def old_program_moves(self, person: str, left: str | None, amount: str, spent: str) -> None:
        """A program that knows nothing of entries changes a balance: by an amount, or so that exactly this is left."""
        balance = self.books.accounts[person].balance
        change = Fraction(amount) if left is None else Fraction(left) - balance
        is_possible = balance + change >= 0
        try:
            self.keeping.sql(MOVE, self.keeping.key_of(person), number(change), number(Fraction(spent)))
        except CheckViolationError:
            assert not is_possible
        else:
            assert is_possible
            self.keeping.model.move(person, "external", change, spent=Fraction(spent))
        self.keeping.agree("move by old program", "done" if is_possible else "refused")

    @step(2, session=OPEN, after=SECONDS)
    def old_program_ends(self, session: str, after: float) -> None:
        """A program that knows nothing of meters ends a session. The worker charges its time later."""
        self.keeping.wait(after)

        self.keeping.sql(END, self.keeping.key_of(session))

        seen, ended = self.keeping.look(), self.books.sessions.get(session)
        if ended and ended.is_open:
            ended.status, ended.end = "ended", seen.sessions[session].end
        self.keeping.agree("end by old program", seen=seen)

    def send(self, mutation: str, session: str, by: str, after: float = 0, **values: Any) -> None:
        self.keeping.wait(after)
        self.keeping.send(self.payer_of(session) if by == "payer" else by, mutation, id=session, **values)

    def record(self, session: str, after: float, by: str, sender: str, **values: Any) -> None:
        said = {"senderType": sender, "content": "That is so.", "inputTokens": 0, "outputTokens": 0, "cost": None}
        self.keeping.wait(after)
        who = self.payer_of(session) if by == "payer" else by
        self.keeping.send(who, "recordMessage", sessionId=session, **said | values)

    def payer_of(self, session: str) -> str:
        return self.books.sessions[session].payer if session in self.books.sessions else "aiko"


def number(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator) / Decimal(amount.denominator)


def spelt(amount: Fraction) -> str:
    return f"{number(amount):f}"


def report(tally: Counter[str], ends: Counter[str]) -> str:
    """How often something was done, and what came of it; and how sessions were at the end."""
    counts = [*sorted(tally.items()), *((f"sessions {end}", times) for end, times in sorted(ends.items()))]
    lines = [f"{times:7,}  {what}" for what, times in counts]
    return "\n".join(["", f"MONEY_SEED={SEED} MONEY_STEPS={STEPS}: {tally.total():,} steps", *lines])


def test_the_database_and_the_model_agree_after_whatever_is_done(
    server_url: str, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Money.tally, Money.ends = Counter(), Counter()

    try:
        with world(server_url, template) as Money.world:
            while (steps := Money.tally.total()) < STEPS:
                run_state_machine_as_test(seed(SEED + steps)(Money), settings=lives(STEPS - steps))
    except BaseException as error:
        error.add_note(f"MONEY_SEED={SEED} MONEY_STEPS={STEPS} make money")
        raise
    finally:
        with capsys.disabled() if "MONEY_SEED" in os.environ else nullcontext():
            print(report(Money.tally, Money.ends))  # noqa: T201 (what was really done)


def lives(steps: int) -> settings:
    """So many lives that there are so many steps in all."""
    return settings(
        max_examples=ceil(steps / STEPS_OF_A_LIFE),
        stateful_step_count=STEPS_OF_A_LIFE,
        deadline=None,
        database=None,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
