"""What can be asked of provisioning: each is written down as an operation, or refused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select

from db import Assistant, Clone, Document, Domain, Expert, Operation, OperationKind, OperationStatus, Row, ViewerKind
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from loaders.columns import visible
from resolvers.assistant import is_legacy
from resolvers.context import Context
from resolvers.permissions import MAY_NOT_DO, Forbidden, editable
from resolvers.problems import InvalidInput, NeedsInput, NotFound, OperationInProgress, Problems
from resolvers.provisioning.assistant import migrate
from resolvers.provisioning.drift import Difference, differences
from resolvers.provisioning.operation import request
from resolvers.provisioning.owner import Owner, Subject, find_owner
from resolvers.texts import faults

ROWS: Final[Mapping[str, type[Row]]] = {"domain": Domain, "client": Domain, "expert": Expert, "clone": Clone}
MOST_DOCUMENTS: Final = 2_000
LONGEST_CLIENT, LONGEST_MODEL = 200, 100
MOST_TOKENS, HIGHEST_TEMPERATURE = 128_000, 2

HAS_EXPERT = "SELECT FROM clone_experts WHERE clone_id = $1 LIMIT 1"
CANCEL = """
    UPDATE operations SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
        due_at = CASE WHEN leased_until > clock_timestamp() THEN due_at ELSE clock_timestamp() END
    WHERE id = $1 AND ended_at IS NULL
"""
RETRY = """
    UPDATE operations SET status = 'queued', error_code = NULL, error_message = NULL, is_retryable = false,
        ended_at = NULL, cancel_requested_at = NULL, due_at = clock_timestamp(), attempts = attempts + 1, failures = 0,
        progress = 0, indexing_since = NULL, options = options || '{"retry_failed": true}'
    WHERE id = $1
"""
OTHER = """
    SELECT other.id FROM operations AS other JOIN operations AS own USING (subject)
    WHERE own.id = $1 AND other.ended_at IS NULL
"""
REPAIR: Final = Subject("provider", UUID(int=0))


async def provision_store(
    context: Context, subject: Subject, path: Sequence[str], document_ids: Sequence[UUID] | None
) -> UUID:
    """Have the vector store of an owner made, or filled with these documents.

    path: of the owner in the input. document_ids: exactly what is to be in it; None leaves that to the owner.
    """
    owner = await _owner(context, subject, path)
    options: dict[str, Any] = {"retry_failed": True}
    if document_ids is not None:
        if subject.kind == "domain":
            message = "A domain's store holds its default documents. Say so of each with updateDocument."
            raise InvalidInput(message, "document_ids")
        await _require_documents(context, document_ids)
        options["document_ids"] = [str(each) for each in document_ids]
    return await _request(context, OperationKind.PROVISION_STORE, owner, options)


async def provision_assistant(
    context: Context, expert_id: UUID, document_ids: Sequence[UUID] | None, settings: Mapping[str, Any]
) -> UUID:
    """Have an expert's vector store and assistant made."""
    Problems.check(list(_faults(settings)))
    owner = await _owner(context, Subject("expert", expert_id), ["expert_id"])
    options = {"retry_failed": True, **{name: value for name, value in settings.items() if value is not None}}
    if document_ids is not None:
        await _require_documents(context, document_ids)
        options["document_ids"] = [str(each) for each in document_ids]
    return await _request(context, OperationKind.PROVISION_ASSISTANT, owner, options)


async def provision_clone(
    context: Context, clone_id: UUID, document_ids: Sequence[UUID] | None, model: str | None
) -> UUID:
    """Have all made that a clone needs to answer. document_ids: what it is to know beside its own knowledge."""
    Problems.check(list(_faults({"model": model})))
    owner = await _owner(context, Subject("clone", clone_id), ["clone_id"])
    if not await context.database.primary.fetch(HAS_EXPERT, [clone_id]):
        raise NeedsInput("An assistant answers for an expert. Give the clone one with assignExperts.", "clone_id")
    options: dict[str, Any] = {"retry_failed": True, **({"model": model} if model else {})}
    if document_ids is not None:
        await _require_documents(context, document_ids)
        options["document_ids"] = [str(each) for each in document_ids]
    return await _request(context, OperationKind.PROVISION_CLONE, owner, options)


async def sync(context: Context, subject: Subject, path: Sequence[str]) -> UUID:
    """Have an owner's store brought to what it should hold. Raises NotFound where there is no store."""
    owner = await _owner(context, subject, path)
    if owner.vector_id is None:
        raise NotFound("vector store", *path)
    return await _request(context, OperationKind.SYNC, owner, {"retry_failed": True})


async def deprovision(context: Context, subject: Subject, path: Sequence[str]) -> UUID:
    """Have an owner's store deleted at the provider, with the files that no other store holds."""
    owner = await _owner(context, subject, path, needs_domain=False)
    if owner.vector_id is None:
        raise NotFound("vector store", *path)
    return await _request(context, OperationKind.DEPROVISION, owner, {})


async def cancel(context: Context, id_: UUID) -> UUID:
    """Have an operation given up. What is at the provider by then stays, and is known."""
    async with context.database.write() as tx:
        await _lock_operation(tx, context, id_)
        await tx.fetch(CANCEL, id_)
    context.services.wake()
    return id_


async def retry(context: Context, id_: UUID) -> UUID:
    """Have an operation that came to its end done once more, with the files that failed."""
    async with context.database.write() as tx:
        row = await _lock_operation(tx, context, id_)
        if row["status"] == OperationStatus.DELETED or row["ended_at"] is None:
            raise InvalidInput("Only what has come to its end, and is not deleted, can be tried again.", "id")
        if opened := await tx.row(OTHER, id_):
            raise OperationInProgress(opened["id"])
        await tx.fetch(RETRY, id_)
    context.services.wake()
    return id_


async def migrate_assistant(context: Context, id_: UUID, given: Mapping[str, Any]) -> UUID:
    """The assistant that takes the place of one from the retired Assistants API. Nothing is asked of the provider."""
    Problems.check(list(_faults(given)))
    mine = (Assistant.id == id_) & editable(Assistant, context.viewer)
    async with context.database.write() as tx:
        locked = select(Assistant.assistant_id).where(mine).with_for_update()
        public_id = await tx.scalar(locked, {VIEWER_ID.key: context.viewer.id})
        if public_id is None:
            raise NotFound("assistant", "id")
        if not is_legacy(public_id):
            raise InvalidInput("This assistant is none of the retired API. It needs no migration.", "id")
        return await migrate(tx, id_, given)


async def drift(context: Context) -> Sequence[Difference]:
    """In what the provider and the database differ, for admins."""
    _require_admin(context)
    return await differences(context.database, context.provider, context.services.instance)


async def repair(context: Context) -> UUID:
    """Have the differences mended, for admins."""
    actor = _require_admin(context)
    async with context.database.write() as tx:
        id_ = await request(tx, OperationKind.REPAIR, REPAIR, "Repair of the provider", actor=actor)
    context.services.wake()
    return id_


async def _request(context: Context, kind: OperationKind, owner: Owner, options: Mapping[str, Any]) -> UUID:
    actor = context.viewer.actor
    assert actor is not None
    async with context.database.write() as tx:
        id_ = await request(
            tx, kind, owner.subject, owner.title, actor=actor, options=options, vector_id=owner.vector_id
        )
    context.services.wake()
    return id_


async def _owner(context: Context, subject: Subject, path: Sequence[str], *, needs_domain: bool = True) -> Owner:
    """The owner that a viewer may provision. Raises NotFound, and NeedsInput for one without a domain."""
    if subject.client_name is not None:
        Problems.check(list(faults(subject.client_name, *path, most=LONGEST_CLIENT)))
    row = ROWS[subject.kind]
    async with context.database.write() as tx:
        mine = select(row.id).where((row.id == subject.id) & editable(row, context.viewer))
        if await tx.scalar(mine, {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("domain" if subject.kind == "client" else subject.kind, *path)
    owner = await find_owner(context.database, subject, context.provider.name)
    if owner is None:
        raise NotFound(subject.kind, *path)
    if needs_domain and owner.domain_name is None:
        raise NeedsInput("A vector store belongs to a domain. Give the clone one with updateClone.", *path)
    return owner


async def _require_documents(context: Context, ids: Sequence[UUID]) -> None:
    """Raise NotFound if the viewer does not see all of these documents."""
    if len(ids) > MOST_DOCUMENTS:
        raise InvalidInput(f"There may be {MOST_DOCUMENTS} documents at most.", "document_ids")
    kind = ViewerKind.CREATOR if context.viewer.kind is ViewerKind.USER else context.viewer.kind
    seen = select(Document.id).where(
        Document.id == any_(literal([*ids], ARRAY(Uuid))), visible(Document, kind), Document.deleted_at.is_(None)
    )
    async with context.database.write() as tx:
        found = await tx.execute(seen, {VIEWER_ID.key: context.viewer.id})
    if {row["id"] for row in found} != set(ids):
        raise NotFound("document", "document_ids")


async def _lock_operation(tx: Transaction, context: Context, id_: UUID) -> Any:
    mine = (Operation.id == id_) & editable(Operation, context.viewer)
    found = select(Operation.status, Operation.ended_at).where(mine).with_for_update()
    rows = await tx.execute(found, {VIEWER_ID.key: context.viewer.id})
    if not rows:
        raise NotFound("operation", "id")
    return rows[0]


def _require_admin(context: Context) -> str:
    """How the admin is written down. Raises Forbidden for everybody else."""
    if context.viewer.kind is not ViewerKind.ADMIN or context.viewer.actor is None:
        raise Forbidden(MAY_NOT_DO)
    return context.viewer.actor


def _faults(given: Mapping[str, Any]) -> Any:
    for name, value in given.items():
        match name, value:
            case _, None:
                pass
            case "model", _:
                yield from faults(value, name, most=LONGEST_MODEL)
            case "instructions", _:
                yield from faults(value, name, most=100_000)
            case "temperature", _ if not 0 <= value <= HIGHEST_TEMPERATURE:
                yield InvalidInput(f"This must be from 0 to {HIGHEST_TEMPERATURE}.", name)
            case "max_output_tokens", _ if not 1 <= value <= MOST_TOKENS:
                yield InvalidInput(f"This must be from 1 to {MOST_TOKENS}.", name)
