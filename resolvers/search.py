"""Search: the passages that fit a question best, in what a clone answers from, or in what a domain has."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, true

from db import Clone, Domain, Row, ViewerKind
from db.viewer import VIEWER_ID
from loaders.errors import BadInput
from resolvers.citation import sources
from resolvers.context import Context
from resolvers.permissions import editable
from resolvers.provisioning.account import Account
from resolvers.provisioning.provider import Passage
from resolvers.texts import faults

LONGEST_QUERY: Final = 2_000
MOST_HITS: Final = 50

STORES: Final[Mapping[type[Row], str]] = {
    Clone: """
        SELECT vector_id FROM vector_stores AS store JOIN clones ON clones.id = $2
            LEFT JOIN domains ON domains.id = clones.domain_id
        WHERE coalesce(provider, 'openai') = $1 AND (
            vector_id = clones.vector_store_id
            OR owner = 'expert' AND expert_name IN (SELECT expert_name FROM clone_experts WHERE clone_id = clones.id)
            OR owner = 'domain' AND store.domain_name = domains.domain_name)
        ORDER BY vector_id = clones.vector_store_id DESC NULLS LAST, store.created_at, store.id
    """,
    Domain: """
        SELECT vector_id FROM vector_stores JOIN domains USING (domain_name)
        WHERE coalesce(provider, 'openai') = $1 AND domains.id = $2 AND owner = 'domain'
        ORDER BY created_at, vector_stores.id
    """,
}
"""Where a clone can look: its own store, its experts', its domain's. A domain has its default store."""


class Hit(NamedTuple):
    """A passage that was found, and what it is from."""

    score: float
    passage: str
    file_name: str
    document_id: UUID | None
    knowledge_id: UUID | None


async def search_knowledge(context: Context, row: type[Row], id_: UUID, query: str, first: int) -> Sequence[Hit]:
    """The passages that fit best, the best first. Raises BadInput, also for what the viewer may not change."""
    for fault in faults(query, "query", most=LONGEST_QUERY):
        raise BadInput(f"`query`: {fault}")
    if not 1 <= first <= MOST_HITS:
        raise BadInput(f"`first` must be from 1 to {MOST_HITS}.")
    rule = true() if context.viewer.kind is ViewerKind.SERVICE else editable(row, context.viewer)
    async with context.database.write() as tx:
        found = select(row.id).where((row.id == id_) & rule)
        if await tx.scalar(found, {VIEWER_ID.key: context.viewer.id}) is None:
            raise BadInput(f"There is no {row.__name__.lower()} with this id that you may search.")
    stores = await context.database.fetch(STORES[row], [context.provider.name, id_])
    if not stores:
        return ()
    async with Account(context.database, context.provider.name).act():
        passages = await context.provider.search([each["vector_id"] for each in stores], query, first)
    return await _hits(context, id_, passages)


async def _hits(context: Context, id_: UUID, passages: Sequence[Passage]) -> Sequence[Hit]:
    async with context.database.write() as tx:
        cited: Sequence[Any] = await sources(tx, context.provider.name, id_, passages)
    return [
        Hit(passage.score, passage.text, passage.file_name, source.document_id, source.knowledge_id)
        for passage, source in zip(passages, cited, strict=False)
    ]
