"""How domains are doing, as the graph shows it."""

from typing import Annotated, Any

import strawberry

import db
from loaders.health import FIGURES, HealthLoader
from loaders.relation import Columns, Relation
from loaders.rows import Loader, Loaders
from schema import ids
from schema.edge import Keyed, ToOne
from schema.field import Computed, Info
from schema.selection import object_type, selected_columns


def _figure(name: str, description: str) -> Any:
    def figure(number: int) -> int:
        return number

    figure.__doc__ = description
    return Computed(figure, (name,), int)


@strawberry.type(description="What a domain has, counted over the rows that you can see.")
class DomainHealth:
    """What a domain has. Behind it is a record of the domain's name and the selected figures."""

    domain = ToOne(Relation("domain_name", db.Domain.name, many=False), "The domain.")
    expert_count = _figure("expert_count", "How many experts there are.")
    document_count = _figure("document_count", "How many documents there are.")
    vector_store_count = _figure("vector_store_count", "How many vector stores there are.")
    assistant_count = _figure("assistant_count", "How many assistants the domain's experts have.")
    clone_count = _figure("clone_count", "How many clones work in the domain.")
    failed_document_count = _figure("failed_document_count", "How many documents failed in some vector store.")
    stale_vector_store_count = _figure(
        "stale_vector_store_count", "How many of the domain's own vector stores lack a document that they should hold."
    )


class Health(Keyed):
    """The figures of a domain, counted together with those of all others in the answer."""

    def __init__(self) -> None:
        super().__init__(description="What the domain has, counted over the rows that you can see.")
        self.type = DomainHealth
        self.columns = ("name",)

    def loader(self, loaders: Loaders, columns: Columns) -> Loader[Any]:
        """What counts the figures that are selected."""
        return _loader(loaders, columns)


async def domain_health(
    info: Info,
    domain: Annotated[
        strawberry.ID | None, strawberry.argument(description="Only this domain; all of them unless told.")
    ] = None,
) -> Any:
    """The figures of all domains, by name, or of one."""
    raw, loaders = info._raw_info, info.context.loaders
    loader = _loader(loaders, selected_columns(raw, raw.field_nodes, object_type(raw.return_type)))
    if domain is None:
        return await loader.load_all()
    row = await loaders.get(db.Domain, ids.key_of(db.Domain, domain), ("name",))
    return [await loader.load(row["name"])] if row else []


def _loader(loaders: Loaders, columns: Columns) -> HealthLoader:
    return loaders.get_loader(HealthLoader, tuple(name for name in FIGURES if name in columns))
