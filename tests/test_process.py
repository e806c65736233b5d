import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from db import demo, migrate
from db.embedded import EmbeddedServer
from tests.conftest import execute
from tests.serving import Gateway, serving

COMMAND = str(Path(sys.executable).with_name("clonegraph"))
READY = "CloneGraph is ready: "


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env=clean(**environment), capture_output=True, text=True, timeout=120, check=False
    )


def clean(**more: str) -> dict[str, str]:
    """An environment without anything of the operator's but the path."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running command and the address it serves at."""
    process = subprocess.Popen(
        [COMMAND, *arguments], env=clean(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        for line in process.stdout:
            if line.startswith(READY):
                yield process, line.removeprefix(READY).strip()
                break
        else:
            pytest.fail(process.stderr.read() if process.stderr else "it ended")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(address: str, query: str, token: str | None = None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx2.Client(trust_env=False) as client:
        return client.post(f"{address}graphql", json={"query": query}, headers=headers)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_everybody_and_leaves_no_process_behind(tmp_path: Path, how: signal.Signals) -> None:
    with started("demo", "--port", "0", "--data-dir", str(tmp_path / "data")) as (process, address):
        assert process.stdout
        text = [process.stdout.readline() for _ in range(3 * len(demo.ACTIVE))]
        token = next(line for line in text if line.startswith("ey")).strip()
        assert demo.ACTIVE[0].name in "".join(text)
        answer = ask(address, "{ viewer { fullName clones { totalCount } } }", token).json()
        printed = run("token", "grace@example.com", "--data-dir", str(tmp_path / "data")).stdout
        assert ask(address, "{ viewer { email } }", printed.strip()).json() == {
            "data": {"viewer": {"email": "grace@example.com"}}
        }
        process.send_signal(how)
        process.wait(timeout=20)

    assert answer["data"]["viewer"]["fullName"] == demo.ACTIVE[0].name
    assert answer["data"]["viewer"]["clones"]["totalCount"] > 1
    assert not [other for other in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(other.info["cmdline"])]


def test_a_taken_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("demo", "--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path))

    assert result.returncode == 1
    assert "Choose another with --port" in result.stderr
    assert "Traceback" not in result.stderr


def test_all_mistakes_in_the_settings_are_told_at_once() -> None:
    result = run("serve", DATABASE_URL="mysql://somewhere", JWT_SECRET="short", DATABASE_POOL_SIZE="many")  # noqa: S106

    assert result.returncode == 1
    for name in ("DATABASE_URL", "JWT_SECRET", "DATABASE_POOL_SIZE"):
        assert name in result.stderr
    assert "Traceback" not in result.stderr


def test_a_real_database_is_not_served_without_a_secret() -> None:
    result = run("serve", DATABASE_URL="postgresql://127.0.0.1:1/nowhere")

    assert result.returncode == 1
    assert "Set JWT_SECRET" in result.stderr


def test_an_unknown_person_gets_no_token(demo_database: str, tmp_path: Path) -> None:
    result = run("token", "nobody@example.com", "--data-dir", str(tmp_path), DATABASE_URL=demo_database)

    assert result.returncode == 1
    assert result.stdout == ""
    assert "nobody@example.com" in result.stderr


def test_the_demo_is_not_loaded_into_a_database_of_other_people(empty_database: str, tmp_path: Path) -> None:
    run("db", "upgrade", DATABASE_URL=empty_database)
    asyncio.run(execute(empty_database, "INSERT INTO user_profiles (email, full_name) VALUES ('x@y.z', 'Real')"))

    result = run("demo", "--port", "0", "--data-dir", str(tmp_path), DATABASE_URL=empty_database)

    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert asyncio.run(execute(empty_database, "SELECT email FROM user_profiles"))[0][0] == "x@y.z"


def test_what_must_hold_in_the_demo_data_does(demo_database: str, tmp_path: Path) -> None:
    result = run("db", "verify", DATABASE_URL=demo_database)

    assert result.returncode == 0, result.stdout


def test_a_database_at_the_newest_shape_says_so(demo_database: str) -> None:
    result = run("db", "status", DATABASE_URL=demo_database)

    assert result.returncode == 0, result.stdout


def test_an_empty_database_says_what_is_pending(empty_database: str) -> None:
    result = run("db", "status", DATABASE_URL=empty_database)

    assert result.returncode == 1
    assert "pending: 0001" in result.stdout


def test_the_doctor_finds_a_database_that_is_away() -> None:
    result = run("doctor", DATABASE_URL="postgresql://127.0.0.1:1/nowhere")

    assert result.returncode == 1
    assert "DATABASE_URL" in result.stdout
    assert "JWT_SECRET" in result.stdout


def test_a_gateway_starts_before_its_database_and_outlives_a_restart_of_it(tmp_path: Path) -> None:
    server = EmbeddedServer.start(tmp_path / "postgresql")
    url = asyncio.run(server.create_database())
    try:
        asyncio.run(prepare(url))
        server.stop()
        with serving(url) as gateway:
            away = gateway.ask("{ domains { totalCount } }")
            with_token = gateway.ask("{ domains { totalCount } }", as_="maya")
            health = gateway.client.get("/health")
            server = EmbeddedServer.start(tmp_path / "postgresql")
            back = gateway.ask("{ domains { totalCount } }")
            asyncio.run(cut_all_connections(url))
            after_a_cut = gateway.ask("{ domains { totalCount } }")

            assert away.codes == ["DATABASE_UNAVAILABLE"]
            assert away.response.status_code == 503
            assert away.errors[0]["extensions"]["retryable"] is True
            assert with_token.response.status_code == 503
            assert health.status_code == 503
            assert back.data == after_a_cut.data
            assert is_ready_soon(gateway)
    finally:
        server.stop()


def is_ready_soon(gateway: Gateway) -> bool:
    """Whether it is, once the answer that is kept for probes is forgotten."""
    for _ in range(30):
        if gateway.client.get("/health").is_success:
            return True
        time.sleep(0.1)
    return False


async def prepare(url: str) -> None:
    await migrate.upgrade(url)
    await demo.load(url, demo.Scale.SMALL)


async def cut_all_connections(url: str) -> None:
    await execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'clonegraph'")
    await asyncio.sleep(0)


def test_a_statement_that_takes_too_long_is_a_timeout(own_database: str) -> None:
    with serving(own_database, statement_timeout=0.5) as gateway:
        blocker = "BEGIN; LOCK domains IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT"
        holding = subprocess.Popen([sys.executable, "-c", HOLD, own_database, blocker])
        time.sleep(0.8)
        answer = gateway.ask("{ domains { totalCount } }")
        holding.wait()
        afterwards = gateway.ask("{ domains { totalCount } }")

    assert answer.codes == ["TIMEOUT"]
    assert afterwards.data


HOLD = """
import asyncio, asyncpg, sys
async def hold():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute(sys.argv[2])
asyncio.run(hold())
"""
