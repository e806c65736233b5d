"""Every shape the database has had: what is in it stays, and the programs of before go on working."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from db import Base, migrate
from db.errors import DatabaseError, DatabaseUnavailable

Rows = dict[str, list[dict[str, Any]]]
Program = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]

OLD_COLUMNS = {
    "user_profiles": "id, email, full_name, role, subscription_tier, credits_remaining, total_spent, preferences,"
    " timezone, language, avatar_url, created_at, updated_at, last_login, is_active, is_verified",
    "clones": "id, creator_id, name, bio, category, expertise_areas, base_price, personality_traits,"
    " communication_style, system_prompt, temperature, max_tokens, is_published, is_active, total_sessions,"
    " total_earnings, average_rating, total_ratings, created_at, updated_at, published_at",
    "knowledge": "id, clone_id, title, content_type, file_name, file_size_bytes, file_type, file_url, content_preview,"
    " description, tags, metadata, original_url, created_at, updated_at",
    "sessions": "id, user_id, clone_id, session_type, status, start_time, end_time, duration_minutes, rate_per_minute,"
    " total_cost, message_count, user_rating, user_feedback, demo_mode, session_metadata, created_at, updated_at",
    "messages": "id, session_id, sender_type, content, context_used, cost_increment, tokens_used, sources,"
    " attachments, created_at",
    "creator_analytics": "*",
    "memory_usage_stats": "*",
    "clone_qa_data": "*",
}
"""What a CloneAI program of before knows of each table."""

LIFE_BEFORE = """
    INSERT INTO user_profiles (id, email, full_name, role, subscription_tier, credits_remaining, total_spent,
        preferences, timezone, language, last_login, created_at, updated_at) VALUES
    ('00000000-0000-0000-0000-00000000000a', 'ada@example.com', 'Ada', 'creator', 'pro', 100.5, 0,
        '{"theme": "dark"}', 'Europe/Vienna', 'de', '2024-05-01 08:00+02', '2024-01-01', '2024-01-02'),
    ('00000000-0000-0000-0000-00000000000b', 'bob@example.com', 'Bob', 'Superuser', 'gold', -3.00012345, 17,
        '[]', NULL, NULL, NULL, '2024-01-03 00:00+00', '2024-01-03 00:00+00');
    INSERT INTO clones (id, creator_id, name, category, expertise_areas, base_price, average_rating, updated_at) VALUES
    ('00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-00000000000a', 'Ada''s clone', 'AI Education',
        ARRAY['logic', NULL, 'logic'], 0.00012345, 6, '2024-02-01 00:00+00'),
    ('00000000-0000-0000-0000-00000000000d', NULL, '', NULL, '{}', 12, NULL, '2024-02-01 00:00+00');
    INSERT INTO knowledge (clone_id, title, content_type, tags, metadata) VALUES
    ('00000000-0000-0000-0000-00000000000c', 'On engines', 'pdf', ARRAY['engine'], '{"pages": 3}');
    INSERT INTO sessions (id, user_id, clone_id, session_type, status, start_time, end_time, duration_minutes,
        total_cost, user_rating) VALUES
    ('00000000-0000-0000-0000-00000000000e', '00000000-0000-0000-0000-00000000000b',
        '00000000-0000-0000-0000-00000000000c', 'telepathy', 'abandoned', '2024-03-01 10:00+00',
        '2024-03-01 09:00+00', -60, NULL, 0);
    INSERT INTO messages (session_id, sender_type, content, cost_increment, sources) VALUES
    ('00000000-0000-0000-0000-00000000000e', 'user', 'Who are you?', NULL, '[]'),
    ('00000000-0000-0000-0000-00000000000e', 'bot', 'I am a clone.', 0.00012345, '[{"title": "On engines"}]');
    INSERT INTO creator_analytics (creator_id, clone_id, date, total_revenue) VALUES
    ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000c', '2024-03-01', 0.00012345);
    INSERT INTO memory_usage_stats (clone_id, date, items) VALUES
    ('00000000-0000-0000-0000-00000000000c', '2024-03-01', 7);
    INSERT INTO clone_qa_data (clone_id, question, answer, quality) VALUES
    ('00000000-0000-0000-0000-00000000000c', 'What is an engine?', 'A machine.', 0.9);
"""
"""A CloneAI database in use, with words and values that no program should have written."""

DDL_OF_THE_ANALYSIS = """
    CREATE TABLE domains (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        domain_name TEXT NOT NULL UNIQUE,
        expert_names TEXT[] DEFAULT '{}'::TEXT[]
    );
    CREATE TABLE experts (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        name TEXT NOT NULL,
        domain TEXT NOT NULL,
        context TEXT NOT NULL,
        CONSTRAINT fk_domain FOREIGN KEY (domain) REFERENCES domains (domain_name) ON DELETE CASCADE
    );
    CREATE TABLE documents (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        name TEXT NOT NULL UNIQUE,
        document_link TEXT NOT NULL,
        created_by TEXT,
        domain TEXT NOT NULL,
        included_in_default BOOLEAN NOT NULL DEFAULT FALSE,
        client_name TEXT,
        openai_file_id TEXT,
        CONSTRAINT fk_domain FOREIGN KEY (domain) REFERENCES domains (domain_name) ON DELETE CASCADE
    );
    ALTER TABLE clones ADD COLUMN IF NOT EXISTS domain_id UUID;
    ALTER TABLE clones ADD COLUMN IF NOT EXISTS memory_type TEXT DEFAULT 'expert';
    ALTER TABLE clones ADD CONSTRAINT fk_clones_domain FOREIGN KEY (domain_id) REFERENCES domains(id);
    ALTER TABLE knowledge ADD COLUMN IF NOT EXISTS domain_id UUID;
    ALTER TABLE knowledge ADD COLUMN IF NOT EXISTS processing_status TEXT DEFAULT 'pending';
    CREATE INDEX idx_documents_domain ON documents(domain);
    CREATE INDEX idx_clones_domain ON clones(domain_id);
    CREATE INDEX idx_knowledge_clone_type ON knowledge(clone_id, content_type);
    CREATE INDEX IF NOT EXISTS idx_knowledge_domain ON knowledge(domain_id);
    CREATE INDEX IF NOT EXISTS idx_knowledge_processing ON knowledge(processing_status);
    CREATE OR REPLACE FUNCTION array_concat(arr1 anyarray, arr2 anyarray)
    RETURNS anyarray AS $$ BEGIN RETURN arr1 || arr2; END; $$ LANGUAGE plpgsql;
    CREATE OR REPLACE FUNCTION array_append(arr anyarray, element anyelement)
    RETURNS anyarray AS $$ BEGIN RETURN array_append(arr, element); END; $$ LANGUAGE plpgsql;
"""
"""As much of the analysis's DDL as PostgreSQL accepts."""

SHAPE = """
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
"""


async def old_cloneai_program(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """An evening of the CloneAI program: it knows the columns of the baseline only."""
    user = await connection.fetchval(
        "INSERT INTO user_profiles (email, full_name, role, credits_remaining, preferences)"
        " VALUES ($1, 'Eve', 'creator', 20, '{}') RETURNING id",
        f"{uuid4()}@example.com",
    )
    clone = await connection.fetchval(
        "INSERT INTO clones (creator_id, name, bio, category, expertise_areas, base_price, personality_traits)"
        " VALUES ($1, 'Eve''s clone', 'Knows.', 'law', ARRAY['law'], 1.5, '{\"warm\": true}') RETURNING id",
        user,
    )
    await connection.execute(
        "INSERT INTO knowledge (clone_id, title, content_type, file_name, file_size_bytes, tags, metadata)"
        " VALUES ($1, 'Laws', 'pdf', 'laws.pdf', 12, ARRAY['law'], '{}')",
        clone,
    )
    session = await connection.fetchval(
        "INSERT INTO sessions (user_id, clone_id, session_type, status, start_time, rate_per_minute)"
        " VALUES ($1, $2, 'chat', 'active', now(), 1.5) RETURNING id",
        user,
        clone,
    )
    await connection.execute(
        "INSERT INTO messages (session_id, sender_type, content, cost_increment, tokens_used, sources, attachments)"
        " VALUES ($1, 'user', 'Is it legal?', 0.01, 5, '[]', '[]')",
        session,
    )
    await connection.execute("UPDATE sessions SET status = 'ended', end_time = now() WHERE id = $1", session)
    await connection.execute("UPDATE clones SET is_published = true, updated_at = now() WHERE id = $1", clone)
    await connection.execute("UPDATE user_profiles SET credits_remaining = credits_remaining - 1 WHERE id = $1", user)
    await connection.execute(
        "INSERT INTO creator_analytics (creator_id, clone_id, date, total_sessions) VALUES ($1, $2, now(), 1)",
        user,
        clone,
    )
    await connection.execute("INSERT INTO memory_usage_stats (clone_id, date, items) VALUES ($1, now(), 1)", clone)
    await connection.execute("INSERT INTO clone_qa_data (clone_id, question, answer) VALUES ($1, 'q', 'a')", clone)
    for table, columns in OLD_COLUMNS.items():
        assert await connection.fetch(f"SELECT {columns} FROM {table}")
    await connection.execute("DELETE FROM clones WHERE id = $1", clone)
    await connection.execute("DELETE FROM user_profiles WHERE id = $1", user)


async def old_rag_program(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """An import of the RAG program: it knows its own five tables, and joins them by names."""
    domain, expert, document, store, assistant = (f"{kind} {uuid4()}" for kind in ("d", "e", "f", "vs", "asst"))
    await connection.execute("INSERT INTO domains (domain_name, expert_names) VALUES ($1, '{}')", domain)
    await connection.execute("INSERT INTO experts (name, domain, context) VALUES ($1, $2, 'Knows.')", expert, domain)
    await connection.execute(
        "UPDATE domains SET expert_names = array_append(expert_names, $1) WHERE domain_name = $2", expert, domain
    )
    for link in ("https://example.com/1", "https://example.com/2"):
        await connection.execute(
            "INSERT INTO documents (name, document_link, created_by, domain, included_in_default, client_name)"
            " VALUES ($1, $2, 'Eve', $3, true, 'acme')"
            " ON CONFLICT (name) DO UPDATE SET document_link = EXCLUDED.document_link",
            document,
            link,
            domain,
        )
    await connection.execute(
        "INSERT INTO vector_stores (vector_id, domain_name, expert_name, owner) VALUES ($1, $2, $3, 'expert')",
        store,
        domain,
        expert,
    )
    await connection.execute(
        "UPDATE vector_stores SET file_ids = array_concat(file_ids, ARRAY['file-1']), latest_batch_id = 'b',"
        " batch_ids = array_append(batch_ids, 'b'), updated_at = now() WHERE vector_id = $1",
        store,
    )
    await connection.execute(
        "INSERT INTO assistants (assistant_id, expert_name, memory_type, vector_id) VALUES ($1, $2, 'expert', $3)",
        assistant,
        expert,
        store,
    )
    found = await connection.fetchrow(
        "SELECT d.expert_names, doc.document_link, vs.file_ids, a.assistant_id FROM domains d"
        " JOIN experts e ON d.domain_name = e.domain JOIN documents doc ON d.domain_name = doc.domain"
        " JOIN vector_stores vs ON d.domain_name = vs.domain_name JOIN assistants a ON e.name = a.expert_name"
        " WHERE d.domain_name = $1",
        domain,
    )
    assert tuple(found) == ([expert], "https://example.com/2", ["file-1"], assistant)
    await connection.execute("DELETE FROM domains WHERE domain_name = $1", domain)
    assert not await connection.fetch("SELECT FROM assistants WHERE assistant_id = $1", assistant)


async def with_connection(url: str, program: Program) -> None:
    connection = await asyncpg.connect(url)
    try:
        await program(connection)
    finally:
        await connection.close()


def execute(url: str, statements: str) -> None:
    asyncio.run(with_connection(url, lambda connection: connection.execute(statements)))


def fetch(url: str, statement: str) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = []

    async def read(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        found.extend(await connection.fetch(statement))

    asyncio.run(with_connection(url, read))
    return found


def value(url: str, statement: str) -> Any:
    return fetch(url, statement)[0][0]


def old_rows(url: str) -> Rows:
    return {
        table: [dict(row) for row in fetch(url, f"SELECT {columns} FROM {table} ORDER BY id")]
        for table, columns in OLD_COLUMNS.items()
    }


def shape(url: str) -> set[str]:
    return {row[0] for row in fetch(url, SHAPE) if "clonegraph_version" not in row[0]}


def upgrade(url: str, target: str = "head") -> list[str]:
    """The titles of the steps that were run."""
    titles: list[str] = []
    asyncio.run(migrate.upgrade(url, target, titles.append))
    return titles


def downgrade(url: str, target: str) -> None:
    asyncio.run(migrate.downgrade(url, target))


def status(url: str) -> migrate.Status:
    return asyncio.run(migrate.status(url))


def differences(url: str) -> list[str]:
    return asyncio.run(migrate.differences(url))


def revisions(url: str) -> list[str]:
    """All revisions in their order, asked of a database that has none yet."""
    return [revision for revision, _ in status(url).pending]


@pytest.fixture
def database(empty_database: str) -> str:
    """A database of the newest shape, without rows."""
    upgrade(empty_database)
    return empty_database


def test_models_and_migrations_agree(database: str) -> None:
    tables = {row[0] for row in fetch(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}

    assert differences(database) == []
    assert tables == {*Base.metadata.tables, "clonegraph_version"}


def test_a_difference_is_told_in_a_sentence(database: str) -> None:
    execute(
        database,
        "DROP TABLE message_sources; DROP INDEX idx_clones_domain; CREATE INDEX idx_odd ON clones (name);"
        "ALTER TABLE clones DROP COLUMN bio, ADD COLUMN mood text;"
        "ALTER TABLE clones ALTER max_tokens TYPE bigint, ALTER name DROP NOT NULL;"
        "ALTER TABLE experts DROP CONSTRAINT experts_domain_fkey; ALTER TABLE sessions ALTER status DROP DEFAULT",
    )

    told = differences(database)

    assert {
        "Table message_sources is missing.",
        "Index idx_clones_domain on clones (domain_id, id) is missing.",
        "Index idx_odd on clones (name) is in the database only.",
        "Column clones.bio is missing.",
        "Column clones.mood is in the database only.",
        "Column clones.max_tokens: type is BIGINT, but should be INTEGER.",
        "Column clones.name: nullable is True, but should be False.",
        "Column sessions.status: default is None, but should be 'active'.",
        "Constraint experts_domain_fkey on experts (domain) is missing.",
    } <= set(told)


def test_a_table_of_another_program_is_no_difference(database: str) -> None:
    execute(database, "CREATE TABLE newsletter (id int PRIMARY KEY); CREATE TABLE alembic_version (version_num text)")

    assert differences(database) == []


def test_status_tells_what_is_pending(empty_database: str) -> None:
    before = status(empty_database)
    upgrade(empty_database, "0001")
    after = status(empty_database)

    assert (before.current, before.is_current) == (None, False)
    assert (after.current, after.pending) == ("0001", before.pending[1:])
    assert not after.is_current


def test_each_step_is_announced_by_its_title(empty_database: str) -> None:
    pending = status(empty_database).pending

    assert upgrade(empty_database) == [title for _, title in pending]
    assert status(empty_database).is_current


def test_upgrading_twice_changes_nothing(database: str) -> None:
    before = shape(database)

    assert upgrade(database) == []
    assert shape(database) == before


def test_upgrading_to_a_revision_that_is_passed_changes_nothing(database: str) -> None:
    assert upgrade(database, "0001") == []
    assert status(database).is_current


def test_a_database_of_a_newer_version_is_left_alone(database: str) -> None:
    execute(database, "UPDATE clonegraph_version SET version_num = '9999'")

    assert upgrade(database) == []
    assert (status(database).current, status(database).is_current) == ("9999", False)


def test_two_upgrades_at_the_same_time_both_succeed(empty_database: str) -> None:
    first: list[str] = []
    second: list[str] = []

    async def both() -> None:
        await asyncio.gather(
            migrate.upgrade(empty_database, on_step=first.append),
            migrate.upgrade(empty_database, on_step=second.append),
        )

    asyncio.run(both())

    assert status(empty_database).is_current
    assert [] in (first, second)


def test_every_row_and_value_stays_on_the_way_up(empty_database: str) -> None:
    first, *others = revisions(empty_database)
    upgrade(empty_database, first)
    execute(empty_database, LIFE_BEFORE)
    before = old_rows(empty_database)

    for revision in others:
        upgrade(empty_database, revision)

        assert old_rows(empty_database) == before, revision


def test_every_row_and_value_stays_on_the_way_down_and_up_again(empty_database: str) -> None:
    upgrade(empty_database, "0001")
    execute(empty_database, LIFE_BEFORE)
    before = old_rows(empty_database)
    upgrade(empty_database)

    downgrade(empty_database, "0001")
    assert old_rows(empty_database) == before
    upgrade(empty_database)
    assert old_rows(empty_database) == before
    assert differences(empty_database) == []


def test_each_step_down_leads_to_the_shape_that_the_step_up_began_with(empty_database: str) -> None:
    shapes = [(("base", shape(empty_database)))]
    for revision in revisions(empty_database):
        upgrade(empty_database, revision)
        shapes.append((revision, shape(empty_database)))

    for revision, before in reversed(shapes[:-1]):
        downgrade(empty_database, revision)

        assert shape(empty_database) == before, revision


def test_cloneai_tables_with_rows_are_never_dropped(empty_database: str) -> None:
    upgrade(empty_database, "0001")
    execute(empty_database, LIFE_BEFORE)

    with pytest.raises(DatabaseError, match="user_profiles"):
        downgrade(empty_database, "base")

    assert value(empty_database, "SELECT count(*) FROM messages") == 2


def test_an_old_cloneai_program_works_at_every_revision(empty_database: str) -> None:
    for revision in revisions(empty_database):
        upgrade(empty_database, revision)

        asyncio.run(with_connection(empty_database, old_cloneai_program))


def test_an_old_rag_program_works_at_every_revision_since_its_tables_are_there(empty_database: str) -> None:
    _, *since = revisions(empty_database)
    for revision in since:
        upgrade(empty_database, revision)

        asyncio.run(with_connection(empty_database, old_rag_program))


def test_a_database_with_the_ddl_of_the_analysis_gets_the_same_shape(empty_database: str) -> None:
    upgrade(empty_database, "0001")
    execute(empty_database, LIFE_BEFORE + DDL_OF_THE_ANALYSIS)

    upgrade(empty_database)

    assert differences(empty_database) == []
    asyncio.run(with_connection(empty_database, old_rag_program))


def test_a_program_that_writes_during_the_upgrade_is_not_held_up(empty_database: str) -> None:
    upgrade(empty_database, "0001")
    execute(empty_database, LIFE_BEFORE)
    pauses: list[float] = []

    async def upgrade_while_writing() -> None:
        clock = asyncio.get_running_loop()
        upgrading = asyncio.create_task(migrate.upgrade(empty_database))

        async def write(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
            while not upgrading.done():
                began = clock.time()
                await old_cloneai_program(connection)
                pauses.append(clock.time() - began)

        await asyncio.gather(upgrading, *(with_connection(empty_database, write) for _ in range(3)))

    asyncio.run(upgrade_while_writing())

    assert status(empty_database).is_current
    assert max(pauses) < 1


def test_a_step_waits_for_a_table_that_another_program_has_locked(empty_database: str) -> None:
    upgrade(empty_database, "0002")

    async def upgrade_while_locked() -> None:
        connection = await asyncpg.connect(empty_database)
        async with connection.transaction():
            await connection.execute("LOCK TABLE clones")
            upgrading = asyncio.create_task(migrate.upgrade(empty_database))
            await asyncio.sleep(1)
            assert not upgrading.done()
        await upgrading
        await connection.close()

    asyncio.run(upgrade_while_locked())

    assert status(empty_database).is_current


def test_an_index_whose_building_was_cut_off_is_built_again(empty_database: str) -> None:
    upgrade(empty_database, "0001")
    execute(empty_database, LIFE_BEFORE)
    # A unique index over values that repeat cannot be finished, and stays there like one that was cut off.
    with pytest.raises(asyncpg.UniqueViolationError):
        execute(empty_database, "CREATE UNIQUE INDEX CONCURRENTLY idx_messages_session_id ON messages (session_id)")

    upgrade(empty_database)

    assert differences(empty_database) == []
    assert value(empty_database, "SELECT bool_and(indisvalid) FROM pg_index")


def test_nobody_answering_is_an_error_of_ours() -> None:
    with pytest.raises(DatabaseUnavailable):
        status("postgresql:///nothing?host=/nowhere")


def test_arrays_are_joined_and_appended_to(database: str) -> None:
    assert value(database, "SELECT array_concat(ARRAY['a'], ARRAY['b'])") == ["a", "b"]
    assert value(database, "SELECT array_append(ARRAY['a'], 'b')") == ["a", "b"]


def test_renaming_a_domain_carries_its_experts_and_documents_along(database: str) -> None:
    execute(
        database,
        "INSERT INTO domains (domain_name) VALUES ('Medicine');"
        "INSERT INTO experts (name, domain, context) VALUES ('Dr. Grey', 'Medicine', '');"
        "INSERT INTO documents (name, document_link, domain) VALUES ('Bones', 'b.pdf', 'Medicine');"
        "INSERT INTO vector_stores (vector_id, domain_name, owner) VALUES ('vs_1', 'Medicine', 'domain')",
    )

    execute(database, "UPDATE domains SET domain_name = 'Medical pediatrics'")

    for column in ("domain FROM experts", "domain FROM documents", "domain_name FROM vector_stores"):
        assert value(database, f"SELECT {column}") == "Medical pediatrics"
    assert value(database, "SELECT expert_names FROM domains") == ["Dr. Grey"]


def test_renaming_an_expert_carries_assistants_and_clones_along(database: str) -> None:
    execute(
        database,
        "INSERT INTO domains (domain_name) VALUES ('Law'); INSERT INTO clones (name) VALUES ('c');"
        "INSERT INTO experts (name, domain, context) VALUES ('Lex', 'Law', '');"
        "INSERT INTO assistants (assistant_id, expert_name, memory_type) VALUES ('asst_1', 'Lex', 'expert');"
        "INSERT INTO clone_experts SELECT id, 'Lex' FROM clones",
    )

    execute(database, "UPDATE experts SET name = 'Dr. Lex'")

    for table in ("assistants", "clone_experts"):
        assert value(database, f"SELECT expert_name FROM {table}") == "Dr. Lex"


def test_expert_names_follow_the_experts(database: str) -> None:
    def names() -> dict[str, list[str]]:
        return dict(fetch(database, "SELECT domain_name, expert_names FROM domains"))

    execute(database, "INSERT INTO domains (domain_name) VALUES ('Law'), ('Art')")
    execute(database, "INSERT INTO experts (name, domain, context) VALUES ('Lex', 'Law', ''), ('Juris', 'Law', '')")
    assert names() == {"Law": ["Juris", "Lex"], "Art": []}
    execute(database, "UPDATE experts SET domain = 'Art' WHERE name = 'Juris'")
    assert names() == {"Law": ["Lex"], "Art": ["Juris"]}
    execute(database, "UPDATE experts SET name = 'Dr. Lex' WHERE name = 'Lex'")
    assert names() == {"Law": ["Dr. Lex"], "Art": ["Juris"]}
    execute(database, "DELETE FROM experts")
    assert names() == {"Law": [], "Art": []}


def test_two_programs_that_add_experts_to_one_domain_are_both_heard(database: str) -> None:
    execute(database, "INSERT INTO domains (domain_name) VALUES ('Law')")

    async def add(name: str) -> None:
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("INSERT INTO experts (name, domain, context) VALUES ($1, 'Law', '')", name)
            await asyncio.sleep(0.2)
        await connection.close()

    async def add_all() -> None:
        await asyncio.gather(*(add(name) for name in ("a", "b", "c")))

    asyncio.run(add_all())

    assert value(database, "SELECT expert_names FROM domains") == ["a", "b", "c"]


def test_a_program_without_rights_on_domains_can_add_an_expert(database: str) -> None:
    program = f"program_{uuid4().hex}"
    execute(database, "INSERT INTO domains (domain_name) VALUES ('Law')")
    execute(database, f"CREATE ROLE {program}; GRANT INSERT ON experts TO {program}")

    try:
        execute(database, f"SET ROLE {program}; INSERT INTO experts (name, domain, context) VALUES ('Lex', 'Law', '')")
    finally:
        execute(database, f"DROP OWNED BY {program}; DROP ROLE {program}")

    assert value(database, "SELECT expert_names FROM domains") == ["Lex"]


def test_updated_at_is_kept_wherever_it_is(database: str) -> None:
    triggers = fetch(database, "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'keep_updated_at'")
    execute(database, "INSERT INTO clones (name, updated_at) VALUES ('c', '2024-01-01')")

    execute(database, "UPDATE clones SET bio = 'b'")

    assert {row[0] for row in triggers} == {
        name for name, table in Base.metadata.tables.items() if "updated_at" in table.columns
    }
    assert value(database, "SELECT now() - updated_at < '1 minute' FROM clones")


def test_a_program_that_names_updated_at_itself_is_not_overruled(database: str) -> None:
    execute(database, "INSERT INTO clones (name) VALUES ('c')")

    execute(database, "UPDATE clones SET bio = 'b', updated_at = '2024-01-01 00:00+00'")

    assert value(database, "SELECT updated_at = '2024-01-01 00:00+00' FROM clones")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credit_entries SET amount = 2",
        "DELETE FROM credit_entries",
        "TRUNCATE credit_entries",
    ],
)
def test_credit_entries_cannot_be_changed(database: str, change: str) -> None:
    execute(
        database,
        "INSERT INTO user_profiles (email, full_name) VALUES ('eve@example.com', 'Eve');"
        "INSERT INTO credit_entries (user_id, amount, kind, balance_after, spent_after)"
        " SELECT id, 1, 'opening', 1, 0 FROM user_profiles",
    )

    with pytest.raises(asyncpg.RestrictViolationError, match="credit_entries is append-only"):
        execute(database, change)

    assert value(database, "SELECT amount FROM credit_entries") == 1
