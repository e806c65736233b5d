"""Totals: what clones, creators' days and accounts add up to, once every life has been told."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import db
from db.demo.life import Life
from db.demo.visit import Visit

LIKE_POSTGRES = Decimal("1e-16")
"""The precision of PostgreSQL's avg(): a mean that is kept must equal one that is computed."""


@dataclass(slots=True)
class Tally:
    """What some sessions add up to."""

    sessions: int = 0
    minutes: Decimal = Decimal(0)
    messages: int = 0
    earned: Decimal = Decimal(0)
    ratings: int = 0
    stars: int = 0
    people: set[UUID] = field(default_factory=set)

    def add(self, visit: Visit) -> None:
        """Count one session more."""
        self.sessions += 1
        self.minutes += visit.minutes
        self.messages += len(visit.messages)
        self.earned += visit.cost - visit.refund
        self.people.add(visit.person.id)
        if visit.rating:
            self.ratings += 1
            self.stars += visit.rating

    @property
    def average(self) -> Decimal | None:
        """The mean rating; None without any."""
        return (Decimal(self.stars) / self.ratings).quantize(LIKE_POSTGRES, ROUND_HALF_UP) if self.ratings else None


class Totals:
    """The sums over all lives, and the number of rows that lives leave behind."""

    def __init__(self) -> None:
        self.days: dict[UUID, dict[date, Tally]] = defaultdict(lambda: defaultdict(Tally))
        """By clone and day."""
        self.clones: dict[UUID, Tally] = defaultdict(Tally)
        self.rows: Counter[str] = Counter()

    def add(self, life: Life) -> None:
        """Count one life more."""
        for visit in life.visits:
            self.days[visit.clone.id][visit.start.date()].add(visit)
            self.clones[visit.clone.id].add(visit)
            self.rows[db.Message.__tablename__] += len(visit.messages)
            self.rows[db.MessageSource.__tablename__] += sum(len(message.cites) for message in visit.messages)
            self.rows[db.Reply.__tablename__] += len(visit.replies)
        self.rows[db.Session.__tablename__] += len(life.visits)
        self.rows[db.CreditEntry.__tablename__] += len(life.account.entries)
