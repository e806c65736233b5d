"""What can be done with trusted documents: find, bring, list and remove them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import ARRAY, BindParameter, Text, any_, bindparam, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from db import TrustedDocument
from db.engine import Database
from db.statement import Statement, compiled

LONGEST_ID = 256
"""How many characters an id may have."""


def alias(sha256: str) -> str:
    """The id that every document has beside that of its manifest."""
    return f"sha256:{sha256}"


def alias_of(text: str) -> str:
    """The id that stands for this text alone."""
    return alias(hashlib.sha256(text.encode()).hexdigest())


class Trusted(NamedTuple):
    """A trusted document. ids: those of the manifests, or the hash where there is no other."""

    ids: list[str]
    text: str
    created_at: datetime


@cache
def _by_id() -> Statement:
    ids = bindparam("ids", type_=ARRAY(Text))
    return compiled(select(TrustedDocument.id, TrustedDocument.text).where(TrustedDocument.id == any_(ids)))


async def find_documents(database: Database, ids: Sequence[str]) -> dict[str, str]:
    """The texts of those ids that are known."""
    statement = _by_id()
    return {row["id"]: row["text"] for row in await database.fetch(statement.text, statement.arguments({"ids": ids}))}


def _array(texts: Iterable[str]) -> BindParameter[list[str]]:
    """Texts as one parameter, however many they are."""
    return literal([*texts], ARRAY(Text))


class IdsTaken(Exception):
    """Some ids stand for other documents already. An id that clients send must not change its meaning."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(self.__doc__)
        self.ids = ids


async def bring(database: Database, texts: Mapping[str, str]) -> int:
    """Store texts by their ids and by their hashes; gives how many are new. Raises IdsTaken and stores nothing."""
    rows = {**texts, **{alias_of(text): text for text in texts.values()}}
    ids = _array(rows)
    stored = insert(TrustedDocument).from_select(
        ["id", "text"], select(func.unnest(ids), func.unnest(_array(rows.values())))
    )
    async with database.write() as tx:
        stored_now = await tx.execute(stored.on_conflict_do_nothing().returning(TrustedDocument.id))
        new = {row["id"] for row in stored_now}
        known = await tx.execute(
            select(TrustedDocument.id, TrustedDocument.text).where(TrustedDocument.id == any_(ids))
        )
        taken = [id_ for id_, text in known if text != rows[id_]]
        if taken:
            raise IdsTaken(taken)
    return sum(id_ in new for id_ in texts)


async def remove(database: Database, id_: str) -> bool:
    """Trust a document no longer, by none of its ids; false when there is none of this id."""
    same = select(TrustedDocument.text).where(TrustedDocument.id == id_).scalar_subquery()
    async with database.write() as tx:
        gone = await tx.execute(
            delete(TrustedDocument).where(TrustedDocument.text == same).returning(TrustedDocument.id)
        )
        return bool(gone)


async def brought(database: Database) -> list[Trusted]:
    """All trusted documents, the newest last."""
    statement = compiled(
        select(TrustedDocument.id, TrustedDocument.text, TrustedDocument.created_at).order_by(
            TrustedDocument.created_at, TrustedDocument.id
        )
    )
    found: dict[str, Trusted] = {}
    for row in await database.fetch(statement.text, ()):
        document = found.setdefault(row["text"], Trusted([], row["text"], row["created_at"]))
        if row["id"] != alias_of(row["text"]):
            document.ids.append(row["id"])
    for text, document in found.items():
        if not document.ids:
            document.ids.append(alias_of(text))
    return list(found.values())
