"""What can be done with experts."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update

from db import Domain, Expert
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.done import Done
from resolvers.idempotency import Request, once
from resolvers.permissions import editable, require_person
from resolvers.problems import InUse, InvalidInput, NotFound, Problem, Problems
from resolvers.provisioning.operation import request_delete
from resolvers.texts import faults

LONGEST = {"name": 200, "context": 100_000}

OBSTACLES = """
    SELECT
        (SELECT count(*) FROM clone_experts JOIN clones ON clones.id = clone_id
            WHERE expert_name = $1 AND creator_id IS DISTINCT FROM $2) AS "clones of others",
        (SELECT count(*) FROM assistants WHERE expert_name = $1 AND owner_id IS DISTINCT FROM $2)
            AS "assistants of others",
        (SELECT count(*) FROM vector_stores WHERE expert_name = $1 AND owner_id IS DISTINCT FROM $2)
            AS "vector stores of others",
        (SELECT count(*) FROM assistants JOIN clones ON rag_assistant_id = assistant_id
            JOIN sessions ON clone_id = clones.id
            WHERE expert_name = $1 AND status IN ('active', 'paused')) AS "sessions that are open"
"""
"""What is in the way of deleting an expert of this name ($1), with this owner ($2)."""

IS_AT_PROVIDER = "SELECT EXISTS (SELECT FROM vector_stores WHERE expert_name = $1) AS is_there"


async def create_expert(context: Context, request: Request, domain_id: UUID, values: Mapping[str, Any]) -> UUID:
    """Make an expert of the viewer's own in a domain of the viewer's own."""
    owner_id = require_person(context.viewer)
    Problems.check(list(_faults(values)))
    mine = (Domain.id == domain_id) & editable(Domain, context.viewer)
    expert_id = uuid4()

    async def act(tx: Transaction) -> None:
        domain = await tx.scalar(select(Domain.name).where(mine), {VIEWER_ID.key: context.viewer.id})
        if domain is None:
            raise NotFound("domain", "domain_id")
        row = {**_stripped(values), "id": expert_id, "domain_name": domain, "owner_id": owner_id}
        await tx.execute(insert(Expert).values(row))

    return await once(context, request, expert_id, act)


async def update_expert(context: Context, id_: UUID, changes: Mapping[str, Any]) -> UUID:
    """Change an expert. Under another name, assistants, stores and clones go with it."""
    Problems.check(list(_faults(changes)))
    values = _stripped(changes)
    mine = (Expert.id == id_) & editable(Expert, context.viewer)
    action = update(Expert).where(mine).values(values).returning(Expert.id) if values else select(Expert.id).where(mine)
    async with context.database.write() as tx:
        if await tx.scalar(action, {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("expert", "id")
    return id_


async def delete_expert(context: Context, id_: UUID) -> Done:
    """Delete an expert with its assistants: at once, or once its store at the provider is gone.

    Raises InUse as long as others need it.
    """
    mine = (Expert.id == id_) & editable(Expert, context.viewer)
    operation_id = None
    async with context.database.write() as tx:
        wanted = select(Expert.name, Expert.owner_id).where(mine).with_for_update()
        rows = await tx.execute(wanted, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("expert", "id")
        name, owner_id = rows[0]
        (obstacles,) = await tx.fetch(OBSTACLES, name, owner_id)
        if any(obstacles):
            raise InUse(dict(obstacles), "id")
        ((is_there,),) = await tx.fetch(IS_AT_PROVIDER, name)
        if is_there:
            operation_id = await request_delete(tx, context, f"expert:{id_}", name)
        else:
            await tx.execute(delete(Expert).where(Expert.id == id_))
    context.services.wake()
    return Done(id_, operation_id)


def _stripped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.strip() if key == "name" else value for key, value in values.items()}


def _faults(changes: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in changes.items():
        if value is None:
            yield InvalidInput("This cannot be null. Leave it out, and it stays as it is.", name)
        else:
            yield from faults(value, name, most=LONGEST[name])
