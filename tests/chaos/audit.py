"""The audit: what clients were told, held against the database."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from tests.chaos.acts import Fact, Told
from tests.money import findings

BALANCES = "SELECT id, credits_remaining FROM user_profiles WHERE id = ANY ($1)"
FOUND = """
    SELECT kind, user_id, idempotency_key, amount FROM credit_entries
        WHERE created_at > $1 AND kind NOT IN ('session_charge', 'opening')
    UNION ALL SELECT 'key', subject, key, 0 FROM idempotency_keys
    UNION ALL SELECT 'message', session_id, content::uuid, cost_increment FROM messages WHERE created_at > $1
    UNION ALL SELECT 'session', id, NULL, 0 FROM sessions WHERE created_at > $1
    UNION ALL SELECT 'end', id, NULL, 0 FROM sessions WHERE created_at > $1 AND end_reason = 'user'
    UNION ALL SELECT 'rating', id, NULL, user_rating FROM sessions WHERE created_at > $1 AND user_rating IS NOT NULL
"""
BY_OLD_PROGRAM = "SELECT 'external', user_id, NULL::uuid, amount FROM old_program"
MOVES = {"top_up", "adjustment", "refund", "message_charge", "external"}
TIME = "SELECT user_id, sum(amount) FROM credit_entries WHERE created_at > $1 AND kind = 'session_charge' GROUP BY 1"
DONE_UNANSWERED = """
    SELECT count(*) FROM idempotency_keys
    JOIN unnest($1::uuid[], $2::timestamptz[]) AS told (key, sent) USING (key) WHERE created_at < sent
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True)
class Result:
    """What came out. lost: what somebody was told, and is not so. doubled: what is so, and nobody was told.

    wrong: whatever else does not add up. done_unanswered: how often an attempt that got no answer had done it.
    """

    lost: Counter[Fact]
    doubled: Counter[Fact]
    wrong: list[str]
    done_unanswered: int
    deadlocks: int

    @property
    def is_clean(self) -> bool:
        """Whether every credit is where it belongs."""
        return not (self.lost or self.doubled or self.wrong)


async def audit(url: str, began: datetime, before: Mapping[UUID, Decimal], journal: list[Told]) -> Result:
    """What clients were told since it began, held against the database. before: what people had then."""
    connection = await asyncpg.connect(url)
    try:
        told = Counter(fact for each in journal for fact in each.facts)
        told.update(Fact(*row) for row in await connection.fetch(BY_OLD_PROGRAM))
        found = Counter(Fact(*row) for row in await connection.fetch(FOUND, began))
        unsure = [each for each in journal if each.unanswered]
        sent = [each.act.key for each in unsure], [each.sent for each in unsure]
        return Result(
            lost=told - found,
            doubled=found - told,
            wrong=[
                *await _wrong_balances(connection, began, before, told),
                *(f"not so: {sentence}" for sentence in await asyncio.to_thread(findings, url)),
            ],
            done_unanswered=await connection.fetchval(DONE_UNANSWERED, *sent),
            deadlocks=await connection.fetchval(DEADLOCKS),
        )
    finally:
        await connection.close()


async def _wrong_balances(
    connection: "asyncpg.Connection[asyncpg.Record]",
    began: datetime,
    before: Mapping[UUID, Decimal],
    told: Counter[Fact],
) -> list[str]:
    """Balances that are not what they were, with what people were told, and less the time that they talked."""
    expected = dict(before)
    for fact, times in told.items():
        if fact.what in MOVES:
            expected[fact.about] += fact.amount * times
    for person, amount in await connection.fetch(TIME, began):
        expected[person] += amount
    after = await balances(connection, before)
    return [f"{key} has {after[key]} instead of {expected[key]}" for key in before if after[key] != expected[key]]


async def balances(connection: "asyncpg.Connection[asyncpg.Record]", people: Iterable[UUID]) -> dict[UUID, Decimal]:
    """What these people have."""
    return {row["id"]: row["credits_remaining"] for row in await connection.fetch(BALANCES, list(people))}
