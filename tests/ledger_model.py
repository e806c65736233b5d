"""The model: what must come of whatever is done with credits.

It follows the specification, counts in fractions, knows no database and imports nothing of the gateway. Whoever keeps
the books says what was wanted, and at which moment it was done; everything else follows.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from tests.ledger_books import Books, Earning, Entry, Session

SHARE_OF_CREATORS = 1 - Fraction("0.15")
INPUT_PRICE, OUTPUT_PRICE = Fraction("0.25") / 1_000, Fraction("1.5") / 1_000
DEMOS, DEMO_SECONDS = 1, 200
METERING_INTERVAL, GRACE = timedelta(seconds=60), timedelta(seconds=300)
ABANDONED_AFTER, PAUSE_LIMIT = timedelta(seconds=1_800), timedelta(seconds=86_400)

FOR_OTHERS = ("grace", "chat")
"""Who opens sessions and records answers for other people: the admin, and the service of the chat."""
TREASURERS = ("grace", "till")
"""Who moves other people's credits: the admin, and the service that takes payments."""
POSSIBLE_IN = {
    "pauseSession": ["active"],
    "resumeSession": ["paused"],
    "endSession": ["active", "paused"],
    "rateSession": ["ended"],
    "refundSession": ["active", "paused", "ended"],
    "USER": ["active"],
    "AI": ["active", "paused"],
}
"""In which states of a session something can be done, and who can say something."""


class Refused(Exception):
    """Nothing is done, and the code says why."""


class Sent(NamedTuple):
    """A mutation as somebody sends it."""

    who: str
    mutation: str
    key: str
    values: dict[str, Any]


def refuse_if(is_so: bool, code: str) -> None:
    if is_so:
        raise Refused(code)


def rounded(amount: Fraction) -> Fraction:
    """Half to even, to four places."""
    return Fraction(round(amount * 10_000), 10_000)


def is_amount(text: str, least: int, most: int) -> bool:
    number = Decimal(text)
    return number.is_finite() and least <= number <= most and int(number.as_tuple().exponent) >= -8


def refuse_values(sent: Sent) -> None:
    """Refuse what cannot be, whatever is in the books."""
    given, is_wrong = sent.values, False
    match sent.mutation:
        case "startSession":
            is_own = given["userId"] in (None, sent.who) and sent.who != "till"
            refuse_if(not is_own and sent.who not in FOR_OTHERS, "FORBIDDEN")
            is_wrong = sent.who == "chat" and given["userId"] is None
        case "rateSession":
            is_wrong = not 1 <= given["rating"] <= 5
        case "recordMessage":
            is_answer = given["senderType"] == "AI" or given["cost"] is not None
            refuse_if(is_answer and sent.who not in FOR_OTHERS, "FORBIDDEN")
            is_wrong = not (given["content"].strip() and is_amount(given["cost"] or "0", 0, 10**6))
            is_wrong |= not (0 <= given["inputTokens"] <= 10**7 and 0 <= given["outputTokens"] <= 10**7)
        case "refundSession" | "topUpCredits" | "adjustCredits":
            refuse_if(sent.who not in TREASURERS, "FORBIDDEN")
            least = 0 if sent.mutation == "topUpCredits" else -(10**9)
            amount = given["amount"] or "1"
            is_wrong = not (is_amount(amount, least, 10**9) and Decimal(amount))
            is_wrong |= sent.mutation == "adjustCredits" and not given["reason"].strip()
    refuse_if(is_wrong, "INVALID_INPUT")


@dataclass
class Model:
    """The books, and how they change."""

    books: Books
    done: dict[tuple[str, str], tuple[Sent, str]] = field(default_factory=dict)

    def do(self, sent: Sent, now: datetime, name: str) -> str:
        """What it was done to. name: of what is new, if something is. Raises Refused, and then nothing has changed."""
        refuse_values(sent)
        before, subject = self.done.get((sent.who, sent.key), (None, name))
        refuse_if(before not in (None, sent), "IDEMPOTENCY_KEY_REUSED")
        if before is None:
            match sent.mutation:
                case "startSession":
                    self.start(sent, now, name)
                case "recordMessage":
                    self.record(sent, now)
                case "topUpCredits" | "adjustCredits":
                    self.move_by_hand(sent)
                case _:
                    subject = sent.values["id"]
                    self.turn(sent, now, subject)
            self.done[sent.who, sent.key] = sent, subject
        return subject

    def start(self, sent: Sent, now: datetime, name: str) -> None:
        payer, offered, is_demo = sent.values["userId"] or sent.who, sent.values["cloneId"], sent.values["demo"]
        account, clone = self.books.accounts.get(payer), self.books.clones.get(offered)
        if not account or not account.is_active or not clone or not (clone.is_active or clone.creator == payer):
            raise Refused("NOT_FOUND")
        refuse_if(not clone.is_active, "CLONE_UNAVAILABLE")
        opened = [each for each in self.books.sessions.values() if each.is_open and each.active]
        refuse_if((payer, offered) in [(each.payer, each.clone) for each in opened], "SESSION_ALREADY_OPEN")
        refuse_if(is_demo and account.demos >= DEMOS, "DEMO_USED_UP")
        refuse_if(not is_demo and account.balance < rounded(clone.price), "INSUFFICIENT_CREDITS")
        account.demos += is_demo
        clone.sessions += 1
        self.books.sessions[name] = Session(payer, offered, clone.price, is_demo, now, active=now, metered=now)

    def session_for(self, sent: Sent, name: str, doing: str) -> Session:
        refuse_if(sent.who == "till" and doing != "refundSession", "FORBIDDEN")
        session = self.books.sessions.get(name)
        if not session or sent.who not in (session.payer, *FOR_OTHERS, "till"):
            raise Refused("NOT_FOUND")
        refuse_if(not session.active and doing != "rateSession", "SESSION_ELSEWHERE")
        refuse_if(session.status not in POSSIBLE_IN[doing], "WRONG_SESSION_STATUS")
        return session

    def turn(self, sent: Sent, now: datetime, name: str) -> None:
        """What is done to a session as a whole."""
        session = self.session_for(sent, name, sent.mutation)
        match sent.mutation:
            case "pauseSession":
                is_paid = self.charge_time(name, now)
                session.status, session.active, session.metered = "paused", now, None
                self.end_if_due(session, now, is_paid=is_paid)
            case "resumeSession":
                refuse_if(self.balance(session) < self.to_go(session), "INSUFFICIENT_CREDITS")
                session.status, session.active, session.metered = "active", now, now
            case "endSession":
                reason = "user" if sent.who == session.payer else "operator"
                session.finish(now, reason if self.charge_time(name, now) else "credits_exhausted")
            case "rateSession":
                refuse_if(session.rating is not None, "ALREADY_RATED")
                session.rating = sent.values["rating"]
                clone = self.books.clones[session.clone]
                clone.stars, clone.ratings = clone.stars + sent.values["rating"], clone.ratings + 1
            case "refundSession":
                back = session.cost if sent.values["amount"] is None else Fraction(sent.values["amount"])
                refuse_if(not 0 < back <= session.cost, "REFUND_TOO_LARGE")
                left = session.cost - back
                stays = min(rounded(session.earned * left / session.cost), left, session.earned)
                self.move(session.payer, "refund", back, name, sent.key, earning=stays - session.earned)
                session.cost = left

    def record(self, sent: Sent, now: datetime) -> None:
        wanted, name = sent.values, sent.values["sessionId"]
        session = self.session_for(sent, name, wanted["senderType"])
        cost = rounded(wanted["inputTokens"] * INPUT_PRICE + wanted["outputTokens"] * OUTPUT_PRICE)
        cost = cost if wanted["cost"] is None else Fraction(wanted["cost"])
        cost = Fraction(0) if session.is_demo else cost
        seconds = seconds_of(session, now)
        refuse_if(price_of(session, seconds) - session.time_cost + cost > self.balance(session), "INSUFFICIENT_CREDITS")
        refuse_if(session.is_demo and seconds >= DEMO_SECONDS, "WRONG_SESSION_STATUS")
        self.charge_time(name, now)
        self.charge(name, "message_charge", cost, sent.key)
        session.active, session.messages, session.texts = now, session.messages + 1, session.texts + cost
        self.end_if_due(session, now)

    def move_by_hand(self, sent: Sent) -> None:
        person, amount = sent.values["userId"], Fraction(sent.values["amount"])
        refuse_if(person not in self.books.accounts, "NOT_FOUND")
        refuse_if(self.books.accounts[person].balance + amount < 0, "INSUFFICIENT_CREDITS")
        self.move(person, "top_up" if sent.mutation == "topUpCredits" else "adjustment", amount, key=sent.key)

    def is_due(self, session: Session, now: datetime) -> bool:
        """Whether the worker has something to do with it."""
        if not session.active or session.status != "active":
            waits_too_long = session.status == "paused" and session.active and session.active < now - PAUSE_LIMIT
            return bool(waits_too_long or session.metered)
        assert session.metered
        is_unpaid = session.metered < min(now, session.active + GRACE) - METERING_INTERVAL
        return is_unpaid or session.active < now - ABANDONED_AFTER

    def settle(self, name: str, now: datetime, *, is_silent: bool = True) -> None:
        """Charge the time in which nothing happened, up to a limit, and end what nobody comes back to."""
        session = self.books.sessions[name]
        if not session.active:
            return
        if session.status == "active":
            until = min(now, session.active + GRACE) if is_silent else now
            self.end_if_due(session, now, is_paid=self.charge_time(name, until))
        elif session.metered:  # an old program has ended it
            self.charge_time(name, min(now, session.end or now))
            session.metered = None
        limit = {"active": ABANDONED_AFTER, "paused": PAUSE_LIMIT}.get(session.status)
        if limit and now - session.active > limit:
            session.finish(now, "abandoned")

    def wait(self, length: timedelta) -> None:
        """Let everything that goes on be older."""
        for session in self.books.sessions.values():
            if session.active and session.is_open:
                session.start, session.active = session.start - length, session.active - length
                session.metered = session.metered and session.metered - length

    def end_if_due(self, session: Session, now: datetime, *, is_paid: bool = True) -> None:
        if session.is_demo and session.seconds >= DEMO_SECONDS:
            session.finish(now, "demo_over")
        elif not is_paid or (session.status == "active" and self.balance(session) < self.to_go(session)):
            session.finish(now, "credits_exhausted")

    def to_go(self, session: Session) -> Fraction:
        """What it takes to go on to the end of the minute that has begun."""
        return price_of(session, Fraction(60 * (session.seconds // 60 + 1))) - session.time_cost

    def balance(self, session: Session) -> Fraction:
        return self.books.accounts[session.payer].balance

    def charge_time(self, name: str, until: datetime) -> bool:
        """Whether the time until then is paid, as far as the balance reaches."""
        session = self.books.sessions[name]
        if session.metered is None:
            return True
        seconds = seconds_of(session, until)
        due = price_of(session, seconds) - session.time_cost
        paid = min(due, self.balance(session))
        if paid < due:
            reached = floor((session.time_cost + paid) * 60 / session.rate * 1_000_000)
            seconds = max(session.seconds, min(seconds, Fraction(reached, 1_000_000)))
        self.charge(name, "session_charge", paid)
        session.time_cost, session.seconds = session.time_cost + paid, seconds
        session.metered = max(session.metered, until)
        return paid == due

    def charge(self, name: str, kind: str, cost: Fraction, key: str | None = None) -> None:
        session = self.books.sessions[name]
        session.cost += cost
        self.move(session.payer, kind, -cost, name, key, earning=min(rounded(cost * SHARE_OF_CREATORS), cost))

    def move(
        self, person: str, kind: str, amount: Fraction, name: str | None = None, key: str | None = None,
        *, earning: Fraction = Fraction(0), spent: Fraction = Fraction(0),
    ) -> None:  # fmt: skip
        """The one place where the books change. spent: what an old program says was spent."""
        account = self.books.accounts[person]
        account.balance += amount
        account.spent += spent if name is None else -amount
        if amount or spent:
            self.books.entries.append(Entry(person, kind, amount, name, key, account.balance, account.spent))
        if earning and name:
            session = self.books.sessions[name]
            clone = self.books.clones[session.clone]
            session.earned += earning
            clone.earned += earning
            source = "refund" if kind == "refund" else "earning"
            self.books.earnings.append(Earning(session.clone, source, earning, name, clone.earned))


def seconds_of(session: Session, until: datetime) -> Fraction:
    """How many seconds are to be paid by then: none of a pause, and no more of a demonstration than it is long."""
    passed = (until - session.metered) // timedelta(microseconds=1) if session.metered else 0
    seconds = session.seconds + Fraction(max(passed, 0), 1_000_000)
    return min(seconds, Fraction(DEMO_SECONDS)) if session.is_demo else seconds


def price_of(session: Session, seconds: Fraction) -> Fraction:
    """What so much time of a session costs."""
    return Fraction(0) if session.is_demo else rounded(session.rate * seconds / 60)
