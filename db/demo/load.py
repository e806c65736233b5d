"""Loading the demo into a database."""

from collections import Counter

import asyncpg

from db import Base, CreatorEntry, LocalChunk
from db.demo.batch import Connection, Progress, copy, use_json
from db.demo.local import fill_files
from db.demo.people import stranger
from db.demo.scale import Scale
from db.demo.world import World
from db.errors import DatabaseError

CONFIGURE_ASSISTANTS = """
    UPDATE assistants SET config_id = newest.id, updated_at = newest.created_at
    FROM (
        SELECT DISTINCT ON (assistant_id) id, assistant_id, created_at FROM assistant_configs
        ORDER BY assistant_id, version DESC
    ) AS newest
    WHERE newest.assistant_id = assistants.id
"""
"""Assistants and configurations refer to each other, so this half of the reference comes last."""

SHARE_OUT = """
    INSERT INTO creator_entries (id, creator_id, clone_id, amount, kind, session_id, credit_entry_id, earned_after,
        created_at)
    SELECT md5('creator entry ' || paid.id)::uuid, creator_id, clone_id, -amount,
        CASE kind WHEN 'refund' THEN 'refund' ELSE 'earning' END, session_id, paid.id,
        sum(-amount) OVER (PARTITION BY clone_id ORDER BY paid.created_at, paid.id), paid.created_at
    FROM credit_entries AS paid JOIN sessions ON sessions.id = session_id JOIN clones ON clones.id = clone_id
    ORDER BY paid.created_at, paid.id
"""
"""What people paid for sessions, their clones have earned."""

CITE_KNOWLEDGE = """
    UPDATE message_sources AS source SET knowledge_id = found.knowledge_id, document_id = NULL
    FROM (
        SELECT DISTINCT ON (cited.id) cited.id, knowledge.id AS knowledge_id
        FROM message_sources AS cited JOIN messages ON messages.id = message_id
            JOIN sessions ON sessions.id = session_id
            JOIN knowledge ON knowledge.clone_id = sessions.clone_id AND cited.rank = 2
                AND knowledge.title = messages.sources -> 1 ->> 'section'
        WHERE sessions.start_time > '2026-10-15'
        ORDER BY cited.id, knowledge.id
    ) AS found
    WHERE found.id = source.id
"""
"""What a clone knows by itself and has cited lately is cited as that, and not as the document that it comes from."""

FORGET_EVENTS = "DELETE FROM events WHERE transaction_id = pg_current_xact_id()"
"""Nobody has waited for rows that were not there."""


GO_ON = """
    UPDATE sessions
    SET last_active_at = clock_timestamp(), metered_until = CASE status WHEN 'active' THEN clock_timestamp() END
    WHERE status <> 'ended' AND last_active_at IS NOT NULL
"""


class NotEmpty(DatabaseError):
    """The database has people in it already, and they are not those of this demo."""


async def load(url: str, scale: Scale, progress: Progress | None = None) -> dict[str, int]:
    """The number of rows in each table that has some, after the demo was loaded if it was not there yet.

    All of it is one transaction: a load that was cut off leaves nothing behind. Other processes that want to load
    wait for the first one.

    Raises NotEmpty when the database has other people in it, be it those of the demo at the other scale.
    """
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('clonegraph demo'))")
            if not await _is_loaded(connection, scale):
                await _fill(connection, scale, progress)
            return await _counts(connection)
    finally:
        await connection.close()


async def go_on(url: str) -> None:
    """Let the sessions that are open in the story go on from now, and not from the moment that it shows."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(GO_ON)
    finally:
        await connection.close()


async def _is_loaded(connection: Connection, scale: Scale) -> bool:
    """Whether this demo is there: the first person of its crowd tells it from the other one."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM user_profiles WHERE id = $1)", stranger(scale, 0).id):
        return True
    if await connection.fetchval("SELECT EXISTS (SELECT FROM user_profiles)"):
        raise NotEmpty(NotEmpty.__doc__)
    return False


async def _fill(connection: Connection, scale: Scale, progress: Progress | None) -> None:
    await use_json(connection)
    world = World(scale, progress)
    wanted, done = world.counts() if progress else Counter(), Counter[str]()
    for batch in world.batches():
        await copy(connection, batch)
        for table, rows in batch.counts().items():
            done[table] += rows
            if progress:
                progress(table, done[table], wanted[table])
    await connection.execute(CONFIGURE_ASSISTANTS)
    await connection.execute(CITE_KNOWLEDGE)
    earned = int((await connection.execute(SHARE_OUT)).rpartition(" ")[2])
    if progress:
        progress(CreatorEntry.__tablename__, earned, earned)
    filled = await fill_files(connection)
    if progress:
        progress(LocalChunk.__tablename__, filled, filled)
    await connection.execute(FORGET_EVENTS)
    await connection.execute("ANALYZE")


async def _counts(connection: Connection) -> dict[str, int]:
    counts = {
        name: await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 (a table of ours)
        for name in Base.metadata.tables
    }
    return {name: number for name, number in counts.items() if number}
