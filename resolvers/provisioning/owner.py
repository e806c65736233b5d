"""Owners of vector stores: a domain, an expert, a client of a domain, or a clone, each of which has one store."""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from db import StoreOwner
from db.engine import Database

OWNER = {
    "domain": """
        SELECT domain_name AS title, domain_name, NULL AS expert_name, NULL AS client_name, owner_id,
            NULL::uuid AS clone_id, id AS domain_id, NULL::uuid AS expert_id, (
                SELECT vector_id FROM vector_stores AS store WHERE store.domain_name = domains.domain_name
                    AND owner = 'domain' AND coalesce(provider, 'openai') = $2 ORDER BY created_at, id LIMIT 1
            ) AS vector_id
        FROM domains WHERE id = $1 AND $3::text IS NULL
    """,
    "expert": """
        SELECT name AS title, domain AS domain_name, name AS expert_name, NULL AS client_name, owner_id,
            NULL::uuid AS clone_id, NULL::uuid AS domain_id, id AS expert_id, (
                SELECT vector_id FROM vector_stores WHERE expert_name = name
                    AND owner = 'expert' AND coalesce(provider, 'openai') = $2 ORDER BY created_at, id LIMIT 1
            ) AS vector_id
        FROM experts WHERE id = $1 AND $3::text IS NULL
    """,
    "client": """
        SELECT domain_name || ', ' || $3 AS title, domain_name, NULL AS expert_name, $3::text AS client_name, owner_id,
            NULL::uuid AS clone_id, id AS domain_id, NULL::uuid AS expert_id, (
                SELECT vector_id FROM vector_stores AS store WHERE store.domain_name = domains.domain_name
                    AND owner = 'client' AND client_name = $3 AND coalesce(provider, 'openai') = $2
                    AND NOT EXISTS (SELECT FROM clones WHERE vector_store_id = vector_id)
                ORDER BY created_at, id LIMIT 1
            ) AS vector_id
        FROM domains WHERE id = $1
    """,
    "clone": """
        SELECT clones.name AS title, domain_name, NULL AS expert_name, full_name AS client_name,
            creator_id AS owner_id, clones.id AS clone_id, domain_id, NULL::uuid AS expert_id, (
                SELECT vector_id FROM vector_stores
                WHERE vector_id = vector_store_id AND coalesce(provider, 'openai') = $2
            ) AS vector_id
        FROM clones LEFT JOIN domains ON domains.id = domain_id
            LEFT JOIN user_profiles AS creator ON creator.id = creator_id
        WHERE clones.id = $1 AND $3::text IS NULL
    """,
}
"""Each kind of owner by its id, with its store at a provider ($2). A client has a name, too ($3)."""

OF_STORE = """
    SELECT coalesce(
        (SELECT 'clone:' || clones.id FROM clones WHERE vector_store_id = vector_id ORDER BY created_at LIMIT 1),
        CASE owner
            WHEN 'expert' THEN (SELECT 'expert:' || experts.id FROM experts WHERE name = expert_name)
            WHEN 'client' THEN (
                SELECT 'client:' || domains.id || ':' || client_name FROM domains
                WHERE domains.domain_name = store.domain_name)
            ELSE (SELECT 'domain:' || domains.id FROM domains WHERE domains.domain_name = store.domain_name)
        END
    ) AS subject
    FROM vector_stores AS store WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation is for, as it is written: `clone:`, an id, and for a client `:` and its name."""

    kind: str
    id: UUID
    client_name: str | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, (self.kind, str(self.id), self.client_name)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The subject that is written so."""
        kind, id_, *client_name = text.split(":", 2)
        return cls(kind, UUID(id_), *client_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An owner of a vector store. vector_id: its store at the provider, if it has one."""

    subject: Subject
    title: str
    domain_name: str | None
    expert_name: str | None
    client_name: str | None
    owner_id: UUID | None
    clone_id: UUID | None
    domain_id: UUID | None
    expert_id: UUID | None
    vector_id: str | None

    @property
    def store_kind(self) -> StoreOwner:
        """What its store is made for, as the column has it: a clone's is that of a client, who is its creator."""
        return {"domain": StoreOwner.DOMAIN, "expert": StoreOwner.EXPERT}.get(self.subject.kind, StoreOwner.CLIENT)

    @property
    def key(self) -> str:
        """What its store at the provider is made for."""
        return f"{self.subject}:store"


async def find_owner(database: Database, subject: Subject, provider: str) -> Owner | None:
    """The owner that a subject is; None if it is none, or there is none any more."""
    if subject.kind not in OWNER:
        return None
    rows = await database.primary.fetch(OWNER[subject.kind], [subject.id, provider, subject.client_name])
    found: dict[str, Any] | None = dict(rows[0]) if rows else None
    return Owner(subject=subject, **found) if found else None
