"""What the books of credits hold: as the database has them, and as the model does. Amounts are fractions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

ACCOUNTS = """
    SELECT id, credits_remaining, total_spent, is_active,
        (SELECT count(*) FROM sessions WHERE user_id = user_profiles.id AND demo_mode)
    FROM user_profiles WHERE id = ANY ($1)
"""
CLONES = """
    SELECT id, creator_id, base_price, is_active, total_sessions, total_earnings,
        round(coalesce(average_rating, 0) * total_ratings, 10), total_ratings
    FROM clones WHERE id = ANY ($1)
"""
SESSIONS = """
    SELECT id, user_id, clone_id, rate_per_minute, demo_mode, start_time, last_active_at, metered_until, status,
        end_time, end_reason, billable_seconds, time_cost, total_cost, message_count,
        (SELECT coalesce(sum(cost_increment), 0) FROM messages WHERE session_id = sessions.id), user_rating,
        (SELECT coalesce(sum(amount), 0) FROM creator_entries WHERE session_id = sessions.id)
    FROM sessions WHERE clone_id = ANY ($1)
"""
ENTRIES = """
    SELECT user_id, kind, amount, session_id, idempotency_key, balance_after, spent_after
    FROM credit_entries WHERE number > $1 ORDER BY number
"""
EARNINGS = """
    SELECT clone_id, kind, amount, session_id, earned_after
    FROM creator_entries WHERE number > $1 ORDER BY number
"""


class Entry(NamedTuple):
    """A movement of somebody's balance, and what there is and was spent after it."""

    person: str
    kind: str
    amount: Fraction
    session: str | None
    key: str | None
    balance: Fraction
    spent: Fraction


class Earning(NamedTuple):
    """A change of what a clone has earned, and all of it after that."""

    clone: str
    kind: str
    amount: Fraction
    session: str | None
    earned: Fraction


@dataclass
class Account:
    """A person. demos: how many demonstrations there were."""

    balance: Fraction
    spent: Fraction
    is_active: bool
    demos: int


@dataclass
class Clone:
    """A clone that is published. stars: the sum of its ratings."""

    creator: str
    price: Fraction
    is_active: bool
    sessions: int
    earned: Fraction
    stars: Fraction
    ratings: int


@dataclass
class Session:
    """A session. active: when something last happened, None if another program keeps it.

    metered: until when its time is paid. texts: what its messages cost. earned: what the clone got of it.
    """

    payer: str
    clone: str
    rate: Fraction
    is_demo: bool
    start: datetime
    active: datetime | None
    metered: datetime | None
    status: str = "active"
    end: datetime | None = None
    reason: str | None = None
    seconds: Fraction = Fraction(0)
    time_cost: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    messages: int = 0
    texts: Fraction = Fraction(0)
    rating: int | None = None
    earned: Fraction = Fraction(0)

    @property
    def is_open(self) -> bool:
        return self.status != "ended"

    @property
    def last_moment(self) -> datetime:
        """When something was last done to it, as far as it tells."""
        return max(moment for moment in (self.start, self.active, self.metered, self.end) if moment)

    def finish(self, now: datetime, reason: str) -> None:
        """End it, unless it is over."""
        self.metered = None
        if self.is_open:
            self.status, self.end, self.reason = "ended", now, reason


@dataclass
class Books:
    """All of it, by names. Entries and earnings: those since the books were opened, in their order."""

    accounts: dict[str, Account]
    clones: dict[str, Clone]
    sessions: dict[str, Session] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    earnings: list[Earning] = field(default_factory=list)

    def differences(self, expected: "Books") -> list[str]:
        """What is not as expected, in words."""
        return [
            f"{name}.{one}: {shown(mine.get(one))}, and not {shown(theirs.get(one))}"
            for name in ("accounts", "clones", "sessions", "entries", "earnings")
            for mine, theirs in [(numbered(getattr(self, name)), numbered(getattr(expected, name)))]
            for one in [*mine, *(each for each in theirs if each not in mine)]
            if mine.get(one) != theirs.get(one)
        ]


def numbered(rows: dict[str, Any] | list[Any]) -> dict[Any, Any]:
    return rows if isinstance(rows, dict) else dict(enumerate(rows))


def shown(row: Any) -> str:
    """A row of the books, with its fractions as people write them."""
    return re.sub(r"Fraction\((-?\d+), (\d+)\)", lambda found: f"{int(found[1]) / int(found[2]):.10g}", repr(row))


async def read(
    connection: "asyncpg.Connection[asyncpg.Record]", names: Mapping[UUID, str], last: tuple[int, int]
) -> Books:
    """The books of a database. names: what is called what. last: the last entry and earning before they were opened."""

    async def rows(statement: str, argument: Any) -> list[list[Any]]:
        return [[_plain(value, names) for value in row] for row in await connection.fetch(statement, argument)]

    return Books(
        {name: Account(*values) for name, *values in await rows(ACCOUNTS, list(names))},
        {name: Clone(*values) for name, *values in await rows(CLONES, list(names))},
        {name: Session(*values) for name, *values in await rows(SESSIONS, list(names))},
        [Entry(*values) for values in await rows(ENTRIES, last[0])],
        [Earning(*values) for values in await rows(EARNINGS, last[1])],
    )


def _plain(value: Any, names: Mapping[UUID, str]) -> Any:
    if isinstance(value, UUID):
        return names.get(value, str(value))
    return Fraction(value) if isinstance(value, Decimal) else value
