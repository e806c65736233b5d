"""Operations, as they are asked for: written down in the transaction of the mutation, and done by a worker."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from db import OperationKind
from db.transaction import Transaction
from resolvers.context import Context
from resolvers.problems import OperationInProgress
from resolvers.provisioning.owner import OF_STORE, Subject

ADD = """
    INSERT INTO operations (id, kind, subject, title, options, actor, requested_by, clone_id, domain_id, expert_id,
        document_id, vector_store_id, attempts)
    SELECT $1, $2, $3, $4, $5, $6,
        (SELECT id FROM user_profiles WHERE 'user:' || id = $6),
        (SELECT id FROM clones WHERE id = $7 AND $8 = 'clone'),
        (SELECT id FROM domains WHERE id = $7 AND $8 IN ('domain', 'client')),
        (SELECT id FROM experts WHERE id = $7 AND $8 = 'expert'),
        (SELECT id FROM documents WHERE id = $7 AND $8 = 'document'),
        (SELECT id FROM vector_stores WHERE vector_id = $9), 1
    ON CONFLICT (subject) WHERE ended_at IS NULL DO NOTHING
    RETURNING id
"""
OPEN = "SELECT id, kind FROM operations WHERE subject = $1 AND ended_at IS NULL FOR NO KEY UPDATE"
MARK_STALE = "UPDATE operations SET is_stale = true WHERE id = $1"
CHANGE = "UPDATE operations SET is_stale = true, options = options || $2 WHERE id = $1"
TITLE = {
    "clone": "SELECT name AS title, vector_store_id AS vector_id FROM clones WHERE id = $1",
    "domain": """
        SELECT domain_name AS title, (
            SELECT vector_id FROM vector_stores AS store WHERE store.domain_name = domains.domain_name
                AND owner = 'domain' ORDER BY created_at, id LIMIT 1
        ) AS vector_id FROM domains WHERE id = $1
    """,
    "expert": """
        SELECT name AS title, (
            SELECT vector_id FROM vector_stores WHERE expert_name = name AND owner = 'expert'
            ORDER BY created_at, id LIMIT 1
        ) AS vector_id FROM experts WHERE id = $1
    """,
    "client": "SELECT domain_name AS title, NULL AS vector_id FROM domains WHERE id = $1",
}
ENDS_ONLY: Final = (OperationKind.DEPROVISION, OperationKind.DELETE)


async def request(
    tx: Transaction,
    kind: OperationKind,
    subject: Subject,
    title: str,
    *,
    actor: str,
    options: Mapping[str, Any] | None = None,
    vector_id: str | None = None,
) -> UUID:
    """Write down an operation that a worker is to do, and return its id.

    One that is open for the same subject is returned instead if it is of the same kind; it then looks once more at what
    there is to do, by the newer options. Raises OperationInProgress if it is of another kind.
    """
    given = orjson.loads(orjson.dumps(dict(options or {})))
    id_ = uuid4()
    if await tx.fetch(ADD, id_, kind, str(subject), title, given, actor, subject.id, subject.kind, vector_id):
        return id_
    opened = await tx.row(OPEN, str(subject))
    if opened is None:  # it has come to its end this moment
        return await request(tx, kind, subject, title, actor=actor, options=options, vector_id=vector_id)
    if opened["kind"] != kind:
        raise OperationInProgress(opened["id"])
    await tx.fetch(CHANGE, opened["id"], given)
    found: UUID = opened["id"]
    return found


async def request_sync(tx: Transaction, subject: str, *, actor: str) -> UUID | None:
    """Have an owner's store brought to what it should hold by now; None if there is no store, and nothing on its way.

    subject: `clone:`, `domain:` or `expert:` and the id, or `client:`, the domain's id, `:` and the name. What is done
    for the owner at the moment looks once more at what there is to do. The worker is to be woken after the commit.
    """
    parsed = Subject.parse(subject)
    if opened := await tx.row(OPEN, subject):
        await tx.fetch(MARK_STALE, opened["id"])
        found: UUID = opened["id"]
        return found
    row = await tx.row(TITLE[parsed.kind], parsed.id)
    if row is None or (row["vector_id"] is None and parsed.kind != "client"):
        return None
    return await request(tx, OperationKind.SYNC, parsed, row["title"], actor=actor, vector_id=row["vector_id"])


async def request_sync_of_store(tx: Transaction, store_id: UUID, *, actor: str) -> UUID | None:
    """The same for the owner of a store, by the id of its row."""
    row = await tx.row(OF_STORE, store_id)
    return await request_sync(tx, row["subject"], actor=actor) if row and row["subject"] else None


async def request_delete(tx: Transaction, context: Context, subject: str, title: str) -> UUID:
    """Have something deleted at the provider, and its row at the end: a document, a domain or an expert.

    The worker has to be woken after the commit.
    """
    actor = context.viewer.actor
    assert actor is not None
    return await request(tx, OperationKind.DELETE, Subject.parse(subject), title, actor=actor)
