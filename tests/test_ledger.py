"""The ledger as programs meet it that do not know it: they move balances as ever, and every credit is accounted for."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from db import migrate
from tests.conftest import execute, fresh_database
from tests.test_verify import findings

Row = tuple[Any, ...]

ENTRIES = "SELECT kind, amount, balance_after, spent_after FROM credit_entries WHERE user_id = $1 ORDER BY number"
EARNINGS = "SELECT kind, amount, earned_after FROM creator_entries WHERE clone_id = $1 ORDER BY number"
BEFORE_THE_LEDGER = "SET LOCAL session_replication_role = replica"
"""No trigger fires."""


@pytest.fixture(scope="module")
def shared(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        asyncio.run(migrate.upgrade(url))
        yield url


@pytest.fixture
def database(shared: str) -> Iterator[str]:
    """A database whose books are right after each test, too."""
    yield shared
    assert wrong(shared) == {}


def wrong(url: str) -> dict[str, int]:
    """What must hold and does not."""
    return {each.sentence: each.exceptions for each in asyncio.run(findings(url)) if each.is_wrong}


def run(url: str, *statements: str) -> None:
    """Run statements in one transaction."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(work())


def rows(url: str, statement: str, *arguments: Any) -> list[Row]:
    return [tuple(row) for row in asyncio.run(execute(url, statement, *arguments))]


def sign_up(url: str, balance: str = "0", spent: str = "0", *before: str) -> UUID:
    """A new person."""
    id_ = uuid4()
    run(
        url,
        *before,
        "INSERT INTO user_profiles (id, email, full_name, credits_remaining, total_spent)"
        f" VALUES ('{id_}', '{id_}@example.com', 'Eve', '{balance}', '{spent}')",
    )
    return id_


def offer(url: str, earned: str = "0", *before: str) -> UUID:
    """A new clone."""
    id_ = uuid4()
    run(url, *before, f"INSERT INTO clones (id, name, total_earnings) VALUES ('{id_}', 'Eve''s', '{earned}')")
    return id_


def change(id_: UUID, changes: str) -> str:
    return f"UPDATE user_profiles SET {changes} WHERE id = '{id_}'"


def earn(id_: UUID, changes: str) -> str:
    return f"UPDATE clones SET {changes} WHERE id = '{id_}'"


def spend(amount: str) -> str:
    return f"credits_remaining = credits_remaining - {amount}"


def entries(url: str, id_: UUID) -> list[Row]:
    return rows(url, ENTRIES, id_)


def external(amount: str, balance: str, spent: str = "0") -> Row:
    return ("external", Decimal(amount), Decimal(balance), Decimal(spent))


def opening(balance: str, spent: str = "0") -> Row:
    return ("opening", Decimal(balance), Decimal(balance), Decimal(spent))


# Balances


def test_who_signs_up_with_credits_has_an_entry_and_who_has_none_has_none(database: str) -> None:
    assert entries(database, sign_up(database, "20.00012345")) == [external("20.00012345", "20.00012345")]
    assert entries(database, sign_up(database, spent="3")) == [external("0", "0", "3")]
    assert entries(database, sign_up(database)) == []


@pytest.mark.parametrize(
    ("transactions", "booked"),
    [
        ([[spend("1.5")]], [external("-1.5", "18.5")]),
        ([[spend("20")]], [external("-20", "0")]),
        ([["credits_remaining = 1e30"]], [external("999999999999999999999999999980", "1e30")]),
        ([[f"{spend('3')}, total_spent = total_spent + 3"]], [external("-3", "17", "3")]),
        ([["total_spent = total_spent + 3"]], [external("0", "20", "3")]),
        ([[spend("3"), "total_spent = total_spent + 3"]], [external("-3", "17", "3")]),
        ([[spend("3")], ["total_spent = total_spent + 3"]], [external("-3", "17"), external("0", "17", "3")]),
        ([[spend("1"), spend("2"), spend("-5")]], [external("2", "22")]),
        ([[spend("20"), spend("-20")]], []),
        ([["credits_remaining = 20, full_name = 'Eva'"]], []),
        ([["full_name = 'Eva'"]], []),
    ],
    ids=[
        "spent",
        "all of it spent",
        "more than a float can hold",
        "with the sum of what was spent",
        "only the sum",
        "in two statements",
        "in two transactions",
        "several times in a transaction",
        "and back",
        "to what it was",
        "nothing",
    ],
)
def test_what_another_program_does_to_a_balance_is_one_entry_for_each_transaction(
    database: str, transactions: list[list[str]], booked: list[Row]
) -> None:
    eve = sign_up(database, "20")

    for changes in transactions:
        run(database, *(change(eve, each) for each in changes))

    assert entries(database, eve)[1:] == booked


def test_a_person_who_signs_up_and_spends_in_one_transaction_has_one_entry(database: str) -> None:
    eve = uuid4()
    run(
        database,
        f"INSERT INTO user_profiles (id, email, full_name, credits_remaining) VALUES ('{eve}', '{eve}', 'Eve', 5)",
        change(eve, spend("2")),
    )

    assert entries(database, eve) == [external("3", "3")]


def test_a_statement_for_many_people_books_an_entry_for_each(database: str) -> None:
    people = [sign_up(database, str(balance)) for balance in range(1, 6)]
    ids = ", ".join(f"'{id_}'" for id_ in people)

    run(database, f"UPDATE user_profiles SET credits_remaining = credits_remaining * 2 WHERE id IN ({ids})")

    assert [entries(database, id_)[1:] for id_ in people] == [
        [external(str(balance), str(2 * balance))] for balance in range(1, 6)
    ]


def test_an_insert_that_turns_into_an_update_is_booked(database: str) -> None:
    eve = sign_up(database, "20")

    run(
        database,
        f"INSERT INTO user_profiles (id, email, full_name) VALUES ('{eve}', 'x', 'Eve')"
        " ON CONFLICT (id) DO UPDATE SET credits_remaining = user_profiles.credits_remaining + 7",
    )

    assert entries(database, eve)[1:] == [external("7", "27")]


def test_what_is_rolled_back_is_not_booked(database: str) -> None:
    eve = sign_up(database, "20")

    run(database, change(eve, spend("1")), "ROLLBACK", "BEGIN")
    run(database, change(eve, spend("2")), "SAVEPOINT a", change(eve, spend("4")), "ROLLBACK TO a")

    assert entries(database, eve)[1:] == [external("-2", "18")]


def test_a_program_that_wants_its_constraints_at_once_gets_an_entry_for_each_statement(database: str) -> None:
    eve = sign_up(database, "20")

    run(database, "SET CONSTRAINTS ALL IMMEDIATE", change(eve, spend("1")), change(eve, spend("2")))

    assert entries(database, eve)[1:] == [external("-1", "19"), external("-2", "17")]


# Who was there before the ledger


@pytest.mark.parametrize(
    ("balance", "spent", "booked"),
    [
        ("10", "0", [opening("10"), external("-5", "5")]),
        ("10.00012345", "4", [opening("10.00012345", "4"), external("-5", "5.00012345", "4")]),
        ("5", "0", [opening("5"), external("-5", "0")]),
    ],
)
def test_who_was_there_before_the_ledger_gets_an_opening_entry_first(
    database: str, balance: str, spent: str, booked: list[Row]
) -> None:
    eve = sign_up(database, balance, spent, BEFORE_THE_LEDGER)

    run(database, change(eve, spend("2")), change(eve, spend("3")))

    assert entries(database, eve) == booked


def test_who_had_nothing_before_the_ledger_gets_none(database: str) -> None:
    eve = sign_up(database, "0", "0", BEFORE_THE_LEDGER)

    run(database, change(eve, spend("-8")))

    assert entries(database, eve) == [external("8", "8")]


def test_who_was_below_zero_before_the_ledger_can_rise_and_change_but_not_sink(database: str) -> None:
    eve = sign_up(database, "-5", "1", BEFORE_THE_LEDGER)

    run(database, change(eve, "full_name = 'Eva', total_spent = total_spent + 1"))
    run(database, change(eve, "credits_remaining = -2"))
    with pytest.raises(asyncpg.CheckViolationError):
        run(database, change(eve, "credits_remaining = -2.0001"))
    run(database, change(eve, "credits_remaining = 1"))
    with pytest.raises(asyncpg.CheckViolationError):
        run(database, change(eve, "credits_remaining = -2"))

    assert entries(database, eve) == [
        opening("-5", "1"),
        external("0", "-5", "2"),
        external("3", "-2", "2"),
        external("3", "1", "2"),
    ]


# What is refused


@pytest.mark.parametrize("balance", ["-0.00000001", "-1e30", "NaN", "Infinity", "-Infinity"])
def test_no_program_brings_a_balance_below_zero_or_beyond_numbers(database: str, balance: str) -> None:
    eve = sign_up(database, "20")

    for attempt in (
        lambda: run(database, change(eve, f"credits_remaining = '{balance}'")),
        lambda: run(database, change(eve, f"credits_remaining = '{balance}'"), change(eve, "credits_remaining = 1")),
        lambda: sign_up(database, balance),
    ):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            attempt()

        assert refused.value.constraint_name == "user_profiles_balance"
    assert entries(database, eve) == [external("20", "20")]


@pytest.mark.parametrize("table", ["credit_entries", "creator_entries"])
@pytest.mark.parametrize("attempt", ["UPDATE {} SET amount = amount", "DELETE FROM {} WHERE false", "TRUNCATE {}"])
def test_entries_of_both_ledgers_cannot_be_changed(database: str, table: str, attempt: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError, match=f"{table} is append-only"):
        run(database, attempt.format(table))


# Rights


@pytest.fixture
def role(own_database: str) -> Iterator[str]:
    """A program that may do what it likes with people and clones, and nothing else."""
    name = f"program_{uuid4().hex}"
    run(own_database, f"CREATE ROLE {name}")
    run(own_database, f"GRANT SELECT, INSERT, UPDATE, DELETE ON user_profiles, clones, sessions, messages TO {name}")
    yield name
    run(own_database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_program_without_rights_on_the_ledger_moves_balances_as_ever(own_database: str, role: str) -> None:
    person, clone = rows(own_database, "SELECT user_id, clone_id FROM sessions WHERE total_cost > 1 ORDER BY id")[0]
    before = entries(own_database, person)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run(own_database, f"SET LOCAL ROLE {role}", "SELECT FROM credit_entries")
    run(own_database, f"SET LOCAL ROLE {role}", change(person, spend("-7")))
    run(own_database, f"SET LOCAL ROLE {role}", earn(clone, "total_earnings = total_earnings + 7"))
    run(
        own_database,
        f"SET LOCAL ROLE {role}",
        "INSERT INTO user_profiles (email, full_name, credits_remaining) VALUES ('eve@example.com', 'Eve', 3)",
    )

    assert entries(own_database, person)[: len(before)] == before
    assert [(kind, amount) for kind, amount, *_ in entries(own_database, person)[len(before) :]] == [("external", 7)]
    assert rows(own_database, EARNINGS, clone)[-1][:2] == ("external", 7)
    assert wrong(own_database) == {}


def test_row_level_security_does_not_keep_a_program_from_moving_balances(own_database: str, role: str) -> None:
    person, clone = rows(own_database, "SELECT user_id, clone_id FROM sessions WHERE total_cost > 1 ORDER BY id")[0]
    for table in ("user_profiles", "clones", "credit_entries", "creator_entries"):
        run(own_database, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table, id_ in (("user_profiles", person), ("clones", clone)):
        run(own_database, f"CREATE POLICY own ON {table} TO {role} USING (id = '{id_}')")

    run(
        own_database,
        f"SET LOCAL ROLE {role}",
        "UPDATE user_profiles SET credits_remaining = credits_remaining + 7",
        "UPDATE clones SET total_earnings = total_earnings + 7",
    )

    assert entries(own_database, person)[-1][:2] == ("external", 7)
    assert rows(own_database, EARNINGS, clone)[-1][:2] == ("external", 7)
    assert rows(own_database, "SELECT count(*) FROM credit_entries WHERE kind = 'external'") == [(1,)]
    assert wrong(own_database) == {}


def test_tables_of_a_programs_own_do_not_take_the_place_of_the_ledger(own_database: str, role: str) -> None:
    (person,) = rows(own_database, "SELECT id FROM user_profiles ORDER BY id")[0]

    run(
        own_database,
        f"SET LOCAL ROLE {role}",
        "CREATE TEMP TABLE credit_entries (user_id uuid) ON COMMIT DROP",
        "SET LOCAL search_path = pg_temp, public",
        change(person, spend("-7")),
    )

    assert entries(own_database, person)[-1][:2] == ("external", 7)
    assert wrong(own_database) == {}


# Deleting


def test_a_person_can_be_deleted_as_ever_and_the_entries_stay(own_database: str, role: str) -> None:
    luca, *_ = rows(own_database, "SELECT id FROM user_profiles WHERE email = 'luca@example.com'")[0]
    before = entries(own_database, luca)

    run(own_database, f"SET LOCAL ROLE {role}", f"DELETE FROM user_profiles WHERE id = '{luca}'")

    assert before
    assert entries(own_database, luca) == before
    assert rows(own_database, "SELECT count(*) FROM sessions WHERE user_id = $1", luca) == [(0,)]
    assert wrong(own_database) == {}


def test_a_clone_can_be_deleted_as_ever_and_the_entries_stay(own_database: str, role: str) -> None:
    (clone,) = rows(own_database, "SELECT id FROM clones ORDER BY total_earnings DESC")[0]
    before = rows(own_database, EARNINGS, clone)

    run(own_database, f"SET LOCAL ROLE {role}", f"DELETE FROM clones WHERE id = '{clone}'")

    assert before
    assert rows(own_database, EARNINGS, clone) == before
    assert rows(own_database, "SELECT count(*) FROM sessions WHERE clone_id = $1", clone) == [(0,)]
    assert wrong(own_database) == {}


def test_a_person_who_spends_and_is_deleted_in_one_transaction_has_no_entry_of_that(database: str) -> None:
    eve = sign_up(database, "20")

    run(database, change(eve, spend("1")), f"DELETE FROM user_profiles WHERE id = '{eve}'")

    assert entries(database, eve) == [external("20", "20")]


@pytest.mark.parametrize("balance", ["0", "5", "20"])
def test_a_person_who_comes_back_under_the_same_id_goes_on_in_the_same_account(database: str, balance: str) -> None:
    eve = sign_up(database, "20", "3")
    run(database, f"DELETE FROM user_profiles WHERE id = '{eve}'")

    run(
        database,
        "INSERT INTO user_profiles (id, email, full_name, credits_remaining)"
        f" VALUES ('{eve}', '{eve}', 'Eve', {balance})",
    )

    assert entries(database, eve) == [
        external("20", "20", "3"),
        external(str(Decimal(balance) - 20), balance),
    ]


def test_a_clone_that_comes_back_under_the_same_id_begins_anew(database: str) -> None:
    clone = offer(database, "20")
    run(database, f"DELETE FROM clones WHERE id = '{clone}'")

    run(database, f"INSERT INTO clones (id, name) VALUES ('{clone}', 'Eve''s')")

    assert rows(database, EARNINGS, clone) == [("external", 20, 20), ("external", -20, 0)]


# Earnings


def test_what_another_program_does_to_earnings_is_booked(database: str) -> None:
    clone = offer(database, "2.00012345")

    run(database, earn(clone, "total_earnings = total_earnings + 1"), earn(clone, "total_earnings = 12"))
    run(database, earn(clone, "total_earnings = 12, bio = 'Knows.'"))
    run(database, earn(clone, "total_earnings = -1"))

    assert rows(database, EARNINGS, clone) == [
        ("external", Decimal("2.00012345"), Decimal("2.00012345")),
        ("external", Decimal("9.99987655"), 12),
        ("external", -13, -1),
    ]


def test_a_clone_from_before_the_ledger_gets_an_opening_entry_first(database: str) -> None:
    clone = offer(database, "10", BEFORE_THE_LEDGER)

    run(database, earn(clone, "total_earnings = 11"), earn(clone, "total_earnings = 12"))

    assert rows(database, EARNINGS, clone) == [("opening", 10, 10), ("external", 2, 12)]


def test_an_entry_of_earnings_names_the_creator_of_the_time(database: str) -> None:
    eve, bob = sign_up(database), sign_up(database)
    clone = offer(database)

    run(database, earn(clone, f"creator_id = '{eve}', total_earnings = 1"))
    run(database, earn(clone, f"creator_id = '{bob}'"))
    run(database, earn(clone, "total_earnings = 3"))

    named = "SELECT creator_id, amount FROM creator_entries WHERE clone_id = $1 ORDER BY number"
    assert rows(database, named, clone) == [(eve, 1), (bob, 2)]


# At the same time


def test_programs_that_spend_at_once_leave_an_unbroken_chain(database: str) -> None:
    eve = sign_up(database, "100")

    async def spend_ten_times() -> None:
        connection = await asyncpg.connect(database)
        for _ in range(10):
            async with connection.transaction():
                await connection.execute(change(eve, spend("0.5")))
                await connection.execute(change(eve, f"{spend('0.5')}, total_spent = total_spent + 1"))
        await connection.close()

    async def spend_at_once() -> None:
        await asyncio.gather(*(spend_ten_times() for _ in range(8)))

    asyncio.run(spend_at_once())

    assert entries(database, eve)[1:] == [external("-1", str(99 - n), str(n + 1)) for n in range(80)]
