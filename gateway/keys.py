"""The public keys that an identity provider publishes (JWKS), as new as they have to be."""

import asyncio
import math
import time
from typing import Any

import structlog
from jwt import PyJWK, PyJWKClient, PyJWTError

from gateway.errors import Code, RequestError

LIFETIME = 300.0
"""How old keys may get before they are fetched again, in seconds."""
PAUSE = 5.0
"""How long after a failure, or after looking for a key that was not there, nothing is fetched."""
PATIENCE = 1.0
"""How long a request waits for newer keys while there are older ones."""
TIMEOUT = 5.0

log = structlog.get_logger()


class KeysUnavailable(RequestError):
    """The keys that tokens are read with cannot be had just now. Try again in a moment."""

    def __init__(self) -> None:
        super().__init__(503, Code.UNAVAILABLE, str(self.__doc__), headers={"Retry-After": f"{PAUSE:.0f}"})


class PublishedKeys:
    """The keys at an address. One fetch serves all who wait; old keys are used while there are no newer ones."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.trouble: str | None = None
        """What the last fetch failed of, if it did."""
        # In a thread, and so blocking nobody: it knows the proxies and certificates of the system, follows no
        # redirects, and comes with the library that reads the keys. What it caches would be fetched while we wait.
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT)
        self._keys: list[dict[str, Any]] = []
        self._fetched = self._failed = self._searched = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, id_: str | None, algorithm: str) -> PyJWK | None:
        """The key of this id for this algorithm; without an id, the only one that fits. Raises KeysUnavailable."""
        start = time.monotonic()
        if not self._keys:
            await self.renew()
            if not self._keys:
                raise KeysUnavailable
        elif start - self._fetched > LIFETIME:
            await self.renew(PATIENCE)
        key = self._match(id_, algorithm)
        if key is None and self._fetched < start and (self._fetching or start - self._searched > PAUSE):
            self._searched = start
            await self.renew()
            key = self._match(id_, algorithm)
        return key

    async def renew(self, patience: float | None = None) -> None:
        """Fetch the keys, unless that failed a moment ago. patience: how long to wait for them."""
        if self._fetching is None:
            if time.monotonic() - self._failed < PAUSE:
                return
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.wait({self._fetching}, timeout=patience)

    async def _fetch(self) -> None:
        try:
            found = await asyncio.to_thread(self._client.fetch_data)
            keys = [each for each in found.get("keys", ()) if _is_usable(each)]
            if not keys:
                raise ValueError("there is no key in it that signatures can be checked with")  # noqa: TRY301
        except (PyJWTError, OSError, ValueError, TypeError, RecursionError) as error:
            self._failed = time.monotonic()
            reason = str(error.__cause__ or error)
            if self.trouble is None:
                log.warning("keys_unavailable", url=self.url, reason=reason)
            self.trouble = reason
        else:
            if self.trouble is not None:
                log.info("keys_available", url=self.url)
            self._keys, self._fetched, self.trouble = keys, time.monotonic(), None
        finally:
            self._fetching = None

    def _match(self, id_: str | None, algorithm: str) -> PyJWK | None:
        fitting = [each for each in self._keys if _fits(each, algorithm) and id_ in (None, each.get("kid"))]
        if not fitting or (id_ is None and len(fitting) > 1):
            return None
        return PyJWK(fitting[0], algorithm)


FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of key that an algorithm needs, by the first letters of its name."""


def _is_usable(key: Any) -> bool:
    """Whether signatures can be checked with a key. A shared secret is none: nobody publishes one."""
    if not isinstance(key, dict) or key.get("kty") not in FAMILIES.values():
        return False
    if key.get("use", "sig") != "sig" or "verify" not in key.get("key_ops", ("verify",)):
        return False
    try:
        PyJWK(key)
    except PyJWTError:
        return False
    return True


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    return bool(key["kty"] == FAMILIES[algorithm[:2]] and key.get("alg", algorithm) == algorithm)
