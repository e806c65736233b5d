"""What can be done with documents."""

import asyncio
import re
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ARRAY, Text, any_, bindparam, insert, select

from db import Document, Domain, User, ViewerKind
from db.statement import compiled
from db.storage import StorageUnavailable
from resolvers.context import Context
from resolvers.permissions import MAY_NOT_DO, Forbidden, require_person
from resolvers.problems import InvalidInput, NameTaken, NotFound, Problem, Problems
from resolvers.texts import faults
from resolvers.upload import Upload
from resolvers.viewer import find_viewers

LONGEST_NAME = 300
SUGGESTIONS = 50
EXTENSION = re.compile(r"\.[a-z0-9]{1,10}")

log = structlog.get_logger()


async def upload_document(context: Context, domain_id: UUID, name: str, file: Upload) -> UUID:
    """Keep a file as a document of the viewer's own."""
    owner_id = await _require_creator(context)
    name = name.strip()
    Problems.check(_faults(name, file))
    domain = await context.loaders.get(Domain, domain_id, ("name",))
    if domain is None:
        raise NotFound("domain", "domain_id")
    await _check_name(context, name)
    id_ = uuid4()
    key = f"documents/{id_.hex}{_extension(file.name)}"
    values = {
        "id": id_,
        "name": name,
        "document_link": await _keep(context, key, file),
        "created_by": select(User.email).where(User.id == owner_id).scalar_subquery(),
        "domain_name": domain["name"],
        "owner_id": owner_id,
    }
    await _insert(context, values, key)
    return id_


async def _require_creator(context: Context) -> UUID:
    """The viewer's id. Raises Forbidden for whoever has created nothing, as the database knows it at this moment."""
    id_ = require_person(context.viewer)
    if context.viewer.kind is ViewerKind.USER:
        found = await find_viewers(context.database.primary, [id_])
        context.viewer = found.get(id_, context.viewer)
    if context.viewer.kind is ViewerKind.USER:
        raise Forbidden(MAY_NOT_DO)
    return id_


async def _keep(context: Context, key: str, file: Upload) -> str:
    try:
        return await context.storage.put(key, file.pieces())
    except asyncio.CancelledError:
        await _drop(context, key)
        raise


async def _insert(context: Context, values: dict[str, Any], key: str) -> None:
    """Write the row of a file; if that fails, delete the file. Not if nobody knows whether it was committed."""
    is_written = False
    try:
        async with context.database.write() as tx:
            await tx.execute(insert(Document).values(values))
            is_written = True
    except BaseException:
        if is_written:
            log.warning("document_uncertain", key=key)
        else:
            await _drop(context, key)
        raise


async def _drop(context: Context, key: str) -> None:
    try:
        await context.storage.delete(key)
    except StorageUnavailable:
        log.warning("file_without_document", key=key)


def _faults(name: str, file: Upload) -> list[Problem]:
    found = list(faults(name, "name", most=LONGEST_NAME))
    if not file.size_bytes:
        found.append(InvalidInput("The file is empty.", "file"))
    return found


async def _check_name(context: Context, name: str) -> None:
    """Raises NameTaken before the file is kept. Whoever is faster after that is told by a constraint."""
    statement = compiled(select(Document.name).where(Document.name == any_(bindparam("names", type_=ARRAY(Text)))))
    names = [name, *(f"{name} ({number})" for number in range(2, SUGGESTIONS))]
    rows = await context.database.primary.fetch(statement.text, statement.arguments({"names": names}))
    taken = {row["name"] for row in rows}
    if name in taken:
        raise NameTaken(next((each for each in names if each not in taken), None), "name")


def _extension(name: str) -> str:
    """The ending of a file's name, if it is one that says what is in it."""
    ending = PurePosixPath(name.lower()).suffix
    return ending if EXTENSION.fullmatch(ending) else ""
