"""What can be done with the tokens of services: issue, list and revoke them, and find whom one stands for."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Uuid, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from db import Scope, ServiceToken, Viewer, ViewerKind
from db.engine import Database
from db.service_token import PREFIX
from db.statement import Statement, compiled

NOTED_EACH = timedelta(minutes=1)
"""How often it is noted that a token is used."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose token is good. expires: when it ends, as a Unix time. unnoted: whether its use is to be noted."""

    id: UUID
    viewer: Viewer
    expires: float | None
    unnoted: bool


@cache
def _statement(*, by_id: bool) -> Statement:
    key = ServiceToken.id == bindparam("key", type_=Uuid())
    if not by_id:
        key = ServiceToken.token_hash == bindparam("key", type_=LargeBinary())
    return compiled(
        select(ServiceToken.id, ServiceToken.scopes, ServiceToken.expires_at, ServiceToken.last_used_at).where(
            key,
            ServiceToken.revoked_at.is_(None),
            or_(ServiceToken.expires_at.is_(None), ServiceToken.expires_at > func.now()),
        )
    )


async def find_service(database: Database, key: UUID | bytes) -> Service | None:
    """The service with this id, or with the token of this SHA-256; None when it may not ask any longer."""
    statement = _statement(by_id=isinstance(key, UUID))
    rows = await database.fetch(statement.text, statement.arguments({"key": key}))
    if not rows:
        return None
    id_, scopes, expires_at, last_used_at = rows[0]
    return Service(
        id_,
        Viewer(ViewerKind.SERVICE, id_, frozenset(scopes)),
        expires_at and expires_at.timestamp(),
        last_used_at is None or last_used_at.timestamp() < time.time() - NOTED_EACH.total_seconds(),
    )


async def note_use(database: Database, id_: UUID) -> None:
    """Note that a token is used now, unless that was noted a moment ago."""
    unnoted = or_(ServiceToken.last_used_at.is_(None), ServiceToken.last_used_at < func.now() - NOTED_EACH)
    async with database.write() as tx:
        await tx.execute(update(ServiceToken).where(ServiceToken.id == id_, unnoted).values(last_used_at=func.now()))


async def issue(database: Database, name: str, scopes: Iterable[Scope], days: int | None) -> str | None:
    """The text of a new token, good for so many days, or for ever; None when the service has one already."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = insert(ServiceToken).values(
        name=name,
        token_hash=hashlib.sha256(token.encode()).digest(),
        scopes=sorted({Scope.READ, *scopes}),
        expires_at=days and datetime.now(UTC) + timedelta(days=days),
    )
    async with database.write() as tx:
        issued = await tx.scalar(row.on_conflict_do_nothing().returning(ServiceToken.id))
    return token if issued else None


async def revoke(database: Database, name: str) -> bool:
    """Revoke the token of a service; false when it has none."""
    good = update(ServiceToken).where(ServiceToken.name == name, ServiceToken.revoked_at.is_(None))
    async with database.write() as tx:
        return await tx.scalar(good.values(revoked_at=func.now()).returning(ServiceToken.id)) is not None


async def issued(database: Database) -> Sequence[Mapping[str, Any]]:
    """All tokens, also those that are over, by the names of the services."""
    statement = compiled(
        select(
            ServiceToken.name,
            ServiceToken.scopes,
            ServiceToken.created_at,
            ServiceToken.expires_at,
            ServiceToken.revoked_at,
            ServiceToken.last_used_at,
        ).order_by(ServiceToken.name, ServiceToken.created_at)
    )
    return await database.fetch(statement.text, ())
