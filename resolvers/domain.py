"""What can be done with domains."""

from uuid import UUID, uuid4

from sqlalchemy import insert, update

from db import Domain
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.idempotency import Request, once
from resolvers.permissions import editable, require_person
from resolvers.problems import NotFound, Problems
from resolvers.texts import faults

LONGEST_NAME = 200


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
