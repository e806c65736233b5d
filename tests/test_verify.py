"""Whatever may go wrong with the data, `clonegraph db verify` finds it, and calls it by its name."""

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from db import demo, migrate, verify
from db.engine import Database
from gateway.cli import cli
from tests.conftest import execute, fresh_database
from tests.corruptions import CORRUPTIONS, PREPARE
from tests.serving import Gateway, serving
from tests.test_examples import AT_PROVIDER, CHANGES, KEYS
from tests.test_migration import LIFE_BEFORE, old_cloneai_program, with_connection
from tests.test_migration import execute as execute_all

START = """
    mutation($input: StartSessionInput!) { startSession(input: $input) { session { id } userErrors { message } } }
"""
MAYAS = "clone_019d47d78580733e8c814fd095704e36"
IS_METERED = "SELECT metered_until IS NOT NULL FROM sessions WHERE id = $1"


@pytest.fixture(scope="module")
def books(server_url: str, template: str) -> Iterator[str]:
    """A database with the demo data, for corruptions that do not stay."""
    with fresh_database(server_url, template) as url:
        yield url


async def found_after(url: str, corruption: str) -> set[str]:
    """To what there are exceptions once this was done, which is undone then."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    try:
        await transaction.start()
        await connection.execute(PREPARE + corruption)
        return {check.sentence for check in verify.CHECKS if await connection.fetchval(check.statement)}
    finally:
        await connection.close()


async def findings(url: str) -> list[verify.Finding]:
    database = Database(url)
    try:
        return await verify.findings(database)
    finally:
        await database.close()


def found(url: str) -> dict[str, int]:
    """To what there are exceptions, and how many."""
    return {each.sentence: each.exceptions for each in asyncio.run(findings(url)) if each.exceptions}


def command(database_url: str) -> Result:
    """What `clonegraph db verify` says, without the second that a process of its own takes to start."""
    return CliRunner().invoke(cli, ["db", "verify"], env={"DATABASE_URL": database_url})


def line(result: Result, sentence: str) -> list[str]:
    """The line of a sentence: the mark and the code, and the number behind it."""
    (found,) = (line for line in result.stdout.splitlines() if sentence in line)
    return [word for part in found.split(sentence) for word in part.split()]


def test_every_check_has_a_corruption_that_it_finds() -> None:
    assert {sentence for sentence, corruptions in CORRUPTIONS.items() if corruptions} == {
        check.sentence for check in verify.CHECKS
    }


def test_every_invariant_of_money_is_checked() -> None:
    codes = {check.code for check in verify.CHECKS if check.must_hold}

    assert codes == {"", *(f"M{number}" for number in range(1, 15))}


@pytest.mark.parametrize(
    ("sentence", "corruption"),
    [
        pytest.param(check.sentence, corruption, id=f"{check.code} {check.sentence} {number}".strip())
        for check in verify.CHECKS
        for number, corruption in enumerate(CORRUPTIONS.get(check.sentence, ()), 1)
    ],
)
def test_a_corruption_is_found_by_its_check_and_by_no_other(books: str, sentence: str, corruption: str) -> None:
    assert asyncio.run(found_after(books, corruption)) == {sentence}


def test_there_are_no_exceptions_in_the_demo(demo_database: str) -> None:
    assert found(demo_database) == {}


def test_there_are_no_exceptions_in_an_empty_database(empty_database: str) -> None:
    asyncio.run(migrate.upgrade(empty_database))

    assert found(empty_database) == {}


def test_what_is_changed_through_the_graph_makes_no_exceptions(own_gateway: Gateway) -> None:
    asyncio.run(demo.go_on(own_gateway.database_url))

    for example in CHANGES:
        if example.fields not in {("uploadDocument",), *AT_PROVIDER}:
            answer = own_gateway.ask(example.query, as_=KEYS.get(example.as_ or ""), **(example.variables or {}))
            assert [payload["userErrors"] for payload in answer.data.values()] == [[]], example.name

    assert found(own_gateway.database_url) == {}


def test_programs_from_before_the_ledger_make_no_exceptions_to_what_must_hold(empty_database: str) -> None:
    asyncio.run(migrate.upgrade(empty_database, "0001"))
    execute_all(empty_database, LIFE_BEFORE)
    asyncio.run(migrate.upgrade(empty_database))
    asyncio.run(with_connection(empty_database, old_cloneai_program))

    told = asyncio.run(findings(empty_database))

    assert not any(each.is_wrong for each in told)
    assert [(each.check.code, each.exceptions) for each in told if each.exceptions] == [
        ("M1", 1),
        ("M12", 1),
        ("M13", 1),
        ("M14", 1),
    ]


@pytest.mark.parametrize(
    "change", ["status = 'paused'", "status = 'ended', end_time = now()", "status = 'ended'", "status = 'archived'"]
)
def test_a_session_that_another_program_stops_makes_no_exceptions(own_database: str, change: str) -> None:
    with serving(own_database) as gateway:
        wanted = {"cloneId": MAYAS, "idempotencyKey": str(uuid4())}
        session = gateway.ask(START, as_="petra", input=wanted).data["startSession"]["session"]["id"]
    id_ = UUID(session.removeprefix("session_"))

    asyncio.run(execute(own_database, f"UPDATE sessions SET {change} WHERE id = $1", id_))
    with serving(own_database, settings={"worker": True}):
        while asyncio.run(execute(own_database, IS_METERED, id_))[0][0]:
            time.sleep(0.05)
    asyncio.run(execute(own_database, "UPDATE sessions SET updated_at = '2020-01-01' WHERE id = $1", id_))

    assert found(own_database) == {}


def test_the_command_shows_what_holds_by_its_code(demo_database: str) -> None:
    result = command(demo_database)

    assert result.exit_code == 0, result.output
    assert line(result, "A balance is the sum of its entries") == ["ok", "M2"]
    assert line(result, "A clone's assistant exists") == ["ok"]
    assert "Worth knowing" not in result.stdout


def test_the_command_fails_where_something_does_not_hold(own_database: str) -> None:
    asyncio.run(execute(own_database, "ALTER TABLE user_profiles DISABLE TRIGGER book_external"))
    asyncio.run(execute(own_database, "UPDATE user_profiles SET credits_remaining = credits_remaining + 1"))

    result = command(own_database)

    assert result.exit_code == 1
    assert line(result, "A balance is the sum of its entries") == ["no", "M2", "60"]
    assert line(result, "The database books what other programs do to balances") == ["no", "M2", "1"]
    assert line(result, "Each entry's balance follows from the one before it") == ["ok", "M3"]


def test_the_command_does_not_fail_for_what_is_only_worth_knowing(own_database: str) -> None:
    asyncio.run(
        execute(
            own_database,
            "INSERT INTO sessions (user_id, clone_id, message_count) SELECT user_id, clone_id, 1 FROM sessions LIMIT 3",
        )
    )

    result = command(own_database)

    assert result.exit_code == 0
    assert line(result, "Sessions of other programs whose count of messages is wrong") == ["M13", "3"]


def test_a_database_of_an_earlier_shape_is_to_be_upgraded_first(empty_database: str) -> None:
    asyncio.run(migrate.upgrade(empty_database, "0018"))

    result = command(empty_database)

    assert result.exit_code == 1
    assert "clonegraph db upgrade" in result.stderr
