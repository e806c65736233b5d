"""What can be done with documents."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, insert, select, update

from db import Document, Domain, User, ViewerKind
from db.statement import compiled
from db.storage import Storage
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.done import Done
from resolvers.file import Kept, drop, keep, writing
from resolvers.idempotency import Request, earlier, once
from resolvers.link import fetching
from resolvers.permissions import MAY_NOT_DO, Forbidden, editable, require_person
from resolvers.problems import InvalidInput, NameTaken, NotFound, Problem, Problems
from resolvers.provisioning.operation import request_delete, request_sync
from resolvers.provisioning.owner import OF_STORE
from resolvers.texts import faults
from resolvers.upload import Upload
from resolvers.viewer import find_viewers

LONGEST_NAME = 300
SUGGESTIONS = 50
FOLDER = "documents"

STORES = "SELECT DISTINCT vector_store_id FROM store_files WHERE document_id = $1 AND removed_at IS NULL"
DEFAULT = """
    SELECT 'domain:' || domains.id AS subject FROM documents JOIN domains ON domain_name = domain
    WHERE documents.id = $1 AND included_in_default
"""
LEAVE_DEFAULT = """
    UPDATE store_files SET removed_at = now() FROM vector_stores AS store
    WHERE document_id = $1 AND removed_at IS NULL AND store.id = vector_store_id AND owner = 'domain'
"""
IS_AT_PROVIDER = """
    SELECT openai_file_id IS NOT NULL OR EXISTS (SELECT FROM store_files WHERE document_id = $1)
        OR EXISTS (SELECT FROM remote_objects WHERE op_key LIKE 'document:' || documents.id || ':%' AND state = 'live')
        AS is_there
    FROM documents WHERE id = $1
"""
TAKE_OUT = "UPDATE store_files SET removed_at = now() WHERE document_id = $1 AND removed_at IS NULL"


async def upload_document(
    context: Context, domain_id: UUID, name: str, file: Upload, *, included_in_default: bool
) -> UUID:
    """Keep a file as a document of the viewer's own."""
    owner_id = await _require_creator(context)
    name = name.strip()
    Problems.check(_faults(name, file))
    domain = await _domain(context, domain_id, included_in_default=included_in_default)
    await _check_name(context, name)
    id_ = uuid4()
    kept = await keep(context.storage, FOLDER, file.name, file.pieces(), "file")
    values = {
        **_own(owner_id),
        **_of_file(kept),
        "id": id_,
        "name": name,
        "domain_name": domain,
        "included_in_default": included_in_default,
    }
    async with writing(context.storage, kept) as written, context.database.write() as tx:
        await tx.execute(insert(Document).values(values))
        await _sync(tx, context, id_)
        written()
    context.services.wake()
    return id_


async def add_document_link(
    context: Context, request: Request, domain_id: UUID, name: str, url: str, *, included_in_default: bool
) -> UUID:
    """Keep what is at a link as a document of the viewer's own."""
    owner_id = await _require_creator(context)
    name = name.strip()
    Problems.check(list(faults(name, "name", most=LONGEST_NAME)))
    if done := await earlier(context, request):
        return done
    domain = await _domain(context, domain_id, included_in_default=included_in_default)
    await _check_name(context, name)
    id_ = uuid4()
    async with fetching(context.services.links, url, "url") as found:
        kept = await keep(context.storage, FOLDER, found.name, found.pieces, "url")
    values = {
        **_own(owner_id),
        **_of_file(kept),
        "id": id_,
        "name": name,
        "original_url": url.strip(),
        "domain_name": domain,
        "included_in_default": included_in_default,
    }

    async def act(tx: Transaction) -> None:
        await tx.execute(insert(Document).values(values))
        await _sync(tx, context, id_)
        written()

    async with writing(context.storage, kept) as written:
        key = await once(context, request, id_, act)
    if key != id_:
        await drop(context.storage, kept.key)
    context.services.wake()
    return key


async def update_document(context: Context, id_: UUID, changes: Mapping[str, Any], file: Upload | None) -> UUID:
    """Change a document. Another file takes the place of its text; readers find the old one until it can be searched.

    changes: `name` and `included_in_default`, if they are to change.
    """
    values = {key: value.strip() if isinstance(value, str) else value for key, value in changes.items()}
    Problems.check(list(_faults_of_changes(values)) + (_faults(None, file) if file else []))
    mine = (Document.id == id_) & editable(Document, context.viewer) & Document.deleted_at.is_(None)
    wanted = select(Document.name, Document.domain_name, Document.included_in_default).where(mine)
    old_name, domain, was_included = await _find(context, wanted)
    if values.get("included_in_default", was_included) != was_included:
        await _check_default(context, Domain.name == domain)
    if values.get("name", old_name) != old_name:
        await _check_name(context, values["name"])
    kept = await keep(context.storage, FOLDER, file.name, file.pieces(), "file") if file else None
    if kept:
        values |= {**_of_file(kept), "original_url": None}
    async with writing(context.storage, kept) as written, context.database.write() as tx:
        before = select(Document.document_link).where(mine).with_for_update()
        rows = await tx.execute(before, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("document", "id")
        subjects = await _holders(tx, id_)
        if values:
            await tx.execute(update(Document).where(Document.id == id_).values(values))
        if values.get("included_in_default") is False:
            await tx.fetch(LEAVE_DEFAULT, id_)
        if values.keys() - {"name"}:
            await _sync(tx, context, id_, subjects)
        written()
    if kept:
        await drop(context.storage, Storage.key_of(rows[0]["document_link"]))
    context.services.wake()
    return id_


async def delete_document(context: Context, id_: UUID) -> Done:
    """Delete a document: at once, or as soon as the provider has let go of its files."""
    mine = (Document.id == id_) & editable(Document, context.viewer)
    operation_id = None
    async with context.database.write() as tx:
        wanted = select(Document.name, Document.document_link).where(mine).with_for_update()
        rows = await tx.execute(wanted, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("document", "id")
        (is_there,) = (await tx.fetch(IS_AT_PROVIDER, id_))[0]
        if is_there:
            await tx.fetch("UPDATE documents SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL", id_)
            await tx.fetch(TAKE_OUT, id_)
            operation_id = await request_delete(tx, context, f"document:{id_}", rows[0]["name"])
        else:
            await tx.execute(delete(Document).where(Document.id == id_))
    if is_there:
        context.services.wake()
    else:
        await drop(context.storage, Storage.key_of(rows[0]["document_link"]))
    return Done(id_, operation_id)


async def _sync(tx: Transaction, context: Context, id_: UUID, subjects: set[str] | None = None) -> None:
    """Have the stores brought to what they should hold that hold a document, or are to. subjects: those before it."""
    for subject in sorted(await _holders(tx, id_) | (subjects or set())):
        await request_sync(tx, subject, actor=str(context.viewer.actor))


async def _holders(tx: Transaction, id_: UUID) -> set[str]:
    """Whose stores hold a document, or are to hold it by default."""
    found = {row["subject"] for row in await tx.fetch(DEFAULT, id_)}
    for store in await tx.fetch(STORES, id_):
        found |= {row["subject"] for row in await tx.fetch(OF_STORE, store["vector_store_id"])}
    return found - {None}


async def _require_creator(context: Context) -> UUID:
    """The viewer's id. Raises Forbidden for whoever has created nothing, as the database knows it at this moment."""
    id_ = require_person(context.viewer)
    if context.viewer.kind is ViewerKind.USER:
        found = await find_viewers(context.database.primary, [id_])
        context.viewer = found.get(id_, context.viewer)
    if context.viewer.kind is ViewerKind.USER:
        raise Forbidden(MAY_NOT_DO)
    return id_


async def _domain(context: Context, id_: UUID, *, included_in_default: bool) -> str:
    """The name of a domain for a new document."""
    domain = await context.loaders.get(Domain, id_, ("name",))
    if domain is None:
        raise NotFound("domain", "domain_id")
    if included_in_default:
        await _check_default(context, Domain.id == id_)
    return str(domain["name"])


async def _check_default(context: Context, domain: Any) -> None:
    """What everybody finds in a domain is for its owner to say."""
    statement = compiled(select(Domain.id).where(domain, editable(Domain, context.viewer)))
    arguments = statement.arguments({VIEWER_ID.key: context.viewer.id})
    if not await context.database.primary.fetch(statement.text, arguments):
        raise InvalidInput("Only the owner of the domain decides what its default store holds.", "included_in_default")


async def _find(context: Context, statement: Any) -> Any:
    wanted = compiled(statement)
    rows = await context.database.primary.fetch(wanted.text, wanted.arguments({VIEWER_ID.key: context.viewer.id}))
    if not rows:
        raise NotFound("document", "id")
    return rows[0]


def _own(owner_id: UUID) -> dict[str, Any]:
    """The columns that say whose a new document is."""
    return {"owner_id": owner_id, "created_by": select(User.email).where(User.id == owner_id).scalar_subquery()}


def _of_file(kept: Kept) -> dict[str, Any]:
    """The columns that say where the text is, and what it is like."""
    return {
        "document_link": kept.link,
        "sha256": kept.sha256,
        "size_bytes": kept.size_bytes,
        "media_type": kept.media_type,
    }


def _faults(name: str | None, file: Upload) -> list[Problem]:
    found = list(faults(name, "name", most=LONGEST_NAME)) if name is not None else []
    if not file.size_bytes:
        found.append(InvalidInput("The file is empty.", "file"))
    return found


def _faults_of_changes(changes: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in changes.items():
        if value is None:
            yield InvalidInput("This cannot be null. Leave it out, and it stays as it is.", name)
        elif name == "name":
            yield from faults(value, name, most=LONGEST_NAME)


async def _check_name(context: Context, name: str) -> None:
    """Raises NameTaken before the file is kept. Whoever is faster after that is told by a constraint."""
    statement = compiled(select(Document.name).where(Document.name == any_(bindparam("names", type_=ARRAY(Text)))))
    names = [name, *(f"{name} ({number})" for number in range(2, SUGGESTIONS))]
    rows = await context.database.primary.fetch(statement.text, statement.arguments({"names": names}))
    taken = {row["name"] for row in rows}
    if name in taken:
        raise NameTaken(next((each for each in names if each not in taken), None), "name")
