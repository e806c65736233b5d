"""What must hold in the data, each as one statement that counts the exceptions."""

from dataclasses import dataclass

from db.engine import Database

MUST_HOLD: dict[str, str] = {
    "A balance is the sum of its entries": """
        SELECT count(*) FROM user_profiles u
        LEFT JOIN (SELECT user_id, sum(amount) AS total FROM credit_entries GROUP BY user_id) e ON e.user_id = u.id
        WHERE u.credits_remaining <> coalesce(e.total, 0)""",
    "No balance is below zero": """
        SELECT count(*) FROM user_profiles WHERE credits_remaining < 0""",
    "Each entry's balance follows from the one before it": """
        SELECT count(*) FROM (
            SELECT balance_after - amount - lag(balance_after, 1, 0::numeric)
                OVER (PARTITION BY user_id ORDER BY created_at, id) AS gap
            FROM credit_entries) e
        WHERE gap <> 0""",
    "A session costs what its entries say": """
        SELECT count(*) FROM sessions s
        LEFT JOIN (SELECT session_id, sum(amount) AS total FROM credit_entries GROUP BY session_id) e
            ON e.session_id = s.id
        WHERE coalesce(s.total_cost, 0) <> -coalesce(e.total, 0)""",
    "A session's count of messages is right": """
        SELECT count(*) FROM sessions s
        LEFT JOIN (SELECT session_id, count(*) AS total FROM messages GROUP BY session_id) m ON m.session_id = s.id
        WHERE s.message_count <> coalesce(m.total, 0)""",
    "A clone's ratings follow from its sessions": """
        SELECT count(*) FROM clones c
        LEFT JOIN (SELECT clone_id, count(user_rating) AS ratings, avg(user_rating) AS mean
                   FROM sessions GROUP BY clone_id) s ON s.clone_id = c.id
        WHERE c.total_ratings <> coalesce(s.ratings, 0)
            OR round(c.average_rating, 4) IS DISTINCT FROM round(s.mean, 4)""",
    "A person has one open session with a clone at most": """
        SELECT count(*) FROM (
            SELECT FROM sessions WHERE status <> 'ended' GROUP BY user_id, clone_id HAVING count(*) > 1) s""",
    "No session ends before it starts": """
        SELECT count(*) FROM sessions WHERE end_time < start_time""",
    "A vector store's file_ids are its files": """
        SELECT count(*) FROM vector_stores v
        LEFT JOIN (SELECT vector_store_id, array_agg(file_id ORDER BY file_id) AS ids
                   FROM store_files WHERE file_id IS NOT NULL GROUP BY vector_store_id) f ON f.vector_store_id = v.id
        WHERE coalesce((SELECT array_agg(id ORDER BY id) FROM unnest(v.file_ids) id), '{}') <> coalesce(f.ids, '{}')""",
    "A domain's expert_names are its experts": """
        SELECT count(*) FROM domains d
        LEFT JOIN (SELECT domain, array_agg(name ORDER BY name) AS names FROM experts GROUP BY domain) e
            ON e.domain = d.domain_name
        WHERE coalesce((SELECT array_agg(name ORDER BY name) FROM unnest(d.expert_names) name), '{}')
            <> coalesce(e.names, '{}')""",
    "A clone's assistant exists": """
        SELECT count(*) FROM clones c WHERE c.rag_assistant_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM assistants a WHERE a.assistant_id = c.rag_assistant_id)""",
    "A clone's vector store exists": """
        SELECT count(*) FROM clones c WHERE c.vector_store_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM vector_stores v WHERE v.vector_id = c.vector_store_id)""",
    "An assistant's vector store exists": """
        SELECT count(*) FROM assistants a WHERE a.vector_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM vector_stores v WHERE v.vector_id = a.vector_id)""",
    "A vector store's expert exists": """
        SELECT count(*) FROM vector_stores v WHERE v.expert_name IS NOT NULL
            AND NOT EXISTS (SELECT FROM experts e WHERE e.name = v.expert_name)""",
}


@dataclass(frozen=True)
class Finding:
    """How many rows are exceptions to what must hold."""

    sentence: str
    exceptions: int


async def findings(database: Database) -> list[Finding]:
    """Everything that must hold, and whether it does."""
    return [Finding(sentence, (await database.fetch(statement, ()))[0][0]) for sentence, statement in MUST_HOLD.items()]
