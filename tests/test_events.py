"""Whatever program changes a session or a clone, those who subscribed are told, and miss nothing."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import asyncpg
import pytest
from graphql import OperationType

from db.engine import Database
from gateway.explorer import Example, examples
from resolvers.cursor import MOST_LISTED, BadEventCursor, Cursor, CursorExpired
from resolvers.feed import Feed, Subscription
from tests.conftest import execute, fresh_database
from tests.serving import serving
from tests.sockets import MAYAS, RENAME, open_socket
from tests.test_examples import KEYS
from tests.test_persisted import free_port, needs_redis, redis

CLONE = UUID("019d47d7-8580-733e-8c81-4fd095704e36")
OTHER = UUID("019cbb4b-4c00-7085-abbd-5352fe92d1ef")
TOUCH = "UPDATE clones SET total_ratings = total_ratings + 1 WHERE id = $1"
ADD = "INSERT INTO sessions (id, user_id, clone_id) SELECT $1, user_id, clone_id FROM sessions LIMIT 1"
PATIENCE = 10

CLONE_UPDATED = "subscription($id: ID!, $after: String) { cloneUpdated(id: $id, after: $after) { clone { name } } }"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def database(server_url: str, template: str) -> Iterator[str]:
    """A database with the demo data that the tests of this file may change, and leave in working order."""
    with fresh_database(server_url, template) as url:
        yield url


class Node:
    """A gateway's feed, and a program beside it that writes to the same database."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.database = Database(url, pooler=options.pop("pooler", False))
        self.feed = Feed(self.database, **options)
        self.exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.feed.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.exits.aclose()
        await self.feed.close()
        await self.database.close()

    async def subscribe(self, key: UUID = CLONE, after: str | None = None, *, kind: str = "clone") -> Subscription:
        """A subscription that has told its beginning, unless it continues an earlier one."""
        subscription = await self.feed.subscribe(kind, key, after)
        if after is None:
            await told(subscription)
        return subscription

    async def connect(self) -> Any:
        connection = await asyncpg.connect(self.url)
        self.exits.push_async_callback(connection.close)
        return connection


async def told(subscription: Subscription) -> str:
    """The next cursor."""
    async with asyncio.timeout(PATIENCE):
        return await anext(subscription)


async def test_a_subscription_begins_with_the_present_and_tells_each_change(database: str) -> None:
    async with Node(database) as node:
        subscription = await node.feed.subscribe("clone", CLONE)

        cursors = [await told(subscription)]
        for _ in range(3):
            await execute(database, TOUCH, CLONE)
            cursors.append(await told(subscription))

    assert len(set(cursors)) == 4


@pytest.mark.parametrize(
    "change",
    [
        ADD,
        f"{ADD} ON CONFLICT (id) DO UPDATE SET status = 'ended'",
        f"WITH added AS ({ADD} RETURNING id) SELECT * FROM added",
    ],
)
async def test_a_new_row_is_told(database: str, change: str) -> None:
    key = uuid4()
    async with Node(database) as node:
        subscription = await node.subscribe(key, kind="session")

        await execute(database, change, key)

        assert await told(subscription)


async def test_a_deleted_row_is_told_also_when_another_takes_it_along(database: str) -> None:
    session, clone = (await execute(database, "SELECT id, clone_id FROM sessions ORDER BY id LIMIT 1"))[0]
    async with Node(database) as node:
        of_session = await node.subscribe(session, kind="session")
        of_clone = await node.subscribe(clone)

        await execute(database, "DELETE FROM clones WHERE id = $1", clone)

        assert await told(of_session)
        assert await told(of_clone)


async def test_one_statement_that_changes_many_rows_tells_all_of_them(database: str) -> None:
    rows = await execute(database, "SELECT id FROM sessions")
    async with Node(database) as node:
        subscriptions = [await node.subscribe(row["id"], kind="session") for row in rows[:50]]

        await execute(database, "UPDATE sessions SET message_count = message_count + 1")

        for subscription in subscriptions:
            assert await told(subscription)


async def test_several_changes_while_nobody_asks_are_one(database: str) -> None:
    async with Node(database) as node:
        slow, quick = await node.subscribe(), await node.subscribe()
        for _ in range(20):
            await execute(database, TOUCH, CLONE)
            await told(quick)

        await told(slow)

        again = asyncio.create_task(told(slow))
        await execute(database, TOUCH, OTHER)
        await told(await node.feed.subscribe("clone", OTHER))
        assert not again.done()
        await execute(database, TOUCH, CLONE)
        assert await again


async def test_many_changes_of_a_transaction_are_one_row(database: str) -> None:
    async with Node(database) as node:
        writer = await node.connect()
        await execute(database, "DELETE FROM events")

        async with writer.transaction():
            for _ in range(5):
                await writer.execute(TOUCH, CLONE)

    assert [row["subject"] for row in await execute(database, "SELECT subject FROM events")] == [CLONE]


async def test_what_is_rolled_back_is_not_told(database: str) -> None:
    async with Node(database) as node:
        subscription, other = await node.subscribe(), await node.subscribe(OTHER)
        writer = await node.connect()
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(TOUCH, CLONE)
        pending = asyncio.create_task(told(subscription))

        await transaction.rollback()

        await execute(database, TOUCH, OTHER)
        await told(other)
        assert not pending.done()
        await execute(database, TOUCH, CLONE)
        assert await pending


async def test_transactions_that_commit_out_of_order_are_both_told_and_neither_waits(database: str) -> None:
    async with Node(database) as node:
        first, second = await node.subscribe(CLONE), await node.subscribe(OTHER)
        slow, quick = await node.connect(), await node.connect()
        long = slow.transaction()
        await long.start()
        await slow.execute(TOUCH, CLONE)
        pending = asyncio.create_task(told(first))

        for _ in range(3):
            await quick.execute(TOUCH, OTHER)
            assert await told(second)
        assert not pending.done()
        await long.commit()

        assert await pending


async def test_a_cursor_from_while_a_transaction_ran_misses_nothing_of_it(database: str) -> None:
    async with Node(database) as node:
        writer = await node.connect()
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(TOUCH, CLONE)
        cursor = await told(await node.feed.subscribe("clone", CLONE))

        await transaction.commit()

        assert await told(await node.feed.subscribe("clone", CLONE, cursor))


async def test_a_cursor_of_one_node_is_good_on_another(database: str) -> None:
    async with Node(database) as node:
        subscription = await node.subscribe()
        await execute(database, TOUCH, CLONE)
        seen = await told(subscription)
    await execute(database, TOUCH, CLONE)

    async with Node(database) as another:
        at_once = await told(await another.feed.subscribe("clone", CLONE, seen))
        resumed = await another.feed.subscribe("clone", CLONE, at_once)
        waiting = asyncio.create_task(told(resumed))
        beside = await another.subscribe(OTHER)
        await execute(database, TOUCH, OTHER)
        await told(beside)

        assert not waiting.done()
        await execute(database, TOUCH, CLONE)
        assert await waiting


async def test_what_happens_while_the_listener_is_away_is_told_when_it_is_back(database: str) -> None:
    async with Node(database) as node:
        subscription = await node.subscribe()
        writer = await node.connect()
        await execute(database, TOUCH, CLONE)
        await told(subscription)

        for _ in range(3):
            await writer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await writer.execute(TOUCH, CLONE)

            assert await told(subscription)


async def test_events_come_without_notifications_too(database: str) -> None:
    async with Node(database, pooler=True) as node:
        subscription = await node.subscribe()

        await execute(database, TOUCH, CLONE)

        assert await told(subscription)


async def test_a_word_from_outside_wakes_the_listener(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.feed.LOOK_EACH", 3600)
    async with Node(database, pooler=True) as node:
        subscription = await node.subscribe()
        await execute(database, TOUCH, CLONE)

        node.feed.wake()

        assert await told(subscription)


async def test_nobody_who_hears_nothing_is_left_with_an_old_cursor(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.feed.LOOK_EACH", 0.05)
    async with Node(database, window=0.3) as node:
        subscription = await node.subscribe()

        assert await told(subscription) != await told(subscription)


async def test_a_cursor_is_refused_when_nobody_can_tell_what_it_missed(database: str) -> None:
    async with Node(database) as node:
        now = Cursor.decode(await told(await node.feed.subscribe("clone", CLONE)))
        old = Cursor(now.snapshot, now.taken - 1_200_001)
        foreign = Cursor((10**12, 10**12, ()), now.taken)

        for cursor in (old, foreign):
            with pytest.raises(CursorExpired):
                await node.feed.subscribe("clone", CLONE, cursor.encode())


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "ä",
        "W10",
        "=" * 10,
        "WzEsMl0",
        Cursor((5, 3, ()), 1_800_000_000).encode(),
        Cursor((1, 9, (5, 3)), 1_800_000_000).encode(),
        Cursor((0, 0, ()), 1_800_000_000).encode(),
        "W1siYSJdXQ",
        base64.urlsafe_b64encode(b"[1, 1800000000, 1, 99999999999999999999]").decode(),
    ],
)
async def test_what_is_no_cursor_is_refused(database: str, cursor: str) -> None:
    async with Node(database) as node:
        with pytest.raises(BadEventCursor):
            await node.feed.subscribe("clone", CLONE, cursor)

        assert not node.feed._subscriptions


async def test_a_cursor_stays_short_however_many_transactions_run() -> None:
    running = tuple(range(1_000, 1_000 + 5 * MOST_LISTED))
    cursor = Cursor((1_000, 9_000, running), 1_800_000_000)

    assert Cursor.decode(cursor.encode()).snapshot == (1_000, 1_000, ())


async def test_events_older_than_three_windows_are_forgotten(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.feed.LOOK_EACH", 0.05)
    async with Node(database, window=0.3) as node:
        subscription = await node.subscribe()
        await execute(database, TOUCH, CLONE)
        await told(subscription)

        async with asyncio.timeout(PATIENCE):
            while await execute(database, "SELECT FROM events"):
                await told(subscription)


async def test_a_program_without_any_right_on_events_can_change_sessions(database: str) -> None:
    program = f"program_{uuid4().hex}"
    async with Node(database) as node:
        subscription = await node.subscribe()
        writer = await node.connect()
        await writer.execute(f"CREATE ROLE {program}; GRANT SELECT, UPDATE ON clones TO {program}")

        try:
            await writer.execute(f"SET ROLE {program}")
            await writer.execute(TOUCH, CLONE)
            await writer.execute("RESET ROLE")
        finally:
            await writer.execute(f"RESET ROLE; DROP OWNED BY {program}; DROP ROLE {program}")

        assert await told(subscription)


@pytest.mark.parametrize("fault", ["DROP TABLE events", "ALTER TABLE events ADD CHECK (kind = 'nothing') NOT VALID"])
async def test_no_statement_fails_because_its_change_cannot_be_told(own_database: str, fault: str) -> None:
    before = await execute(own_database, "SELECT total_ratings FROM clones WHERE id = $1", CLONE)
    await execute(own_database, fault)

    await execute(own_database, TOUCH, CLONE)

    after = await execute(own_database, "SELECT total_ratings FROM clones WHERE id = $1", CLONE)
    assert after[0][0] == before[0][0] + 1


async def test_a_closed_subscription_ends_and_leaves_nothing_behind(database: str) -> None:
    async with Node(database) as node:
        subscription, other = await node.subscribe(), await node.subscribe()
        waiting = asyncio.create_task(told(subscription))
        await asyncio.sleep(0)

        await subscription.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await other.aclose()

        assert not node.feed._subscriptions


async def test_a_thousand_subscribers_are_told_within_a_second(database: str) -> None:
    async with Node(database) as node:
        subscriptions = await asyncio.gather(*(node.subscribe() for _ in range(1_000)))
        waiting = [asyncio.create_task(told(each)) for each in subscriptions]
        clock = asyncio.get_running_loop()
        began = clock.time()

        await execute(database, TOUCH, CLONE)
        await asyncio.gather(*waiting)

        assert clock.time() - began < 1


def test_hidden_and_missing_rows_are_refused_alike_and_what_is_no_id_is_told_apart(database: str) -> None:
    draft, nothing = "clone_01a0e70724007317a050e89072ba8e85", f"clone_{'0' * 32}"
    with serving(database) as gateway, open_socket(gateway, "maya") as messages:
        refusals = []
        for number, id_ in enumerate((draft, nothing, "session_0", nothing.replace("clone", "session"))):
            messages.subscribe(str(number), CLONE_UPDATED, id=id_)
            (error,) = messages.receive()["payload"]
            refusals.append((error["extensions"]["code"], error["message"]))

    assert refusals[0] == refusals[1] == ("BAD_USER_INPUT", "There is no clone with this id that you can see.")
    assert len({message for _, message in refusals}) == 3


def test_a_row_that_becomes_hidden_is_null_from_then_on(own_database: str) -> None:
    with serving(own_database) as gateway, open_socket(gateway, None) as messages:
        messages.subscribe("1", CLONE_UPDATED, id=MAYAS)
        names = [messages.data()["cloneUpdated"]["clone"]]

        for change in ("is_published = false", "is_published = true, name = 'Back'"):
            asyncio.run(execute(own_database, f"UPDATE clones SET {change} WHERE id = $1", CLONE))
            names.append(messages.data()["cloneUpdated"]["clone"])

    assert names == [{"name": "Learning That Lasts"}, None, {"name": "Back"}]


def test_a_cursor_that_is_too_old_has_a_code_of_its_own(database: str) -> None:
    with serving(database) as gateway, open_socket(gateway, None) as messages:
        messages.subscribe("1", CLONE_UPDATED, id=MAYAS, after=Cursor((3, 3, ()), 1_000).encode())
        assert messages.codes() == ["CURSOR_EXPIRED"]
        messages.subscribe("2", CLONE_UPDATED, id=MAYAS, after="nonsense")
        assert messages.codes("2") == ["BAD_USER_INPUT"]


def test_events_show_what_was_written_and_not_what_a_replica_knows(database: str, own_database: str) -> None:
    with serving(database, read_url=own_database) as gateway, open_socket(gateway, "maya") as messages:
        messages.subscribe("1", CLONE_UPDATED, id=MAYAS)
        messages.data()
        asyncio.run(execute(database, "UPDATE clones SET name = 'Only here' WHERE id = $1", CLONE))

        assert messages.data()["cloneUpdated"]["clone"] == {"name": "Only here"}


@needs_redis
def test_a_mutation_on_one_node_is_told_on_another_by_redis(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.feed.LOOK_EACH", 3600)
    port = free_port()
    settings = {"redis_url": f"redis://127.0.0.1:{port}/0"}
    with (
        redis(port, tmp_path),
        serving(database, settings, pooler=True) as one,
        serving(database, settings, pooler=True) as other,
        open_socket(other, "maya") as messages,
    ):
        messages.subscribe("1", CLONE_UPDATED, id=MAYAS)
        messages.data()

        one.ask(RENAME, as_="maya", id=MAYAS, name="Renamed there")

        assert messages.data()["cloneUpdated"]["clone"] == {"name": "Renamed there"}


def test_without_redis_nodes_hear_of_each_other_from_postgresql(database: str) -> None:
    settings = {"redis_url": "redis://127.0.0.1:1/0"}
    with serving(database, settings) as one, serving(database) as other, open_socket(other, "maya") as messages:
        messages.subscribe("1", CLONE_UPDATED, id=MAYAS)
        messages.data()

        one.ask(RENAME, as_="maya", id=MAYAS, name="Renamed again")

        assert messages.data()["cloneUpdated"]["clone"] == {"name": "Renamed again"}


@pytest.mark.parametrize(
    "example",
    [each for each in examples() if each.operation is OperationType.SUBSCRIPTION],
    ids=lambda example: example.name,
)
def test_an_example_of_a_subscription_begins_with_something_to_see(database: str, example: Example) -> None:
    with serving(database) as gateway, open_socket(gateway, KEYS[example.as_ or ""]) as messages:
        messages.subscribe("1", example.query, **(example.variables or {}))

        (event,) = messages.data().values()

    assert None not in event.values()
