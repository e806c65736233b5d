"""What can be done with domains."""

from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update

from db import Domain
from db.storage import Storage
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.done import Done
from resolvers.file import drop
from resolvers.idempotency import Request, once
from resolvers.permissions import editable, require_person
from resolvers.problems import InUse, NotFound, Problems
from resolvers.provisioning.operation import request_delete
from resolvers.texts import faults

LONGEST_NAME = 200

OBSTACLES = """
    SELECT
        (SELECT count(*) FROM clones WHERE domain_id = $1 AND creator_id IS DISTINCT FROM $3) AS "clones of others",
        (SELECT count(*) FROM sessions JOIN clones ON clones.id = clone_id
            WHERE domain_id = $1 AND status IN ('active', 'paused')) AS "sessions that are open",
        (SELECT count(*) FROM documents WHERE domain = $2 AND owner_id IS DISTINCT FROM $3) AS "documents of others",
        (SELECT count(*) FROM experts WHERE domain = $2 AND owner_id IS DISTINCT FROM $3) AS "experts of others",
        (SELECT count(*) FROM experts JOIN clone_experts ON expert_name = name JOIN clones ON clones.id = clone_id
            WHERE domain = $2 AND creator_id IS DISTINCT FROM $3) AS "clones of others with its experts",
        (SELECT count(*) FROM vector_stores WHERE domain_name = $2 AND owner_id IS DISTINCT FROM $3)
            AS "vector stores of others",
        (SELECT count(*) FROM experts JOIN assistants ON expert_name = name
            WHERE domain = $2 AND assistants.owner_id IS DISTINCT FROM $3) AS "assistants of others",
        (SELECT count(*) FROM knowledge JOIN clones ON clones.id = clone_id
            WHERE knowledge.domain_id = $1 AND creator_id IS DISTINCT FROM $3) AS "knowledge of others"
"""
"""What is in the way of deleting a domain ($1, of this name $2 and owner $3): what is others', or is going on."""

IS_AT_PROVIDER = """
    SELECT EXISTS (SELECT FROM vector_stores WHERE domain_name = $1) OR EXISTS (
        SELECT FROM documents WHERE domain = $1
        AND (openai_file_id IS NOT NULL OR EXISTS (SELECT FROM store_files WHERE document_id = documents.id)
            OR EXISTS (
                SELECT FROM remote_objects WHERE op_key LIKE 'document:' || documents.id || ':%' AND state = 'live'))
    ) AS is_there
"""
LINKS = "SELECT document_link FROM documents WHERE domain = $1"


async def create_domain(context: Context, request: Request, name: str) -> UUID:
    """Make a domain of the viewer's own."""
    owner_id = require_person(context.viewer)
    name = name.strip()
    Problems.check(list(faults(name, "name", most=LONGEST_NAME)))
    domain_id = uuid4()

    async def act(tx: Transaction) -> None:
        await tx.execute(insert(Domain).values(id=domain_id, name=name, owner_id=owner_id))

    return await once(context, request, domain_id, act)


async def rename_domain(context: Context, id_: UUID, name: str) -> UUID:
    """Give a domain another name. Its experts, documents, stores and clones go with it."""
    name = name.strip()
    Problems.check(list(faults(name, "name", most=LONGEST_NAME)))
    mine = (Domain.id == id_) & editable(Domain, context.viewer)
    async with context.database.write() as tx:
        renamed = update(Domain).where(mine).values(name=name).returning(Domain.id)
        if await tx.scalar(renamed, {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("domain", "id")
    return id_


async def delete_domain(context: Context, id_: UUID) -> Done:
    """Delete a domain with its owner's documents and experts: at once, or once nothing of it is at the provider.

    Raises InUse as long as others need it.
    """
    mine = (Domain.id == id_) & editable(Domain, context.viewer)
    operation_id = None
    async with context.database.write() as tx:
        wanted = select(Domain.name, Domain.owner_id).where(mine).with_for_update()
        rows = await tx.execute(wanted, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("domain", "id")
        name, owner_id = rows[0]
        (obstacles,) = await tx.fetch(OBSTACLES, id_, name, owner_id)
        if any(obstacles):
            raise InUse(dict(obstacles), "id")
        links = [row["document_link"] for row in await tx.fetch(LINKS, name)]
        ((is_there,),) = await tx.fetch(IS_AT_PROVIDER, name)
        if is_there:
            operation_id = await request_delete(tx, context, f"domain:{id_}", name)
        else:
            await tx.execute(delete(Domain).where(Domain.id == id_))
    if not is_there:
        for link in links:
            await drop(context.storage, Storage.key_of(link))
    context.services.wake()
    return Done(id_, operation_id)
