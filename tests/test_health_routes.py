"""The health of the process, as a balancer or an orchestrator asks for it."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from db import migrate
from db.embedded import EmbeddedServer
from gateway import health
from tests.conftest import execute
from tests.serving import Answer, Gateway, serving
from tests.test_persisted import free_port, needs_redis, redis

NOWHERE = "postgresql://127.0.0.1:1/nowhere"


def ready(gateway: Gateway) -> tuple[int, dict[str, str]]:
    response = gateway.client.get("/health/ready")
    body = response.json()
    assert (body["status"] == "ok") == (response.status_code == 200)
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, body["checks"]


def test_a_node_with_all_it_needs_is_ready(gateway: Gateway) -> None:
    assert ready(gateway) == (200, {"process": "ok", "database": "ok", "migrations": "ok"})
    assert gateway.client.get("/health").json() == gateway.client.get("/health/ready").json()


def test_a_node_without_a_database_lives_and_is_not_ready() -> None:
    with serving(NOWHERE) as gateway:
        live = gateway.client.get("/health/live")

        assert (live.status_code, live.json()) == (200, {"status": "ok"})
        assert ready(gateway) == (503, {"process": "ok", "database": "cannot be reached", "migrations": "unknown"})


def test_what_strangers_read_of_a_failure_names_no_address(empty_database: str) -> None:
    with serving(NOWHERE) as away, serving(empty_database) as empty:
        assert "127.0.0.1" not in away.client.get("/health/ready").text
        assert "postgresql" not in empty.client.get("/health/ready").text


def test_a_database_that_lacks_revisions_is_not_ready(empty_database: str) -> None:
    with serving(empty_database) as gateway:
        empty = ready(gateway)
    asyncio.run(migrate.upgrade(empty_database, migrate.revisions()[-2]))
    with serving(empty_database) as gateway:
        behind = ready(gateway)

    number = len(migrate.revisions())
    assert empty[0] == behind[0] == 503
    assert empty[1]["migrations"] == f"{number} pending: run `clonegraph db upgrade`"
    assert behind[1]["migrations"] == "1 pending: run `clonegraph db upgrade`"


def test_a_database_that_a_newer_version_has_migrated_is_ready(own_gateway: Gateway) -> None:
    asyncio.run(execute(own_gateway.database_url, "UPDATE clonegraph_version SET version_num = 'of next year'"))

    assert ready(own_gateway)[0] == 200


def test_a_database_that_comes_back_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 0)
    server = EmbeddedServer.start(tmp_path / "postgresql")
    url = asyncio.run(server.create_database())
    try:
        asyncio.run(migrate.upgrade(url))
        with serving(url) as gateway:
            before = ready(gateway)[0]
            server.stop()
            away = ready(gateway)[0]
            server = EmbeddedServer.start(tmp_path / "postgresql")
            assert (before, away, ready(gateway)[0]) == (200, 503, 200)
    finally:
        server.stop()


def test_a_pool_that_is_busy_is_no_reason_to_send_requests_elsewhere(own_database: str) -> None:
    async def ask_behind_a_lock(gateway: Gateway) -> tuple[int, Answer]:
        async with asyncpg.create_pool(own_database, min_size=1) as pool, pool.acquire() as holding:
            async with holding.transaction():
                await holding.execute("LOCK clones IN ACCESS EXCLUSIVE MODE")
                asking = asyncio.create_task(asyncio.to_thread(gateway.ask, "{ clones { nodes { id } } }"))
                async with asyncio.timeout(10):
                    while not await holding.fetchval(WAITING):  # noqa: ASYNC110 (nobody tells)
                        await asyncio.sleep(0.01)
                status, _ = await asyncio.to_thread(ready, gateway)
            return status, await asking

    with serving(own_database, pool_size=1) as gateway:
        status, answer = asyncio.run(ask_behind_a_lock(gateway))

    assert status == 200
    assert answer.data


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'clones'::regclass"


def test_probes_cannot_keep_the_database_busy(own_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 60)
    before = ready(own_gateway)
    asyncio.run(execute(own_gateway.database_url, "DROP TABLE clonegraph_version"))

    assert before == ready(own_gateway)
    assert before[0] == 200


def test_a_draining_node_is_not_ready_and_answers_those_who_ask(demo_database: str) -> None:
    with serving(demo_database) as gateway:
        assert gateway.app
        gateway.app.state.health.draining = True

        assert ready(gateway) == (503, {"process": "draining", "database": "ok", "migrations": "ok"})
        assert gateway.client.get("/health/live").status_code == 200
        assert gateway.ask("{ __typename }").data


@needs_redis
def test_redis_is_told_of(demo_database: str, tmp_path: Path) -> None:
    port = free_port()
    with redis(port, tmp_path), serving(demo_database, {"redis_url": f"redis://127.0.0.1:{port}/0"}) as gateway:
        assert ready(gateway)[1]["redis"] == "ok"


def test_redis_is_not_needed(demo_database: str) -> None:
    with serving(demo_database, {"redis_url": "redis://127.0.0.1:1/0"}) as gateway:
        status, checks = ready(gateway)

    assert status == 200
    assert checks["redis"] == "cannot be reached"
