"""Downloads: addresses where whoever knows them can read a file for a while."""

import hashlib
import hmac
import time
from typing import Final
from urllib.parse import quote, urlencode

from db.storage import Storage
from resolvers.services import Services

SECONDS: Final = 900
"""For how long an address is good."""

ROUTE: Final = "/files/"
"""Where files of a folder are served. The key follows."""


async def download_url(services: Services, link: str | None, name: str | None) -> str | None:
    """Where a file of ours can be read for a while: in the bucket, or at `ROUTE` of this gateway.

    None for a link that leads elsewhere. name: what it is to be called when it is saved. Raises StorageUnavailable.
    """
    key = Storage.key_of(link)
    if key is None:
        return None
    if url := await services.storage.signed_url(key, SECONDS):
        return url
    name = name or key.rpartition("/")[2]
    expires = str(int(time.time()) + SECONDS)
    query = {"name": name, "expires": expires, "signature": signature(services.secret, key, name, expires)}
    return f"{ROUTE}{quote(key)}?{urlencode(query)}"


def is_signed(secret: bytes, key: str, name: str, expires: str, given: str) -> bool:
    """Whether an address was made by `download_url`."""
    return hmac.compare_digest(signature(secret, key, name, expires).encode(), given.encode())


def signature(secret: bytes, key: str, name: str, expires: str) -> str:
    """What nobody can write under an address without the secret. No part of it can hold the character between them."""
    return hmac.new(secret, f"{key}\0{name}\0{expires}".encode(), hashlib.sha256).hexdigest()
