"""Search, as the graph shows it."""

from typing import Annotated, Any

import strawberry

import db
from loaders.relation import Relation
from resolvers.search import MOST_HITS, search_knowledge
from schema.edge import ToOne
from schema.field import Computed, Info
from schema.ids import key_of


def _stored(name: str, type_: Any, description: str) -> Any:
    def value(of: Any) -> Any:
        return of

    value.__doc__ = description
    return Computed(value, (name,), type_)


@strawberry.type(description="A passage that fits a question.")
class KnowledgeHit:
    """A passage that was found. Behind it is a record of `resolvers.search.Hit`."""

    score = _stored("score", float, "How well it fits; higher is better. Only hits of one search compare.")
    passage = _stored("passage", str, "The words.")
    file_name = _stored("file_name", str, "The file that they are from, as it is called at the provider.")
    document = ToOne(Relation("document_id", db.Document.id, many=False), "The document, if it is from one.")
    knowledge = ToOne(
        Relation("knowledge_id", db.Knowledge.id, many=False), "The clone's knowledge, if it is from some."
    )


@strawberry.input(one_of=True, description="Where to look.")
class SearchScopeInput:
    """Where to look."""

    clone_id: strawberry.ID | None = strawberry.field(
        description="In what a clone of yours can answer from.", default=strawberry.UNSET
    )
    domain_id: strawberry.ID | None = strawberry.field(
        description="In the default documents of a domain of yours.", default=strawberry.UNSET
    )


async def _search_knowledge(
    info: Info,
    scope: Annotated[SearchScopeInput, strawberry.argument(name="in", description="Where to look.")],
    query: Annotated[str, strawberry.argument(description="A question, or some words.")],
    first: Annotated[int, strawberry.argument(description=f"How many hits, {MOST_HITS} at most.")] = 10,
) -> Any:
    row: type[db.Row] = db.Clone if scope.clone_id else db.Domain
    key = key_of(row, scope.clone_id or scope.domain_id or "")
    hits = await info.context.done_once(info.path.key, lambda: search_knowledge(info.context, row, key, query, first))
    return [hit._asdict() for hit in hits]


knowledge_search: Any = strawberry.field(
    resolver=_search_knowledge,
    graphql_type=list[KnowledgeHit],
    description="The passages that fit a question best, the best first. The provider `local` compares spelling, and"
    " not meaning.",
)
