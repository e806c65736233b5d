"""Who is asking: from a token to a viewer."""

import time
from typing import Any
from uuid import UUID

import jwt
from cachetools import LRUCache, TTLCache

from db import ANONYMOUS, Viewer
from db.engine import Database
from gateway.errors import Code, RequestError
from gateway.settings import Settings
from resolvers.viewer import find_viewer

REVOCATION_SECONDS = 5
"""How long a person whose role changed, or who was locked out, can still go on as before."""


class Unauthenticated(RequestError):
    """The token is no good."""

    def __init__(self, message: str) -> None:
        super().__init__(401, Code.UNAUTHENTICATED, message, headers={"WWW-Authenticate": "Bearer"})


class Tokens:
    """Signs and reads the tokens of one secret."""

    def __init__(self, secret: str, settings: Settings) -> None:
        self.secret = secret
        self.audience = settings.jwt_audience
        self.issuer = settings.jwt_issuer
        self._read: LRUCache[str, tuple[UUID, float]] = LRUCache(maxsize=10_000)

    def sign(self, user_id: UUID, *, seconds: int = 30 * 24 * 3600) -> str:
        """A token for a person, good for this long."""
        claims: dict[str, Any] = {"sub": str(user_id), "exp": int(time.time()) + seconds}
        if self.audience:
            claims["aud"] = self.audience
        if self.issuer:
            claims["iss"] = self.issuer
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def read(self, token: str) -> UUID:
        """The id of the person that a token is for. Raises Unauthenticated."""
        user_id, expires = self._read.get(token) or self._decode(token)
        if expires <= time.time():
            raise Unauthenticated("The token has expired. Sign in again.")
        return user_id

    def _decode(self, token: str) -> tuple[UUID, float]:
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=["HS256"],
                audience=self.audience,
                issuer=self.issuer,
                options={"require": ["sub", "exp"]},
            )
            found = UUID(claims["sub"]), float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired. Sign in again.") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated("The token is not valid here. Sign in again.") from error
        self._read[token] = found
        return found


class Authenticator:
    """Finds the viewer of a request."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self.database = database
        self.tokens = tokens
        self._viewers: TTLCache[UUID, Viewer | None] = TTLCache(maxsize=10_000, ttl=REVOCATION_SECONDS)

    async def viewer(self, authorization: str | None) -> Viewer:
        """The viewer that an Authorization header stands for; without one, nobody. Raises Unauthenticated."""
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send the token as `Authorization: Bearer <token>`.")
        user_id = self.tokens.read(token.strip())
        if user_id not in self._viewers:
            self._viewers[user_id] = await find_viewer(self.database, user_id)
        viewer = self._viewers.get(user_id)
        if viewer is None:
            raise Unauthenticated("The token is for somebody who may not sign in.")
        return viewer
