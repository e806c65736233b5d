"""The demo keeps every promise that the product makes about its data."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import db.demo
from db import Base, migrate
from db.demo import ACTIVE, CAST, NotEmpty, Scale, load

DOCUMENTS = Path(db.demo.__file__).parent / "documents"

HASH = "SELECT md5(string_agg(row::text, '' ORDER BY row::text)) FROM {} AS row"


def fetch(url: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async def answer() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(record) for record in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    rows: list[tuple[Any, ...]] = run(answer())
    return rows


def run(action: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(action)


def hashes(url: str) -> dict[str, str]:
    """What tells the content of each table from any other."""
    return {name: fetch(url, HASH.format(name))[0][0] for name in Base.metadata.tables}


# The ledger


def test_entries_add_up_to_the_balance_of_everybody(demo_database: str) -> None:
    astray = """
        SELECT email FROM user_profiles LEFT JOIN credit_entries ON user_id = user_profiles.id
        GROUP BY user_profiles.id HAVING sum(amount) IS DISTINCT FROM credits_remaining
    """
    assert fetch(demo_database, astray) == []


def test_balances_form_an_unbroken_chain_that_never_goes_below_zero(demo_database: str) -> None:
    broken = """
        SELECT id FROM (
            SELECT id, balance_after, sum(amount) OVER (PARTITION BY user_id ORDER BY created_at) AS added_up
            FROM credit_entries
        ) AS chain WHERE balance_after <> added_up OR balance_after < 0
    """
    assert fetch(demo_database, broken) == []


def test_everybody_begins_with_an_opening_balance_or_a_top_up(demo_database: str) -> None:
    first = "SELECT DISTINCT ON (user_id) kind FROM credit_entries ORDER BY user_id, created_at"

    kinds = {kind for (kind,) in fetch(demo_database, first)}

    assert kinds == {"opening", "top_up"}


def test_people_have_spent_what_their_sessions_cost(demo_database: str) -> None:
    astray = """
        SELECT email FROM user_profiles
        LEFT JOIN (SELECT user_id, sum(amount) AS moved FROM credit_entries
                   WHERE kind NOT IN ('opening', 'top_up') GROUP BY user_id) AS movements ON user_id = user_profiles.id
        LEFT JOIN (SELECT user_id, sum(total_cost) AS cost FROM sessions GROUP BY user_id) AS visits
            ON visits.user_id = user_profiles.id
        WHERE total_spent <> -coalesce(moved, 0) OR total_spent <> coalesce(cost, 0)
    """
    assert fetch(demo_database, astray) == []


def test_sessions_cost_what_their_entries_say(demo_database: str) -> None:
    astray = """
        SELECT sessions.id FROM sessions LEFT JOIN credit_entries
            ON session_id = sessions.id AND credit_entries.user_id = sessions.user_id
        GROUP BY sessions.id HAVING total_cost <> -coalesce(sum(amount), 0)
    """
    assert fetch(demo_database, astray) == []


def test_entries_charge_minutes_at_the_frozen_rate_and_messages_one_by_one(demo_database: str) -> None:
    astray = """
        SELECT sessions.id FROM sessions
        LEFT JOIN (SELECT session_id, sum(amount) FILTER (WHERE kind = 'session_charge') AS minutes,
                          sum(amount) FILTER (WHERE kind = 'message_charge') AS messages
                   FROM credit_entries GROUP BY session_id) AS charged ON charged.session_id = sessions.id
        LEFT JOIN (SELECT session_id, sum(cost_increment) AS cost FROM messages GROUP BY session_id) AS said
            ON said.session_id = sessions.id
        WHERE NOT demo_mode
          AND (round(duration_minutes * rate_per_minute, 4) <> -minutes OR cost IS DISTINCT FROM -messages)
    """
    assert fetch(demo_database, astray) == []


def test_demo_sessions_are_free(demo_database: str) -> None:
    free = """
        SELECT count(*) > 0, sum(total_cost), count(credit_entries.id)
        FROM sessions LEFT JOIN credit_entries ON session_id = sessions.id WHERE demo_mode
    """
    assert fetch(demo_database, free) == [(True, 0, 0)]


def test_some_sessions_were_refunded_and_none_by_more_than_it_cost(demo_database: str) -> None:
    refunds = """
        SELECT sum(amount) AS net FROM credit_entries WHERE session_id IS NOT NULL
        GROUP BY session_id HAVING bool_or(kind = 'refund')
    """
    net = [amount for (amount,) in fetch(demo_database, refunds)]

    assert net
    assert max(net) <= 0


# Sessions


def test_sessions_end_after_they_began_and_are_not_charged_afterwards(demo_database: str) -> None:
    astray = """
        SELECT sessions.id FROM sessions LEFT JOIN credit_entries ON session_id = sessions.id AND amount < 0
        WHERE (end_time IS NULL) = (status = 'ended') OR end_time < start_time
           OR credit_entries.created_at > end_time OR credit_entries.created_at < start_time
           OR duration_minutes * interval '1 minute' > end_time - start_time
    """
    assert fetch(demo_database, astray) == []


def test_nobody_has_two_open_sessions_with_one_clone(demo_database: str) -> None:
    open_twice = """
        SELECT user_id, clone_id FROM sessions WHERE status <> 'ended' GROUP BY user_id, clone_id HAVING count(*) > 1
    """
    assert fetch(demo_database, open_twice) == []


def test_sessions_count_their_messages_and_keep_the_price_of_their_clone(demo_database: str) -> None:
    astray = """
        SELECT sessions.id FROM sessions JOIN clones ON clones.id = clone_id
        WHERE message_count <> (SELECT count(*) FROM messages WHERE session_id = sessions.id)
           OR rate_per_minute <> base_price
    """
    assert fetch(demo_database, astray) == []


def test_messages_are_written_while_the_session_lasts(demo_database: str) -> None:
    astray = """
        SELECT messages.id FROM messages JOIN sessions ON sessions.id = session_id
        WHERE messages.created_at NOT BETWEEN start_time AND coalesce(end_time, '2026-11-01 12:00+00')
    """
    assert fetch(demo_database, astray) == []


# What follows from sessions


def test_clones_earnings_and_ratings_follow_from_their_sessions(demo_database: str) -> None:
    astray = """
        SELECT clones.name FROM clones LEFT JOIN sessions ON clone_id = clones.id
        GROUP BY clones.id
        HAVING total_sessions <> count(sessions.id) OR total_earnings <> coalesce(sum(total_cost), 0)
            OR total_ratings <> count(user_rating) OR average_rating IS DISTINCT FROM avg(user_rating)
    """
    assert fetch(demo_database, astray) == []


def test_creators_days_follow_from_the_sessions_of_the_day(demo_database: str) -> None:
    counted = """
        SELECT creator_id, clone_id, (start_time AT TIME ZONE 'UTC')::date AS date, count(*) AS total_sessions,
               sum(duration_minutes) AS total_minutes, sum(message_count) AS total_messages,
               count(DISTINCT user_id) AS unique_users, sum(total_cost) AS total_revenue,
               avg(user_rating) AS average_rating, count(user_rating) AS new_ratings
        FROM sessions JOIN clones ON clones.id = clone_id GROUP BY 1, 2, 3 ORDER BY 2, 3
    """
    kept = """
        SELECT creator_id, clone_id, date, total_sessions, total_minutes, total_messages, unique_users,
               total_revenue, average_rating, new_ratings FROM creator_analytics ORDER BY clone_id, date
    """
    assert fetch(demo_database, kept) == fetch(demo_database, counted)


# The library


def test_arrays_equal_the_files_that_they_repeat(demo_database: str) -> None:
    astray = """
        SELECT vector_id FROM vector_stores
        LEFT JOIN clones ON clones.vector_store_id = vector_id
        LEFT JOIN store_files ON store_files.vector_store_id = vector_stores.id AND status = 'completed'
        GROUP BY vector_stores.id, clones.id
        HAVING vector_stores.file_ids <> coalesce(array_agg(file_id ORDER BY store_files.created_at)
                                                  FILTER (WHERE file_id IS NOT NULL), '{}')
            OR NOT (batch_ids @> array_agg(DISTINCT batch_id) FILTER (WHERE batch_id IS NOT NULL))
            OR cardinality(batch_ids) <> count(DISTINCT batch_id)
            OR latest_batch_id IS DISTINCT FROM batch_ids[cardinality(batch_ids)]
            OR clones.openai_file_ids <> vector_stores.file_ids
    """
    assert fetch(demo_database, astray) == []


def test_domains_name_their_experts(demo_database: str) -> None:
    astray = """
        SELECT domain_name FROM domains
        WHERE expert_names <> ARRAY(SELECT name FROM experts WHERE domain = domain_name ORDER BY name)
    """
    assert fetch(demo_database, astray) == []


def test_assistants_have_their_newest_configuration_unless_they_are_legacy(demo_database: str) -> None:
    astray = """
        SELECT assistants.assistant_id FROM assistants LEFT JOIN assistant_configs ON assistant_configs.id = config_id
        WHERE (assistants.assistant_id LIKE 'asst\\_%') <> (config_id IS NULL)
           OR version <> (SELECT max(version) FROM assistant_configs AS all_of_them
                          WHERE all_of_them.assistant_id = assistants.id)
    """
    versions = "SELECT DISTINCT version FROM assistants LEFT JOIN assistant_configs AS c ON c.id = config_id ORDER BY 1"

    assert fetch(demo_database, astray) == []
    assert fetch(demo_database, versions) == [(1,), (2,), (None,)]


def test_what_clones_use_is_there(demo_database: str) -> None:
    dangling = """
        SELECT name FROM clones
        WHERE rag_assistant_id NOT IN (SELECT assistant_id FROM assistants)
           OR vector_store_id NOT IN (SELECT vector_id FROM vector_stores)
        UNION ALL
        SELECT title FROM knowledge WHERE vector_store_id NOT IN (SELECT vector_id FROM vector_stores)
    """
    assert fetch(demo_database, dangling) == []


def test_files_that_failed_say_why(demo_database: str) -> None:
    failed = "SELECT count(*) > 0, bool_and(error LIKE '%.') FROM store_files WHERE status = 'failed'"
    others = "SELECT count(error) FROM store_files WHERE status <> 'failed'"

    assert fetch(demo_database, failed) == [(True, True)]
    assert fetch(demo_database, others) == [(0,)]


def test_every_document_has_a_text_worth_reading(demo_database: str) -> None:
    documents = fetch(demo_database, "SELECT name, document_link FROM documents")

    texts = {name: (DOCUMENTS / link.removeprefix("storage://documents/")).read_text() for name, link in documents}

    assert len(texts) > 40
    for name, text in texts.items():
        assert text.startswith(f"# {name}\n")
        assert len(text.split()) >= 100


def test_answers_quote_their_documents_word_for_word(demo_database: str) -> None:
    quoted = "SELECT DISTINCT document_link, passage FROM message_sources JOIN documents ON documents.id = document_id"

    passages = fetch(demo_database, quoted)

    assert len(passages) > 100
    for link, passage in passages:
        assert passage in (DOCUMENTS / link.removeprefix("storage://documents/")).read_text()


# The story


@pytest.mark.parametrize(
    ("column", "table", "words"),
    [
        ("role", "user_profiles", "admin creator user"),
        ("subscription_tier", "user_profiles", "enterprise free pro"),
        ("session_type", "sessions", "chat video voice"),
        ("status", "sessions", "active ended paused"),
        ("status", "store_files", "completed failed pending"),
        ("processing_status", "knowledge", "completed failed pending processing"),
        ("owner", "vector_stores", "client domain expert"),
        ("kind", "credit_entries", "message_charge opening refund session_charge top_up"),
    ],
)
def test_every_kind_of_thing_occurs(demo_database: str, column: str, table: str, words: str) -> None:
    found = fetch(demo_database, f"SELECT DISTINCT {column} FROM {table} ORDER BY 1")

    assert [word for (word,) in found] == words.split()


def test_some_things_are_missing_and_some_are_equal(demo_database: str) -> None:
    gaps = """
        SELECT bool_or(domain_id IS NULL), bool_or(average_rating IS NULL), bool_or(vector_store_id IS NULL),
               count(*) > count(DISTINCT base_price), count(average_rating) > count(DISTINCT average_rating)
        FROM clones WHERE is_published
    """
    assert fetch(demo_database, gaps) == [(True, True, True, True, True)]


def test_everybody_in_the_cast_is_there(demo_database: str) -> None:
    people = fetch(demo_database, "SELECT id, full_name, email, role, subscription_tier FROM user_profiles")

    assert {(person.id, person.name, person.email, person.role, person.tier) for person in CAST} <= set(people)


def test_the_first_of_the_cast_has_a_rich_graph(demo_database: str) -> None:
    graph = """
        SELECT count(DISTINCT clones.id), count(DISTINCT domains.id), count(DISTINCT experts.id),
               count(DISTINCT documents.id), count(DISTINCT vector_stores.id), count(DISTINCT assistants.id)
        FROM clones JOIN domains ON domains.id = domain_id
        JOIN experts ON experts.domain = domains.domain_name
        JOIN documents ON documents.domain = domains.domain_name
        JOIN vector_stores ON vector_stores.domain_name = domains.domain_name AND vector_stores.owner_id = creator_id
        JOIN assistants ON assistants.expert_name = experts.name AND assistants.owner_id = creator_id
        WHERE creator_id = $1
    """
    ((clones, domains, experts, documents, stores, assistants),) = fetch(demo_database, graph, ACTIVE[0].id)

    assert (clones, domains, experts, documents) == (6, 2, 8, 15)
    assert stores > experts
    assert assistants > 2 * experts


def test_whoever_is_out_of_credits_cannot_pay_another_minute(demo_database: str) -> None:
    ending = """
        SELECT credits_remaining < rate_per_minute, end_reason
        FROM sessions JOIN user_profiles ON user_profiles.id = user_id
        WHERE email = 'luca@example.com' ORDER BY start_time DESC LIMIT 1
    """
    assert fetch(demo_database, ending) == [(True, "credits_exhausted")]


# Loading


def test_loading_twice_changes_nothing(demo_database: str) -> None:
    before = hashes(demo_database)

    rows = run(load(demo_database, Scale.SMALL))

    assert hashes(demo_database) == before
    assert rows["user_profiles"] == 60


def test_two_loads_give_the_same_rows(demo_database: str, empty_database: str) -> None:
    run(migrate.upgrade(empty_database))
    told: dict[str, tuple[int, int]] = {}

    rows = run(load(empty_database, Scale.SMALL, lambda table, done, total: told.update({table: (done, total)})))

    assert hashes(empty_database) == hashes(demo_database)
    assert told == {table: (number, number) for table, number in rows.items()}


def test_a_load_that_was_cut_off_leaves_nothing_and_can_be_repeated(empty_database: str) -> None:
    run(migrate.upgrade(empty_database))

    def cut_off(table: str, _done: int, _total: int) -> None:
        if table == "sessions":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(load(empty_database, Scale.SMALL, cut_off))

    assert fetch(empty_database, "SELECT count(*) FROM user_profiles") == [(0,)]
    assert run(load(empty_database, Scale.SMALL))["user_profiles"] == 60


def test_a_database_with_other_people_in_it_is_left_alone(empty_database: str) -> None:
    run(migrate.upgrade(empty_database))
    fetch(empty_database, "INSERT INTO user_profiles (email, full_name) VALUES ('me@example.com', 'Me')")

    with pytest.raises(NotEmpty):
        run(load(empty_database, Scale.SMALL))

    assert fetch(empty_database, "SELECT count(*) FROM user_profiles") == [(1,)]


def test_the_small_demo_is_not_taken_for_the_large_one(demo_database: str) -> None:
    with pytest.raises(NotEmpty):
        run(load(demo_database, Scale.LARGE))
