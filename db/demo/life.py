"""Lives: everything a person does in the marketplace, from the first credit to the present day.

A life depends on nobody else's, so lives can be told one after the other, and more than once.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from itertools import accumulate

from db import CreditEntryKind, SessionStatus, SubscriptionTier
from db.demo.cast import Person
from db.demo.chance import Dice, dice
from db.demo.clock import DAY, HOUR, LEDGER_OPENED, MINUTE, NOW, VISITS_BEGIN
from db.demo.ledger import Account, rounded
from db.demo.market import NEUTRAL, Clone
from db.demo.people import joined
from db.demo.visit import Visit, visit

OPENING = {SubscriptionTier.FREE: 40, SubscriptionTier.PRO: 150, SubscriptionTier.ENTERPRISE: 2500}
"""The credits that people begin with."""

PACK = {SubscriptionTier.FREE: 25, SubscriptionTier.PRO: 100, SubscriptionTier.ENTERPRISE: 1000}
"""The credits that people buy at a time."""

HOURS = range(6, 22)
"""Visits begin in the first minutes of these hours, and are over before the next."""


class Showcase:
    """The clones that people find. The first ones are found most often."""

    def __init__(self, clones: Sequence[Clone]) -> None:
        self.clones = [clone for clone in clones if clone.is_open(VISITS_BEGIN)]
        self.by_key = {clone.text.key: clone for clone in self.clones}
        self.weights = list(accumulate((place + 3) ** -0.7 for place in range(len(self.clones))))

    def pick(self, person: Person, at: datetime, chance: Dice) -> Clone:
        """Somebody else's clone that takes sessions at the time, rather often a favourite one."""
        while True:
            clone = self.clones[bisect(self.weights, chance.random() * self.weights[-1])]
            if person.habits.favourites and chance.maybe(0.6):
                clone = self.by_key[chance.choice(person.habits.favourites)]
            if clone.creator is not person and clone.is_open(at):
                return clone


@dataclass(frozen=True, slots=True)
class Life:
    """A person's account, and the sessions that moved it."""

    account: Account
    visits: list[Visit]


def live(person: Person, showcase: Showcase) -> Life:
    """Tell a person's life."""
    chance = dice("life", person.key)
    life = Life(_account(person), [])
    starts = _starts(person, chance)
    for start in starts:
        planned = visit(person, showcase.pick(person, start, chance), start, SessionStatus.ENDED, chance)
        _go(life, planned, chance, is_last=start == starts[-1])
    if status := person.habits.leaves_open:
        start = NOW - chance.randint(40, 150) * MINUTE
        _go(life, visit(person, showcase.pick(person, start, chance), start, status, chance), chance)
    return life


def _account(person: Person) -> Account:
    since, amount = joined(person), Decimal(OPENING[person.tier])
    if since < LEDGER_OPENED:
        return Account(person, LEDGER_OPENED, CreditEntryKind.OPENING, amount)
    return Account(person, since + MINUTE, CreditEntryKind.TOP_UP, amount)


def _starts(person: Person, chance: Dice) -> list[datetime]:
    """When a person's sessions begin: in different hours, the last of them yesterday."""
    today = NOW.replace(hour=0)
    first_day = max(VISITS_BEGIN, joined(person).replace(hour=0, minute=0) + DAY)
    hours = range((today - first_day) // DAY * len(HOURS))
    chosen = sorted(chance.sample(hours, min(person.habits.visits, len(hours))))
    return [
        first_day + hour // len(HOURS) * DAY + HOURS[hour % len(HOURS)] * HOUR + chance.randint(4, 12) * MINUTE
        for hour in chosen
    ]


def _go(life: Life, planned: Visit, chance: Dice, *, is_last: bool = False) -> None:
    """Have a visit, and pay for it: all of it, or as far as the credits reach."""
    account, person = life.account, planned.person
    if account.balance < planned.cost and person.habits.tops_up:
        packs = ((planned.cost - account.balance) / PACK[person.tier]).to_integral_value(ROUND_CEILING)
        account.move(planned.start - 2 * MINUTE, CreditEntryKind.TOP_UP, packs * PACK[person.tier])
    had = planned.cut(account.balance)
    if had is None:
        return
    _pay(account, had)
    refund = _refund(had, chance, is_claimed=is_last and person.habits.was_refunded)
    if refund:
        account.move(had.settled_at + 5 * MINUTE, CreditEntryKind.REFUND, refund, had.id)
    life.visits.append(replace(had, refund=refund))


def _pay(account: Account, had: Visit) -> None:
    """Charge each answer when it came, and the time at the end."""
    for number, message in enumerate(had.messages):
        if message.cost:
            at = had.start + message.after
            account.move(at, CreditEntryKind.MESSAGE_CHARGE, -message.cost, had.id, had.message_id(number))
    if had.time_cost:
        account.move(had.settled_at, CreditEntryKind.SESSION_CHARGE, -had.time_cost, had.id)


def _refund(had: Visit, chance: Dice, *, is_claimed: bool) -> Decimal:
    """What is given back: everything to whoever claims it, and half to some of those who were not content."""
    if is_claimed:
        return had.cost
    is_discontent = had.rating is not None and had.rating < NEUTRAL
    return rounded(had.cost / 2) if is_discontent and chance.maybe(0.4) else Decimal(0)
