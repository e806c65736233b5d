"""What can be done with questions, and the answers that clones are to give.

All pairs of a clone are one file in its store, which is brought up to date after each change.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update

from db import Clone, QaPair
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.done import Done
from resolvers.idempotency import Request, once
from resolvers.permissions import editable
from resolvers.problems import InvalidInput, NotFound, Problem, Problems
from resolvers.provisioning.operation import request_sync
from resolvers.texts import faults

LONGEST = {"question": 2_000, "answer": 20_000, "source": 300}
NULLABLE = {"source", "quality"}


async def add_qa_pair(context: Context, request: Request, clone_id: UUID, values: Mapping[str, Any]) -> Done:
    """Tell a clone what to answer to a question."""
    Problems.check(list(_faults(values)))
    mine = select(Clone.id).where(Clone.id == clone_id, editable(Clone, context.viewer))
    id_ = uuid4()
    operation_id = None

    async def act(tx: Transaction) -> None:
        nonlocal operation_id
        if await tx.scalar(mine.with_for_update(key_share=True), {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("clone", "clone_id")
        await tx.execute(insert(QaPair).values({**values, "id": id_, "clone_id": clone_id}))
        operation_id = await _sync(tx, context, clone_id)

    key = await once(context, request, id_, act)
    context.services.wake()
    return Done(key, operation_id)


async def update_qa_pair(context: Context, id_: UUID, changes: Mapping[str, Any]) -> Done:
    """Change a question, its answer, or whether the clone is to use them."""
    Problems.check(list(_faults(changes)))
    mine = (QaPair.id == id_) & editable(QaPair, context.viewer)
    wanted = update(QaPair).where(mine).values(dict(changes)).returning(QaPair.clone_id)
    return await _change(context, id_, wanted if changes else select(QaPair.clone_id).where(mine))


async def delete_qa_pair(context: Context, id_: UUID) -> Done:
    """Take a question away, with its answer."""
    mine = (QaPair.id == id_) & editable(QaPair, context.viewer)
    return await _change(context, id_, delete(QaPair).where(mine).returning(QaPair.clone_id))


async def _change(context: Context, id_: UUID, statement: Any) -> Done:
    async with context.database.write() as tx:
        clone_id = await tx.scalar(statement, {VIEWER_ID.key: context.viewer.id})
        if clone_id is None:
            raise NotFound("pair", "id")
        operation_id = await _sync(tx, context, clone_id)
    context.services.wake()
    return Done(id_, operation_id)


async def _sync(tx: Transaction, context: Context, clone_id: UUID) -> UUID | None:
    return await request_sync(tx, f"clone:{clone_id}", actor=str(context.viewer.actor))


def _faults(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in values.items():
        match name, value:
            case _, None if name not in NULLABLE:
                yield InvalidInput("This cannot be null. Leave it out, and it stays as it is.", name)
            case (("question" | "answer" | "source"), str()):
                yield from faults(value, name, most=LONGEST[name], blank=name == "source")
            case "quality", float() | int() if not 0 <= value <= 1:
                yield InvalidInput("This must be from 0 to 1.", name)
