"""Idempotency: what is sent twice under one key is done once.

The key is written in the transaction of the effect, so there is never one without the other. Whoever sends it while
that transaction runs waits for it, at the unique key; whoever sends it later gets what came of it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from db.errors import ValueRefused
from db.transaction import Transaction
from resolvers.context import Context
from resolvers.permissions import MAY_NOT_DO, Forbidden
from resolvers.problems import IdempotencyInProgress, IdempotencyKeyReused

PATIENCE = 5
"""For how many seconds one waits for the same request to be done."""

CLAIM = """
    INSERT INTO idempotency_keys (actor, key, request_hash, subject) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING true
"""
KEPT = "SELECT request_hash, subject FROM idempotency_keys WHERE actor = $1 AND key = $2"
FORGET = "DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => $1)"

HOURS_KEPT = 48


class Request(NamedTuple):
    """A mutation as it was sent. values: its input."""

    mutation: str
    key: UUID
    values: Mapping[str, Any]

    @property
    def hash(self) -> bytes:
        """What tells it from any other. Raises ValueRefused for JSON that no column could hold."""
        try:
            text = orjson.dumps([self.mutation, self.values], default=str, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:  # a number of more than 64 bits
            raise ValueRefused(str(error)) from error
        return hashlib.sha256(text).digest()


async def once(
    context: Context, request: Request, subject: UUID, act: Callable[[Transaction], Awaitable[None]]
) -> UUID:
    """The row that a request was about: `subject`, if it is done now, or the one of when it was done.

    Raises IdempotencyKeyReused, IdempotencyInProgress, and whatever `act` raises, after which nothing has happened:
    the key can be used again.
    """
    actor = context.viewer.actor
    if actor is None:
        raise Forbidden(MAY_NOT_DO)
    async with context.database.write() as tx:
        try:
            is_first = await tx.fetch(CLAIM, actor, request.key, request.hash, subject, patience=PATIENCE)
        except TimeoutError:
            raise IdempotencyInProgress from None
        if is_first:
            await act(tx)
            return subject
        kept = await tx.row(KEPT, actor, request.key)
    if kept is None or kept["request_hash"] != request.hash:
        raise IdempotencyKeyReused
    key: UUID = kept["subject"]
    return key


async def earlier(context: Context, request: Request) -> UUID | None:
    """The row that a request was about when it was done; None if it was not. For what takes long before `once`.

    Raises IdempotencyKeyReused.
    """
    rows = await context.database.primary.fetch(KEPT, [context.viewer.actor, request.key])
    if rows and rows[0]["request_hash"] != request.hash:
        raise IdempotencyKeyReused
    return rows[0]["subject"] if rows else None


async def forget(tx: Transaction) -> None:
    """Forget the keys of long ago."""
    await tx.fetch(FORGET, HOURS_KEPT)
