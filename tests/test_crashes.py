"""What becomes of money when servers are killed: what was asked for is done once, however often it is sent."""

import asyncio
import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from gateway.settings import Settings
from gateway.tokens import Tokens
from tests.chaos.acts import SECRET
from tests.chaos.workload import SETTINGS, Chaos
from tests.conftest import fresh_database
from tests.crashing import Point, Server, key_for
from tests.money import Who, balance, findings, new_clone, send, session_of, set_balance, sql, user
from tests.serving import Gateway

MOVED = "SELECT kind FROM credit_entries WHERE idempotency_key = ANY ($1) ORDER BY kind"

PLANTED = {
    "a message is charged twice": """
        WITH entry AS (
            SELECT entry.* FROM credit_entries AS entry JOIN user_profiles ON user_profiles.id = user_id
            WHERE kind = 'message_charge' AND actor IS NOT NULL AND credits_remaining + amount >= 0
            ORDER BY number DESC LIMIT 1
        ), account AS (
            UPDATE user_profiles SET credits_remaining = credits_remaining + amount, total_spent = total_spent - amount
            FROM entry WHERE user_profiles.id = user_id RETURNING credits_remaining, total_spent
        )
        INSERT INTO credit_entries (user_id, amount, kind, session_id, balance_after, spent_after)
        SELECT user_id, amount, kind, session_id, credits_remaining, total_spent FROM entry, account
        """,
    "a top-up is lost": """
        WITH entry AS (
            DELETE FROM credit_entries WHERE number = (
                SELECT max(number) FROM credit_entries WHERE kind = 'top_up' AND actor IS NOT NULL
            ) RETURNING user_id, amount
        )
        UPDATE user_profiles SET credits_remaining = credits_remaining - amount FROM entry WHERE id = user_id
        """,
}


@pytest.fixture(scope="module")
def mortal(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in processes of its own, which die where keys say so."""
    folder = tmp_path_factory.mktemp("mortal")
    with fresh_database(server_url, template) as url:
        server = Server.crashing({**SETTINGS, "WORKER": "false", "DATABASE_URL": url}, folder)
        try:
            server.start()
            gateway = Gateway(server.address, url, Tokens(SECRET, Settings.read()))
            yield gateway
            gateway.client.close()
        finally:
            server.stop()


class Stubborn:
    """A client of a server that dies at a point, who sends again what got no answer. killed: what it died of."""

    def __init__(self, gateway: Gateway, point: Point) -> None:
        self.gateway = gateway
        self.point = point
        self.keys: list[UUID] = []
        self.acts: list[str] = []
        self.killed: list[str] = []

    def insist(self, mutation: str, as_: Who, **values: Any) -> Any:
        """What comes of it, by the first answer that there is."""
        key = key_for(self.point)
        self.keys.append(key)
        self.acts.append(mutation)
        try:
            return send(self.gateway, mutation, as_, key=key, **values).data["done"]
        except httpx2.TransportError:
            self.killed.append(mutation)
        return send(self.gateway, mutation, as_, key=key, **values).data["done"]

    def act(self, mutation: str, as_: Who, **values: Any) -> Any:
        """The row that it was done to, which is the same however often it is sent."""
        done = self.insist(mutation, as_, **values)
        assert done["userErrors"] == []
        assert send(self.gateway, mutation, as_, key=self.keys[-1], **values).data["done"] == done
        return done["row"]


@pytest.mark.parametrize("point", [point for point in Point if point < Point.AFTER_REFUSAL], ids=lambda each: each.name)
def test_what_was_cut_off_is_done_once_when_it_is_sent_again(mortal: Gateway, point: Point) -> None:
    client = Stubborn(mortal, point)
    set_balance(mortal, "noor", 100)
    clone = new_clone(mortal, "60")

    session = client.act("startSession", "noor", cloneId=clone)["id"]
    client.act("recordMessage", "grace", sessionId=session, senderType="AI", content="Hello!", cost="0.25")
    client.act("pauseSession", "noor", id=session)
    client.act("resumeSession", "noor", id=session)
    client.act("topUpCredits", "grace", userId=user("noor"), amount="7")
    client.act("adjustCredits", "grace", userId=user("noor"), amount="-3", reason="A mistake.")
    client.act("endSession", "noor", id=session)
    client.act("rateSession", "noor", id=session, rating=4)
    client.act("refundSession", "grace", id=session, amount="0.1")

    shown = session_of(mortal, session)
    assert [row["kind"] for row in sql(mortal.database_url, MOVED, client.keys)] == [
        "adjustment",
        "message_charge",
        "refund",
        "top_up",
    ]
    assert (shown["messageCount"], shown["clone"]["totalSessions"], shown["clone"]["totalRatings"]) == (1, 1, 1)
    assert Decimal(shown["totalCost"]) == Decimal(shown["timeCost"]) + Decimal("0.15")
    assert balance(mortal, "noor") == 104 - Decimal(shown["totalCost"])
    assert findings(mortal.database_url) == []
    assert client.killed
    if point >= Point.BEFORE_COMMIT:
        assert client.killed == client.acts


def test_a_session_that_cannot_go_on_ends_once_though_the_server_died_before_it_ended(mortal: Gateway) -> None:
    client = Stubborn(mortal, Point.AFTER_REFUSAL)
    set_balance(mortal, "noor", 100)
    session = client.act("startSession", "noor", cloneId=new_clone(mortal, "60"))["id"]
    message = {"sessionId": session, "senderType": "AI", "content": "Hello!", "cost": "5"}
    set_balance(mortal, "noor", 1)

    refused = client.insist("recordMessage", "grace", **message)
    ended = session_of(mortal, session)
    set_balance(mortal, "noor", 100)
    again = send(mortal, "recordMessage", "grace", key=client.keys[-1], **message).data["done"]

    assert client.killed == ["recordMessage"]
    assert [error["code"] for error in refused["userErrors"]] == ["INSUFFICIENT_CREDITS"]
    assert (ended["status"], ended["endReason"], ended["messageCount"]) == ("ENDED", "CREDITS_EXHAUSTED", 0)
    assert [error["code"] for error in again["userErrors"]] == ["WRONG_SESSION_STATUS"]
    assert session_of(mortal, session)["totalCost"] == ended["totalCost"]
    assert balance(mortal, "noor") == 100
    assert findings(mortal.database_url) == []


def test_nothing_is_lost_or_done_twice_while_a_server_is_killed_at_random_or_else_the_audit_finds_it(
    server_url: str, template: str, tmp_path: Path
) -> None:
    deadline = time.monotonic() + 300

    def is_enough() -> bool:
        assert time.monotonic() < deadline, "nobody is ever killed in the middle of something"
        return chaos.kills.total() > 7 and len(chaos.journal) > 100 and any(told.subject for told in chaos.unsure)

    with fresh_database(server_url, template) as url:
        server = Server.crashing({**SETTINGS, "DATABASE_URL": url}, tmp_path)
        chaos = Chaos(url, [server], random.Random(4), severity=0)  # noqa: S311 (it is no secret)
        asyncio.run(chaos.run(is_enough, pause=(0.2, 0.6)))
        result = asyncio.run(chaos.audit())
        found = {corruption: audited(chaos, server_url, corruption) for corruption in PLANTED}

    assert (result.lost, result.doubled, result.wrong) == ({}, {}, [])
    assert found == {
        "a message is charged twice": ([], ["message_charge"]),
        "a top-up is lost": (["top_up"], []),
    }


def audited(chaos: Chaos, server_url: str, corruption: str) -> tuple[list[str], list[str]]:
    """What the audit finds to be lost, and to be done twice, in a copy of the database with a corruption."""
    with fresh_database(server_url, str(make_url(chaos.url).database)) as url:
        asyncio.run(plant(url, PLANTED[corruption]))
        result = asyncio.run(chaos.audit(url))
    assert result.wrong
    return [fact.what for fact in result.lost], [fact.what for fact in result.doubled]


async def plant(url: str, statement: str) -> None:
    """Change what the database would refuse to change."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    assert await connection.execute(statement) in ("INSERT 0 1", "UPDATE 1", "DELETE 1")
    await connection.close()
