"""What can be done with what clones know."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update

from db import Clone, Knowledge, ProcessingStatus
from db.statement import compiled
from db.storage import Storage
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.done import Done
from resolvers.file import Kept, drop, keep, preview_of, writing
from resolvers.idempotency import Request, earlier, once
from resolvers.link import fetching
from resolvers.permissions import editable
from resolvers.problems import InvalidInput, NotFound, Problem, Problems
from resolvers.provisioning.extraction import DOCX, HTML, MARKDOWN, PDF, PLAIN
from resolvers.provisioning.operation import request_sync
from resolvers.texts import faults
from resolvers.upload import Upload

LONGEST = {"title": 300, "description": 10_000}
LONGEST_TEXT = 1_000_000
LONGEST_FILE_NAME = 300
MOST_TAGS, LONGEST_TAG = 50, 100

CONTENT_TYPES = {PDF: "pdf", DOCX: "docx", MARKDOWN: "markdown", HTML: "html", PLAIN: "text"}

IS_AT_PROVIDER = """
    SELECT openai_file_id IS NOT NULL OR EXISTS (SELECT FROM store_files WHERE knowledge_id = $1) AS is_there
    FROM knowledge WHERE id = $1
"""
TAKE_OUT = "UPDATE store_files SET removed_at = now() WHERE knowledge_id = $1 AND removed_at IS NULL"
MARK = "UPDATE knowledge SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL"


@dataclass(frozen=True, slots=True)
class Given:
    """What a clone is to know: one of these."""

    text: str | None = None
    file: Upload | None = None
    url: str | None = None

    def faults(self) -> Iterator[Problem]:
        """What is wrong with it, as far as that can be seen."""
        if self.text is not None:
            yield from faults(self.text, "content", "text", most=LONGEST_TEXT)
        if self.file is not None and not self.file.size_bytes:
            yield InvalidInput("The file is empty.", "content", "file")

    async def keep(self, context: Context, clone_id: UUID) -> tuple[Kept, dict[str, Any]]:
        """Keep it as a file of a clone, and say what it is in columns. Raises InvalidInput."""
        folder = f"clones/{clone_id.hex}"
        if self.url is not None:
            async with fetching(context.services.links, self.url, "content", "url") as found:
                kept = await keep(context.storage, folder, found.name, found.pieces, "content", "url")
            return kept, _columns(kept, "url", found.name, self.url.strip())
        if self.file is not None:
            kept = await keep(context.storage, folder, self.file.name, self.file.pieces(), "content", "file")
            return kept, _columns(kept, CONTENT_TYPES[kept.media_type], self.file.name, None)
        kept = await keep(context.storage, folder, "", _pieces(self.text or ""), "content", "text", media_type=PLAIN)
        return kept, {**_columns(kept, "text", None, None), "content_preview": preview_of(self.text or "")}


async def add_knowledge(
    context: Context, request: Request, clone_id: UUID, values: Mapping[str, Any], given: Given
) -> Done:
    """Have a clone know something, from when its store holds it; at once to be seen."""
    Problems.check([*_faults(values), *given.faults()])
    await _require_clone(context, clone_id)
    if given.file is None and (done := await earlier(context, request)):
        return Done(done)
    id_ = uuid4()
    operation_id = None
    kept, columns = await given.keep(context, clone_id)
    if given.file is not None:
        request = request._replace(values={**request.values, "content": kept.sha256})

    async def act(tx: Transaction) -> None:
        nonlocal operation_id
        await _lock_clone(tx, context, clone_id)
        await tx.execute(insert(Knowledge).values({**values, **columns, "id": id_, "clone_id": clone_id}))
        operation_id = await request_sync(tx, f"clone:{clone_id}", actor=str(context.viewer.actor))
        written()

    async with writing(context.storage, kept) as written:
        key = await once(context, request, id_, act)
    if key != id_:
        await drop(context.storage, kept.key)
    context.services.wake()
    return Done(key, operation_id)


async def update_knowledge(context: Context, id_: UUID, changes: Mapping[str, Any], given: Given | None) -> Done:
    """Change what a clone knows. Readers find the old content until the new one can be searched."""
    Problems.check([*_faults(changes), *(given.faults() if given else ())])
    mine = (Knowledge.id == id_) & editable(Knowledge, context.viewer) & Knowledge.deleted_at.is_(None)
    statement = compiled(select(Knowledge.clone_id).where(mine))
    rows = await context.database.primary.fetch(statement.text, statement.arguments({VIEWER_ID.key: context.viewer.id}))
    if not rows:
        raise NotFound("knowledge", "id")
    clone_id = rows[0]["clone_id"]
    kept, values, operation_id = None, dict(changes), None
    if given:
        kept, columns = await given.keep(context, clone_id)
        values |= columns
    async with writing(context.storage, kept) as written, context.database.write() as tx:
        before = select(Knowledge.file_url).where(mine).with_for_update()
        rows = await tx.execute(before, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("knowledge", "id")
        if values:
            await tx.execute(update(Knowledge).where(Knowledge.id == id_).values(values))
        if kept:
            operation_id = await request_sync(tx, f"clone:{clone_id}", actor=str(context.viewer.actor))
        written()
    if kept:
        await drop(context.storage, Storage.key_of(rows[0]["file_url"]))
        context.services.wake()
    return Done(id_, operation_id)


async def delete_knowledge(context: Context, id_: UUID) -> Done:
    """Have a clone know something no longer: its row goes at once, or once the provider has let go of the file."""
    mine = (Knowledge.id == id_) & editable(Knowledge, context.viewer)
    operation_id = None
    async with context.database.write() as tx:
        wanted = select(Knowledge.clone_id, Knowledge.file_url).where(mine).with_for_update()
        rows = await tx.execute(wanted, {VIEWER_ID.key: context.viewer.id})
        if not rows:
            raise NotFound("knowledge", "id")
        (is_there,) = (await tx.fetch(IS_AT_PROVIDER, id_))[0]
        if is_there:
            await tx.fetch(MARK, id_)
            await tx.fetch(TAKE_OUT, id_)
            subject = f"clone:{rows[0]['clone_id']}"
            operation_id = await request_sync(tx, subject, actor=str(context.viewer.actor))
        if operation_id is None:
            await tx.execute(delete(Knowledge).where(Knowledge.id == id_))
    if operation_id is None:
        await drop(context.storage, Storage.key_of(rows[0]["file_url"]))
    context.services.wake()
    return Done(id_, operation_id)


async def _require_clone(context: Context, id_: UUID) -> None:
    """Raises NotFound before something is fetched or kept for a clone that is not the viewer's."""
    statement = compiled(select(Clone.id).where(Clone.id == id_, editable(Clone, context.viewer)))
    arguments = statement.arguments({VIEWER_ID.key: context.viewer.id})
    if not await context.database.primary.fetch(statement.text, arguments):
        raise NotFound("clone", "clone_id")


async def _lock_clone(tx: Transaction, context: Context, id_: UUID) -> None:
    """Raises NotFound where the viewer may not change the clone. While it lasts, the clone stays."""
    mine = select(Clone.id).where(Clone.id == id_, editable(Clone, context.viewer)).with_for_update(key_share=True)
    if await tx.scalar(mine, {VIEWER_ID.key: context.viewer.id}) is None:
        raise NotFound("clone", "clone_id")


def _columns(kept: Kept, content_type: str, file_name: str | None, url: str | None) -> dict[str, Any]:
    """The columns that say what the content is, and that nobody has read it yet."""
    return {
        "content_type": content_type,
        "file_name": file_name and file_name.replace("\0", "")[-LONGEST_FILE_NAME:],
        "file_size_bytes": kept.size_bytes,
        "file_type": kept.media_type,
        "file_url": kept.link,
        "original_url": url,
        "content_preview": kept.preview,
        "sha256": kept.sha256,
        "processing_status": ProcessingStatus.PENDING,
    }


async def _pieces(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


def _faults(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in values.items():
        match name, value:
            case "title", None:
                yield InvalidInput("This cannot be null. Leave it out, and it stays as it is.", name)
            case (("title" | "description"), str()):
                yield from faults(value, name, most=LONGEST[name], blank=name != "title")
            case "tags", list() if len(value) > MOST_TAGS:
                yield InvalidInput(f"There may be {MOST_TAGS} tags at most, and these are {len(value)}.", name)
            case "tags", list():
                for number, tag in enumerate(value):
                    yield from faults(tag, name, str(number), most=LONGEST_TAG)
            case "tags", None:
                yield InvalidInput("This cannot be null. An empty list takes all tags away.", name)
