"""Ways to charge accounts over some connections for a while: bare SQL, our functions, and our mutations."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import cycle, islice
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

import db
from db import CreditEntryKind, SenderType
from db.engine import SERVER_SETTINGS, Database
from db.storage import Storage
from resolvers import message
from resolvers.context import Context
from resolvers.credits import Movement, move
from resolvers.feed import Feed
from resolvers.idempotency import Request
from resolvers.provisioning.local import LocalProvider
from resolvers.services import Services
from resolvers.terms import Terms
from schema.ids import global_id
from tests.benchmarks.load import load
from tests.benchmarks.operations import Operation
from tests.benchmarks.servers import Server

CONNECTIONS: Final = 16
SECONDS: Final = 1
REQUESTS: Final = 8_000
"""More than are answered in so short a time: each has an idempotency key of its own."""
COST: Final = Decimal("0.0125")

BARE: Final = "bare SQL"
OURS: Final = "the charge function"

CHARGE: Final = """
    WITH account AS (
        UPDATE user_profiles SET credits_remaining = credits_remaining - $4, total_spent = total_spent + $4
        WHERE id = $1 AND credits_remaining >= $4 RETURNING credits_remaining, total_spent
    ), entry AS (
        INSERT INTO credit_entries (user_id, amount, kind, session_id, balance_after, spent_after)
        SELECT $1, -$4, 'message_charge', $3, credits_remaining, total_spent FROM account RETURNING id
    ), clone AS (
        UPDATE clones SET total_earnings = total_earnings + $4 FROM entry WHERE clones.id = $2
        RETURNING creator_id, total_earnings, entry.id AS entry_id
    )
    INSERT INTO creator_entries (creator_id, clone_id, amount, kind, session_id, credit_entry_id, earned_after)
    SELECT creator_id, $2, $4, 'earning', $3, entry_id, total_earnings FROM clone
"""
"""The least that a charge could be: the balance, its entry, what the clone has earned and the entry of that."""

RECORD_MESSAGE: Final = """mutation RecordMessage($input: RecordMessageInput!) {
  recordMessage(input: $input) { message { id } userErrors { message } }
}"""

TOP_UP_CREDITS: Final = """mutation TopUpCredits($input: TopUpCreditsInput!) {
  topUpCredits(input: $input) { creditEntry { id } userErrors { message } }
}"""


@dataclass(frozen=True)
class Account:
    """Somebody who pays, and for what."""

    user_id: UUID
    clone_id: UUID
    session_id: UUID


@dataclass(frozen=True)
class Way:
    """A way to charge. run: charges these accounts for a while, and gives how often, and in how many seconds.

    cpu_seconds: what the process that charges took so far.
    """

    name: str
    run: Callable[[Sequence[Account]], Awaitable[tuple[int, float]]]
    cpu_seconds: Callable[[], float]


Charge = Callable[[Account], Awaitable[object]]


async def ways_to_charge(url: str, server: Server, viewer: db.Viewer, stack: AsyncExitStack) -> list[Way]:
    """What is compared. viewer: the service that the server knows. stack: closes the connections."""
    database = Database(url, pool_size=CONNECTIONS)
    stack.push_async_callback(database.close)

    async def bare(**settings: str) -> list[Charge]:
        connections = [await asyncpg.connect(url, server_settings=settings) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.push_async_callback(connection.close)
        return [partial(_charge_barely, connection) for connection in connections]

    return [
        _here("bare SQL, no triggers", await bare(**SERVER_SETTINGS, session_replication_role="replica")),
        _here(BARE, await bare(**SERVER_SETTINGS)),
        _here(OURS, [partial(_charge, database)] * CONNECTIONS),
        _here("recordMessage, no HTTP", [partial(_record, database, viewer)] * CONNECTIONS),
        _over_http("recordMessage", server, "RecordMessage", RECORD_MESSAGE, _message),
        _over_http("topUpCredits", server, "TopUpCredits", TOP_UP_CREDITS, _top_up),
    ]


def _here(name: str, charges: Sequence[Charge]) -> Way:
    """A way that leads from this process. charges: what each connection does. It has accounts of its own, if it can."""

    async def run(accounts: Sequence[Account]) -> tuple[int, float]:
        start = time.perf_counter()

        async def repeat(charge: Charge, own: Sequence[Account]) -> int:
            done = 0
            while time.perf_counter() - start < SECONDS:
                await charge(own[done % len(own)])
                done += 1
            return done

        each = [accounts[number::CONNECTIONS] or accounts for number in range(CONNECTIONS)]
        done = await asyncio.gather(*map(repeat, charges, each))
        return sum(done), time.perf_counter() - start

    return Way(name, run, time.process_time)


async def _charge_barely(connection: "asyncpg.Connection[asyncpg.Record]", account: Account) -> None:
    await connection.fetch(CHARGE, account.user_id, account.clone_id, account.session_id, COST)


async def _charge(database: Database, account: Account) -> None:
    movement = Movement(
        user_id=account.user_id,
        amount=-COST,
        kind=CreditEntryKind.MESSAGE_CHARGE,
        session_id=account.session_id,
        clone_id=account.clone_id,
        earning=COST,
    )
    async with database.write() as tx:
        await move(tx, movement)


async def _record(database: Database, viewer: db.Viewer, account: Account) -> None:
    context = Context(Services(database, Feed(database), Storage(""), LocalProvider(database), Terms()), viewer)
    wanted = message.Record(session_id=account.session_id, sender_type=SenderType.AI, content="An answer.", cost=COST)
    await message.record(context, Request("recordMessage", uuid4(), {"cost": COST}), wanted)


def _over_http(name: str, server: Server, operation: str, text: str, input_of: Callable[[Account], Any]) -> Way:
    """A way that leads through the gateway. Its connections charge all accounts in turn."""

    async def run(accounts: Sequence[Account]) -> tuple[int, float]:
        variables = tuple(
            {"input": {"idempotencyKey": uuid4(), **input_of(account)}} for account in islice(cycle(accounts), REQUESTS)
        )
        requests = Operation(operation, text, variables)
        done = await asyncio.to_thread(load, server, requests, connections=CONNECTIONS, seconds=SECONDS)
        return done.requests, done.seconds

    return Way(name, run, lambda: server.cpu_seconds)


def _message(account: Account) -> dict[str, Any]:
    session_id = global_id(db.Session, account.session_id)
    return {"sessionId": session_id, "senderType": "AI", "content": "An answer.", "cost": str(COST)}


def _top_up(account: Account) -> dict[str, Any]:
    return {"userId": global_id(db.User, account.user_id), "amount": str(COST)}
