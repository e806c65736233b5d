"""Assistants: rows of ours, whose configurations never change. To configure one is to give it the next version."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4, uuid5

from db import MemoryType
from db.transaction import Transaction
from resolvers.instructions import of_clone
from resolvers.problems import NeedsInput
from resolvers.provisioning.owner import Owner

OF_CLONE = """
    SELECT name, bio, system_prompt, expert_context, temperature, max_tokens, personality_traits::text,
        communication_style::text, coalesce(memory_type, 'expert') AS memory_type,
        (SELECT min(expert_name) FROM clone_experts WHERE clone_id = clones.id) AS expert_name,
        ARRAY(SELECT context FROM experts JOIN clone_experts ON expert_name = experts.name
              WHERE clone_id = clones.id ORDER BY experts.name) AS contexts,
        (SELECT id FROM assistants WHERE assistant_id = rag_assistant_id AND config_id IS NOT NULL
            AND owner_id IS NOT DISTINCT FROM creator_id AND vector_id IS NOT DISTINCT FROM vector_store_id
        ) AS own_assistant
    FROM clones WHERE id = $1
"""
OF_EXPERT = """
    SELECT name AS expert_name, context, (
        SELECT id FROM assistants WHERE expert_name = name AND config_id IS NOT NULL AND vector_id = $2
            AND memory_type = 'expert' ORDER BY created_at LIMIT 1
    ) AS own_assistant
    FROM experts WHERE id = $1
"""
ADD = """
    INSERT INTO assistants (id, assistant_id, expert_name, memory_type, client_name, vector_id, owner_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING
"""
IN_FORCE = """
    SELECT version, model, instructions, vector_store_ids, temperature, max_output_tokens
    FROM assistant_configs AS config JOIN assistants ON config.id = config_id WHERE assistants.id = $1
"""
LOCK = "SELECT FROM assistants WHERE id = $1 FOR NO KEY UPDATE"
CONFIGURE = """
    WITH config AS (
        INSERT INTO assistant_configs (assistant_id, version, model, instructions, vector_store_ids, temperature,
            max_output_tokens)
        SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6 FROM assistant_configs WHERE assistant_id = $1
        RETURNING id
    )
    UPDATE assistants SET config_id = config.id FROM config WHERE assistants.id = $1
"""
BELONGS = """
    UPDATE assistants SET memory_type = $3, expert_name = coalesce(
        (SELECT min(expert_name) FROM clone_experts AS own WHERE own.clone_id = $2
            AND (own.expert_name = assistants.expert_name OR NOT EXISTS (
                SELECT FROM clone_experts AS kept
                WHERE kept.clone_id = $2 AND kept.expert_name = assistants.expert_name))
        ), expert_name)
    WHERE id = $1
"""
LEGACY = """
    SELECT old.expert_name, old.memory_type, old.client_name, old.vector_id, old.owner_id, old.assistant_id,
        (SELECT context FROM experts WHERE name = old.expert_name) AS context,
        ARRAY(SELECT id FROM clones WHERE rag_assistant_id IN (old.assistant_id, $2)) AS clone_ids
    FROM assistants AS old WHERE old.id = $1
"""
FOLLOW = """
    UPDATE clones SET rag_assistant_id = $2 WHERE rag_assistant_id = $1
"""
ANSWERS = "UPDATE clones SET rag_assistant_id = (SELECT assistant_id FROM assistants WHERE id = $2) WHERE id = $1"


async def configure(
    tx: Transaction, owner: Owner, vector_id: str | None, options: Mapping[str, Any], model: str
) -> UUID | None:
    """The assistant of a clone or an expert, with a configuration that fits; None where it can have none.

    options: what was asked for; what was not stays as it was. model: if nobody has ever said which.
    """
    is_clone = owner.subject.kind == "clone"
    row = await (tx.row(OF_CLONE, owner.clone_id) if is_clone else tx.row(OF_EXPERT, owner.expert_id, vector_id))
    if row is None or row["expert_name"] is None:
        return None
    assistant_id: UUID = row["own_assistant"] or await _add(tx, owner, row, vector_id)
    await tx.fetch(LOCK, assistant_id)
    if is_clone:
        await tx.fetch(BELONGS, assistant_id, owner.clone_id, row["memory_type"])
    asked = {
        "model": options.get("model"),
        "instructions": of_clone(row) if is_clone else row["context"],
        "vector_store_ids": [vector_id] if vector_id else [],
        "temperature": row["temperature"] if is_clone else options.get("temperature"),
        "max_output_tokens": row["max_tokens"] if is_clone else options.get("max_output_tokens"),
    }
    await _configure(tx, assistant_id, asked, model)
    if owner.clone_id:
        await tx.fetch(ANSWERS, owner.clone_id, assistant_id)
    return assistant_id


async def migrate(tx: Transaction, legacy_id: UUID, given: Mapping[str, Any]) -> UUID:
    """The assistant in the place of one from the retired API: same expert, same store, and the clones go with it.

    Asked for again, it is the same one. given: what somebody has said. Instructions are those of its only clone, or of
    the expert, if nobody has. Raises NeedsInput for what cannot be known.
    """
    id_ = uuid5(legacy_id, "successor")
    public_id = f"assistant_{id_.hex}"
    old = await tx.row(LEGACY, legacy_id, public_id)
    assert old is not None
    clone = await tx.row(OF_CLONE, old["clone_ids"][0]) if len(old["clone_ids"]) == 1 else None
    instructions = given.get("instructions") or (of_clone(clone) if clone else old["context"])
    if not given.get("model"):
        raise NeedsInput("Nobody has kept which model this assistant used. Say which one it is to use.", "model")
    if not instructions.strip():
        raise NeedsInput("Neither a clone nor the expert says what this assistant is to be told.", "instructions")
    about = (old[name] for name in ("expert_name", "memory_type", "client_name", "vector_id", "owner_id"))
    await tx.fetch(ADD, id_, public_id, *about)
    asked = {
        "model": given["model"],
        "instructions": instructions,
        "vector_store_ids": [old["vector_id"]] if old["vector_id"] else [],
        "temperature": given.get("temperature", clone and clone["temperature"]),
        "max_output_tokens": given.get("max_output_tokens", clone and clone["max_tokens"]),
    }
    await _configure(tx, id_, asked, None)
    await tx.fetch(FOLLOW, old["assistant_id"], public_id)
    return id_


async def reconfigure(tx: Transaction, clone_id: UUID) -> None:
    """Give the assistant of a clone the next version of its configuration, if the clone has changed."""
    row = await tx.row(OF_CLONE, clone_id)
    if row is None or row["own_assistant"] is None:
        return
    await tx.fetch(LOCK, row["own_assistant"])
    await tx.fetch(BELONGS, row["own_assistant"], clone_id, row["memory_type"])
    asked = {
        "instructions": of_clone(row),
        "temperature": row["temperature"],
        "max_output_tokens": row["max_tokens"],
    }
    await _configure(tx, row["own_assistant"], asked, None)


async def _add(tx: Transaction, owner: Owner, row: Any, vector_id: str | None) -> UUID:
    id_ = uuid4()
    memory = row.get("memory_type") or MemoryType.EXPERT
    await tx.fetch(
        ADD, id_, f"assistant_{id_.hex}", row["expert_name"], memory, owner.client_name, vector_id, owner.owner_id
    )
    return id_


async def _configure(tx: Transaction, id_: UUID, asked: Mapping[str, Any], model: str | None) -> None:
    """Give an assistant a version with what is asked for, and the rest as it was, unless that is what it has."""
    kept = await tx.row(IN_FORCE, id_)
    before: dict[str, Any] = dict(kept) if kept else {"version": None, "model": model, "vector_store_ids": []}
    wanted = {**before, **{name: value for name, value in asked.items() if value is not None}}
    if not kept or wanted != before:
        await tx.fetch(
            CONFIGURE,
            id_,
            wanted["model"],
            wanted["instructions"],
            wanted["vector_store_ids"],
            wanted.get("temperature"),
            wanted.get("max_output_tokens"),
        )
