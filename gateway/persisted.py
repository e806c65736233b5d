"""Persisted documents: those a client has taught us (automatic), and those an operator trusts."""

import hashlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cachetools import LRUCache, TTLCache

from db.engine import Database
from gateway.errors import Code, RequestError
from gateway.request import GraphQLRequest
from gateway.settings import Documents as Mode
from gateway.settings import Settings
from resolvers.trusted_document import LONGEST_ID, alias, find_documents

NOT_FOUND = "PersistedQueryNotFound"
"""What Apollo's clients look for in the message, to send the document in full."""
NOT_TRUSTED = (
    "Only trusted documents are executed here, and this is none of them."
    " Bring your application's documents with `clonegraph documents push MANIFEST`."
)

KEPT_BYTES = 20_000_000
"""How much memory the texts of each kind may take in this process."""
TRUSTED_SECONDS = 60
"""How long a document that was removed can still be executed."""
UNKNOWN_SECONDS = 2
"""How long a document that was pushed can still be unknown."""

KEY = "clonegraph:document:"
"""What the keys in Redis begin with."""
SHARED_SECONDS = 7 * 24 * 3600
SHA256_DIGITS = 64

if TYPE_CHECKING:
    from gateway.shared_redis import SharedRedis


class PersistedDocuments:
    """Texts of documents, by the hashes that clients send with them and by the ids of an operator's manifests."""

    def __init__(self, settings: Settings, database: Database, shared: "SharedRedis | None" = None) -> None:
        self.database = database
        self.only_trusted = settings.documents is Mode.TRUSTED
        self._shared = SharedTexts(shared) if shared else None
        self._texts: LRUCache[str, str] = LRUCache(maxsize=KEPT_BYTES, getsizeof=sys.getsizeof)
        self._trusted: TTLCache[str, str] = TTLCache(KEPT_BYTES, TRUSTED_SECONDS, getsizeof=sys.getsizeof)
        self._unknown: TTLCache[str, bool] = TTLCache(maxsize=10_000, ttl=UNKNOWN_SECONDS)

    async def find(self, sha256: str) -> str:
        """The text that a client or an operator has sent before. Raises RequestError; a client then sends the text."""
        text = self._texts.get(sha256.lower())
        if text is None and self._shared:
            text = await self._shared.find(sha256.lower())
            if text is not None:
                self._keep(sha256.lower(), text)
        if text is None:
            text = await self._find_trusted((sha256, alias(sha256.lower())))
        if text is None:
            raise RequestError(200, Code.PERSISTED_QUERY_NOT_FOUND, NOT_FOUND)
        return text

    async def keep(self, expected: str, sha256: str, text: str) -> None:
        """Keep a text that a client sends with its hash. Raises RequestError when the hash is of another text."""
        if expected.lower() != sha256:
            raise RequestError(422, Code.BAD_REQUEST, "extensions.persistedQuery.sha256Hash is not that of query.")
        if sha256 in self._texts or self.only_trusted:
            return
        self._keep(sha256, text)
        if self._shared:
            await self._shared.keep(sha256, text)

    async def trusted(self, request: GraphQLRequest) -> str:
        """The trusted text that a request names by an id, by its hash, or by itself. Raises RequestError."""
        if request.document_id is not None:
            ids: tuple[str, ...] = (request.document_id,)
        elif request.query is not None:
            ids = (alias(hashlib.sha256(request.query.encode()).hexdigest()),)
        else:
            sha256 = request.persisted_hash or ""
            ids = (sha256, alias(sha256.lower()))
        text = await self._find_trusted(ids)
        if text is not None:
            return text
        if self.only_trusted:
            raise RequestError(403, Code.DOCUMENT_NOT_TRUSTED, NOT_TRUSTED)
        raise RequestError(
            422,
            Code.PERSISTED_QUERY_NOT_FOUND,
            "There is no document with this documentId. Send the document itself as query,"
            " or bring it with `clonegraph documents push MANIFEST`.",
        )

    def _keep(self, sha256: str, text: str) -> None:
        if sys.getsizeof(text) <= KEPT_BYTES:
            self._texts[sha256] = text

    async def _find_trusted(self, ids: Sequence[str]) -> str | None:
        for id_ in ids:
            if (text := self._trusted.get(id_)) is not None:
                return text
        asked = [id_ for id_ in ids if id_ not in self._unknown and len(id_) <= LONGEST_ID and "\0" not in id_]
        if not asked:
            return None
        found = await find_documents(self.database, asked)
        for id_ in asked:
            if id_ not in found:
                self._unknown[id_] = True
            elif sys.getsizeof(found[id_]) <= KEPT_BYTES:
                self._trusted[id_] = found[id_]
        return next((found[id_] for id_ in asked if id_ in found), None)


class SharedTexts:
    """Texts that the nodes tell each other. While Redis is away, each knows what it has heard itself."""

    def __init__(self, shared: "SharedRedis") -> None:
        self.shared = shared

    async def find(self, sha256: str) -> str | None:
        """The text with this hash, if a node has kept it."""
        if len(sha256) != SHA256_DIGITS:
            return None
        found = await self.shared.attempt(lambda: self.shared.client.get(KEY + sha256))
        text = str(found) if found is not None else None
        return text if text is not None and hashlib.sha256(text.encode()).hexdigest() == sha256 else None

    async def keep(self, sha256: str, text: str) -> None:
        """Tell the other nodes a text."""
        await self.shared.attempt(lambda: self.shared.client.set(KEY + sha256, text.encode(), ex=SHARED_SECONDS))
