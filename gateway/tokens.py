"""Tokens: who is meant, once the signature, the time, the audience and the issuer hold."""

import hashlib
import time
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from cachetools import TTLCache

from gateway.errors import Code, RequestError
from gateway.keys import LIFETIME, PublishedKeys
from gateway.settings import Settings, SettingsError

LEEWAY = 2
"""How far our clock and that of whoever signs may be apart, in seconds."""
SHARED = "HS256"
"""The algorithm of tokens that are signed with our secret. Published keys are never used with it."""


class Unauthenticated(RequestError):
    """The token is no good."""

    def __init__(self, message: str) -> None:
        super().__init__(401, Code.UNAUTHENTICATED, message, headers={"WWW-Authenticate": "Bearer"})


EXPIRED = "The token has expired. Sign in again."
INVALID = "The token is not valid here. Sign in again."
REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, EXPIRED),
    (jwt.ImmatureSignatureError, "The token is not valid yet. The clock of whoever signed it may be ahead."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is from another issuer."),
)
"""What is told of a token that is properly signed. Of others, no more than that they are not valid."""


class Claims(NamedTuple):
    """Whom a token is for, and when it ends, as a Unix time."""

    user_id: UUID
    expires: float


class Tokens:
    """Reads tokens signed with the secret or a published key, and signs them with the secret, if there is one."""

    def __init__(self, secret: str | None, settings: Settings) -> None:
        self.secret = secret
        self.keys = PublishedKeys(settings.jwt_jwks_url) if settings.jwt_jwks_url else None
        self.algorithms = settings.jwt_algorithms
        self.audience = settings.jwt_audience
        self.issuer = settings.jwt_issuer
        # For as long as keys may be old: then the tokens of a key that was withdrawn are refused, too.
        self._read: TTLCache[bytes, Claims] = TTLCache(maxsize=10_000, ttl=LIFETIME)

    def sign(self, user_id: UUID, *, seconds: int = 30 * 24 * 3600) -> str:
        """A token for a person, good for this long. Raises SettingsError where there is no secret to sign with."""
        if self.secret is None:
            raise SettingsError("Set JWT_SECRET to sign tokens here: those of JWT_JWKS_URL are signed elsewhere.")
        claims: dict[str, Any] = {"sub": str(user_id), "exp": int(time.time()) + seconds}
        if self.audience:
            claims["aud"] = self.audience
        if self.issuer:
            claims["iss"] = self.issuer
        return jwt.encode(claims, self.secret, algorithm=SHARED)

    async def read(self, token: str) -> Claims:
        """What a token says. Raises Unauthenticated, and KeysUnavailable where nobody can say."""
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._read.get(digest)
        if claims is None:
            claims = self._read[digest] = await self._verify(token)
        if claims.expires <= time.time():
            raise Unauthenticated(EXPIRED)
        return claims

    async def _verify(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            key = await self._key(algorithm, header.get("kid"))
            if key is None:
                raise Unauthenticated(INVALID)
            claims = jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": ["sub", "exp"], "enforce_minimum_key_length": True},
            )
            return Claims(UUID(claims["sub"]), float(claims["exp"]) + LEEWAY)
        except (jwt.PyJWTError, ValueError, OverflowError) as error:
            message = next((text for kind, text in REASONS if isinstance(error, kind)), INVALID)
            raise Unauthenticated(message) from error

    async def _key(self, algorithm: Any, id_: str | None) -> str | jwt.PyJWK | None:
        """What a token of this algorithm is verified with. The algorithm decides, so neither can pass for the other."""
        if algorithm == SHARED:
            return self.secret
        if self.keys and algorithm in self.algorithms:
            return await self.keys.find(id_, algorithm)
        return None
