"""Who is asking: from a token to a caller."""

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import NamedTuple
from uuid import UUID

import structlog
from aiodataloader import DataLoader
from cachetools import TTLCache
from starlette.requests import HTTPConnection

from db import ANONYMOUS, Viewer, ViewerKind
from db.engine import Database
from db.service_token import PREFIX
from gateway.operation import Caller
from gateway.tokens import EXPIRED, Tokens, Unauthenticated
from resolvers.service_token import Service, find_service, note_use
from resolvers.viewer import find_viewers

REVOCATION_SECONDS = 5
"""How long somebody whose role changed, or who was locked out, can still go on as before."""
LONGEST = 8_192
"""How many characters a token may have."""

log = structlog.get_logger()


class Identity(NamedTuple):
    """Whom a token stands for. expires: when it ends, as a Unix time."""

    viewer: Viewer
    principal: str
    expires: float | None


class Authenticator:
    """Finds who sends a request."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self.database = database
        self.tokens = tokens
        self._people: TTLCache[UUID, Viewer | None] = TTLCache(maxsize=10_000, ttl=REVOCATION_SECONDS)
        self._services: TTLCache[bytes | UUID, Service] = TTLCache(maxsize=10_000, ttl=REVOCATION_SECONDS)
        self._noting: set[asyncio.Task[None]] = set()

    async def caller(self, connection: HTTPConnection, said: Mapping[str, str] | None = None) -> Caller:
        """Who sends a request, or opens a socket. Raises Unauthenticated.

        said: what a socket's first message says, named like headers. It counts for more than they do.
        """
        headers = {**connection.headers, **said} if said else connection.headers
        name = headers.get("graphql-client-name") or headers.get("apollographql-client-name")
        version = headers.get("graphql-client-version") or headers.get("apollographql-client-version")
        identity = await self.identify(headers.get("authorization"))
        if identity is None:
            return Caller(ANONYMOUS, address(connection), name, version)
        return Caller(identity.viewer, identity.principal, name, version, identity.expires)

    async def refresh(self, caller: Caller) -> Caller:
        """The same caller as the database knows it now. Raises Unauthenticated when it may not go on."""
        if caller.expires is not None and caller.expires <= time.time():
            raise Unauthenticated(EXPIRED)
        if caller.viewer.kind is ViewerKind.SERVICE:
            id_ = UUID(caller.principal.partition(":")[2])
            return replace(caller, viewer=(await self._service(id_)).viewer)
        if caller.viewer.id is not None:
            return replace(caller, viewer=await self._person(caller.viewer.id))
        return caller

    async def identify(self, authorization: str | None) -> Identity | None:
        """Whom an Authorization header stands for; None without one. Raises Unauthenticated."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the token as `Authorization: Bearer <token>`.")
        if len(token) > LONGEST:
            raise Unauthenticated(f"The token is too long: it may have {LONGEST} characters.")
        if token.startswith(PREFIX):
            service = await self._service(hashlib.sha256(token.encode()).digest())
            return Identity(service.viewer, f"service:{service.id}", service.expires)
        claims = await self.tokens.read(token)
        return Identity(await self._person(claims.user_id), f"user:{claims.user_id}", claims.expires)

    async def close(self) -> None:
        """Come to an end with what is still being noted."""
        if self._noting:
            await asyncio.wait(self._noting, timeout=2)

    async def _person(self, user_id: UUID) -> Viewer:
        viewer = self._people.get(user_id)
        if viewer is None and user_id not in self._people:
            viewer = self._people[user_id] = await self._viewers.load(user_id)
        if viewer is None:
            raise Unauthenticated("The token is for somebody who may not sign in.")
        return viewer

    @cached_property
    def _viewers(self) -> DataLoader[UUID, Viewer | None]:
        """Looks everybody up with one statement who is asked for at the same moment: on an event, all who watch are."""
        return DataLoader(self._find_viewers, cache=False)

    async def _find_viewers(self, ids: list[UUID]) -> list[Viewer | None]:
        found = await find_viewers(self.database, list(set(ids)))
        return [found.get(each) for each in ids]

    async def _service(self, key: bytes | UUID) -> Service:
        service = self._services.get(key)
        if service is None:
            service = await find_service(self.database, key)
            if service is None:
                raise Unauthenticated("The service token is unknown, revoked or expired.")
            self._services[key] = service
            if service.unnoted:
                task = asyncio.create_task(self._note(service.id))
                self._noting.add(task)
                task.add_done_callback(self._noting.discard)
        elif service.expires is not None and service.expires <= time.time():
            raise Unauthenticated(EXPIRED)
        return service

    async def _note(self, id_: UUID) -> None:
        try:
            await note_use(self.database, id_)
        except Exception as error:  # noqa: BLE001 (nobody waits for it, and the next use is noted again)
            log.warning("use_of_service_token_not_noted", reason=str(error))


def address(connection: HTTPConnection) -> str:
    """The principal of an anonymous connection: where it comes from.

    Of IPv6, that is the network that one household or machine has to itself.
    """
    return _address(connection.client.host if connection.client else "nowhere")


@lru_cache(maxsize=10_000)
def _address(host: str) -> str:
    with suppress(ValueError):
        found = ipaddress.ip_address(host)
        if isinstance(found, ipaddress.IPv6Address):
            host = str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
    return f"address:{host}"
