"""An operation belongs to one worker at a time, which keeps it while at work, and writes nothing once it has lost it.

A worker can be stopped, be cut off or have a wrong clock, and not know it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.killing import ATTACH, MAKE, PATIENCE, PUT, Hold, Workers, beside_workers
from tests.money import key_of, sql
from tests.provider_audit import differences
from tests.provider_fake import FakeProvider
from tests.provisioning import begin, done, ended, new_clone, operation, quiet
from tests.serving import Gateway, serving

NOTES = "Recall makes learning last.", "Spacing does, too."
LEFT = "SELECT leased_until - clock_timestamp() AS left FROM operations WHERE ended_at IS NULL"
LEASE = "SELECT leased_until, fence FROM operations WHERE id = $1"
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
TAKE_AWAY = "UPDATE operations SET leased_until = clock_timestamp() WHERE id = $1"


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def both(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[tuple[Gateway, Workers]]:
    with beside_workers(server_url, template, tmp_path_factory.mktemp("workers"), fake) as both:
        yield both


@pytest.fixture
def gateway(both: tuple[Gateway, Workers], fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway that does nothing by itself. Each test ends with a provider that has what the database says."""
    gateway, _ = both
    yield gateway
    quiet(gateway)
    fake.on_call = None
    assert differences(fake, gateway.database_url) == []


@pytest.fixture
def workers(both: tuple[Gateway, Workers]) -> Workers:
    """Two workers beside it."""
    return both[1]


@pytest.mark.parametrize("act", [PUT, MAKE, ATTACH])
def test_a_worker_that_was_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str
) -> None:
    before = fake.live()
    clone = new_clone(gateway, *NOTES)
    hold = Hold(fake, workers, act)
    id_ = begin(gateway, "provisionClone", cloneId=clone)
    sleeper = hold.begun()
    sleeper.stop()
    hold.end()

    status = ended(gateway, id_)["status"]
    removed = done(gateway, "deprovisionVectorStore", owner={"clone": clone})
    shown = operation(gateway, id_)
    sleeper.go_on()
    wait_until(lambda: sleeper.lost(key_of(id_)))

    assert (status, removed["status"]) == ("READY", "DELETED")
    assert (fake.live(), operation(gateway, id_)) == (before, shown)


def test_a_worker_that_lost_an_operation_writes_nothing_though_by_its_own_clock_it_still_has_it(
    gateway: Gateway, fake: FakeProvider, workers: Workers
) -> None:
    before = fake.live()
    clone = new_clone(gateway, *NOTES)
    with workers.another(OPERATION_LEASE="3600") as other:
        hold = Hold(fake, other, MAKE)
        with workers.stopped():
            id_ = begin(gateway, "provisionClone", cloneId=clone)
            late = hold.begun()
            sql(gateway.database_url, TAKE_AWAY, key_of(id_))

        status = ended(gateway, id_)["status"]
        removed = done(gateway, "deprovisionVectorStore", owner={"clone": clone})
        shown = operation(gateway, id_)
        hold.end()
        wait_until(lambda: late.lost(key_of(id_)))

    assert (status, removed["status"]) == ("READY", "DELETED")
    assert (fake.live(), operation(gateway, id_)) == (before, shown)


def test_a_worker_that_was_stopped_in_a_transaction_is_not_in_the_way(
    gateway: Gateway, fake: FakeProvider, workers: Workers
) -> None:
    clone = new_clone(gateway, *NOTES)
    with workers.another(DATABASE_STATEMENT_TIMEOUT="2") as other:
        hold = Hold(fake, other, PUT)
        with workers.stopped():
            id_ = begin(gateway, "provisionClone", cloneId=clone)
            sleeper = hold.begun()
            with locked(gateway, id_):
                wait_until(lambda: sql(gateway.database_url, WAITING))
                sleeper.stop()
        hold.end()

        status = ended(gateway, id_)["status"]
        sleeper.go_on()
        wait_until(lambda: sleeper.lost(key_of(id_)))

    assert status == "READY"


def test_a_worker_keeps_an_operation_for_as_long_as_it_is_at_work(
    gateway: Gateway, fake: FakeProvider, workers: Workers
) -> None:
    with workers.stopped(), workers.another(OPERATION_LEASE="3") as other:
        hold = Hold(fake, other, PUT)
        id_ = begin(gateway, "provisionClone", cloneId=new_clone(gateway, *NOTES))
        hold.begun()
        until, fence = lease(gateway, id_)

        wait_until(lambda: lease(gateway, id_) > (until + timedelta(seconds=3), 0))
        hold.end()

        assert ended(gateway, id_)["status"] == "READY"
        assert lease(gateway, id_)[1] == fence


def test_the_worker_of_a_server_has_an_operation_for_as_long_as_the_setting_says(
    gateway: Gateway, fake: FakeProvider, workers: Workers
) -> None:
    clone = new_clone(gateway, *NOTES)
    left: list[timedelta] = []
    fake.on_call = lambda call, moment: left.extend(row["left"] for row in sql(gateway.database_url, LEFT))
    settings = {
        "worker": True,
        "operation_lease": 3_600,
        "openai_api_key": fake.key,
        "openai_base_url": fake.base_url,
        "storage_url": workers.environment["STORAGE_URL"],
    }
    with workers.stopped(), serving(gateway.database_url, settings):
        status = done(gateway, "provisionClone", cloneId=clone)["status"]

    assert status == "READY"
    assert left
    assert min(left) > timedelta(minutes=50)


def wait_until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lease(gateway: Gateway, operation: str) -> tuple[datetime, int]:
    """Until when somebody has an operation, and the how manieth it is."""
    (row,) = sql(gateway.database_url, LEASE, key_of(operation))
    return row["leased_until"], row["fence"]


@contextmanager
def locked(gateway: Gateway, operation: str) -> Iterator[None]:
    """A block in which another program has a lock on the row of an operation."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(gateway.database_url))
        runner.run(connection.execute("BEGIN"))
        runner.run(connection.execute("SELECT FROM operations WHERE id = $1 FOR UPDATE", key_of(operation)))
        yield
        runner.run(connection.close())
