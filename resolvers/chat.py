"""Chat: what a clone is asked with. Its instructions, what was said before, and where it may look things up.

What a clone remembers beside the session, and whose knowledge it shares, its `memory_type` says. Whatever that is,
nothing that another person said is ever in a question.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from db import MemoryType, SenderType
from db.engine import Database
from resolvers import instructions
from resolvers.provisioning.provider import Question, Turn

MOST_TURNS, LONGEST_HISTORY = 30, 24_000
"""How much is told of the session itself, in messages and in characters."""

MOST_EARLIER_TURNS, LONGEST_EARLIER_HISTORY = 20, 8_000
"""How much is told of earlier sessions, where a clone remembers them."""

ASKED = """
    SELECT reply.session_id, session.user_id, session.clone_id, session.status = 'ended' AS is_over,
        question.id AS question_id, question.content, question.created_at,
        clone.name, clone.bio, clone.system_prompt, clone.expert_context, clone.temperature, clone.max_tokens,
        clone.personality_traits, clone.communication_style,
        coalesce(clone.memory_type, 'expert') AS memory_type, clone.vector_store_id, domain.domain_name,
        config.model, config.instructions, config.temperature AS config_temperature, config.max_output_tokens,
        coalesce(config.vector_store_ids, '{}') AS config_store_ids,
        ARRAY(SELECT expert_name FROM clone_experts WHERE clone_id = clone.id ORDER BY expert_name) AS experts,
        ARRAY(SELECT context FROM experts JOIN clone_experts ON expert_name = name WHERE clone_id = clone.id
              ORDER BY name) AS contexts
    FROM replies AS reply
    JOIN sessions AS session ON session.id = reply.session_id
    JOIN messages AS question ON question.id = reply.question_id
    JOIN clones AS clone ON clone.id = session.clone_id
    LEFT JOIN domains AS domain ON domain.id = clone.domain_id
    LEFT JOIN assistants AS assistant ON assistant.assistant_id = clone.rag_assistant_id
    LEFT JOIN assistant_configs AS config ON config.id = assistant.config_id
    WHERE reply.id = $1
"""
SAID = """
    SELECT content, sender_type FROM messages AS message
    WHERE {where} AND sender_type IN ('user', 'ai') AND NOT EXISTS (
        SELECT FROM replies WHERE question_id = message.id AND replies.status IN ('failed', 'cancelled')
    )
    ORDER BY created_at DESC, id DESC LIMIT {most}
"""
HISTORY = SAID.format(where="session_id = $1 AND created_at <= $2 AND id <> $3", most=MOST_TURNS)
EARLIER_HISTORY = SAID.format(
    where="session_id IN (SELECT id FROM sessions WHERE user_id = $1 AND clone_id = $2 AND id <> $3)",
    most=MOST_EARLIER_TURNS,
)
STORES = """
    SELECT vector_id FROM vector_stores
    WHERE provider = $1 AND (
        vector_id = $2 OR vector_id = ANY ($3)
        OR $4 = 'expert' AND owner = 'expert' AND expert_name = ANY ($5)
        OR $4 = 'domain' AND owner = 'domain' AND domain_name = $6)
    ORDER BY vector_id = $2 DESC NULLS LAST, vector_id = ANY ($3) DESC, created_at, id
"""
"""The clone's own, those that its assistant's configuration names, and those that it shares."""


async def asked(database: Database, reply_id: UUID) -> asyncpg.Record | None:
    """What a reply is to answer, for whom and by whom; None if there is no such reply any more."""
    rows = await database.primary.fetch(ASKED, [reply_id])
    return rows[0] if rows else None


async def question(database: Database, wanted: asyncpg.Record, provider: str, tags: Mapping[str, str]) -> Question:
    """What a provider is asked. The configuration of the clone's assistant comes first, where there is one."""
    temperature, most_tokens = wanted["config_temperature"], wanted["max_output_tokens"]
    return Question(
        text=wanted["content"],
        model=wanted["model"],
        instructions=wanted["instructions"] or instructions.of_clone(wanted),
        history=[*await _earlier_history(database, wanted), *await _history(database, wanted)],
        store_ids=await _store_ids(database, wanted, provider),
        temperature=wanted["temperature"] if temperature is None else temperature,
        max_output_tokens=wanted["max_tokens"] if most_tokens is None else most_tokens,
        tags=tags,
    )


async def _history(database: Database, wanted: asyncpg.Record) -> list[Turn]:
    rows = await database.primary.fetch(HISTORY, [wanted["session_id"], wanted["created_at"], wanted["question_id"]])
    return _turns(rows, LONGEST_HISTORY)


async def _earlier_history(database: Database, wanted: asyncpg.Record) -> list[Turn]:
    """What the same person and the same clone said in other sessions, if the clone remembers that."""
    if wanted["memory_type"] != MemoryType.CLIENT:
        return []
    rows = await database.primary.fetch(EARLIER_HISTORY, [wanted["user_id"], wanted["clone_id"], wanted["session_id"]])
    return _turns(rows, LONGEST_EARLIER_HISTORY)


def _turns(rows: Iterable[asyncpg.Record], longest: int) -> list[Turn]:
    """What was said, the oldest first, of what comes with the newest first. The oldest may be cut off."""
    turns: list[Turn] = []
    for row in rows:
        if longest <= 0:
            break
        turns.append(Turn(row["content"][:longest], is_question=row["sender_type"] == SenderType.USER))
        longest -= len(row["content"])
    return turns[::-1]


async def _store_ids(database: Database, wanted: asyncpg.Record, provider: str) -> Sequence[str]:
    rows = await database.primary.fetch(
        STORES,
        [
            provider,
            wanted["vector_store_id"],
            wanted["config_store_ids"],
            wanted["memory_type"],
            wanted["experts"],
            wanted["domain_name"],
        ],
    )
    return [row["vector_id"] for row in rows]
