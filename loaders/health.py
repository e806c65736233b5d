"""How the domains are doing: what each has of experts, documents, vector stores, assistants and clones.

Each figure is counted in a grouped select of its own, so the cost is the sum of the families and not, as in one
join of all of them, their product. Like every count, each counts what the viewer can see.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from asyncpg import Record
from sqlalchemy import ARRAY, ColumnElement, Select, Text, any_, bindparam, distinct, func, select, true

from db import (
    Assistant,
    Clone,
    Document,
    Domain,
    Expert,
    FileStatus,
    StoreFile,
    StoreOwner,
    VectorStore,
    Viewer,
    ViewerKind,
)
from db.engine import Database
from db.statement import Statement, compiled
from loaders.columns import visible
from loaders.rows import Loader

Counted = Select[Any]
"""A select of (domain name, count)."""


def experts(kind: ViewerKind) -> Counted:
    """Experts by domain."""
    return _by(Expert.domain_name).where(visible(Expert, kind))


def documents(kind: ViewerKind) -> Counted:
    """Documents by domain."""
    return _by(Document.domain_name).where(visible(Document, kind))


def vector_stores(kind: ViewerKind) -> Counted:
    """Vector stores by domain."""
    return _by(VectorStore.domain_name).where(visible(VectorStore, kind))


def assistants(kind: ViewerKind) -> Counted:
    """Assistants by the domain of their expert."""
    return _by(Expert.domain_name).join(Assistant, Assistant.expert_name == Expert.name).where(visible(Assistant, kind))


def clones(kind: ViewerKind) -> Counted:
    """Clones by domain."""
    return _by(Domain.name).join(Clone, Clone.domain_id == Domain.id).where(visible(Clone, kind))


def failed_documents(kind: ViewerKind) -> Counted:
    """Documents that failed in at least one vector store, by domain."""
    return (
        _by(Document.domain_name, func.count(distinct(Document.id)))
        .join(StoreFile, StoreFile.document_id == Document.id)
        .where(StoreFile.status == FileStatus.FAILED, visible(Document, kind), visible(StoreFile, kind))
    )


def stale_vector_stores(kind: ViewerKind) -> Counted:
    """Domains' own vector stores that lack a document which they should hold."""
    wanted = (
        _by(Document.domain_name).where(Document.included_in_default).group_by(Document.domain_name).subquery("wanted")
    )
    present = (
        select(StoreFile.vector_store_id, func.count(distinct(Document.id)).label("number"))
        .join(Document, Document.id == StoreFile.document_id)
        .join(VectorStore, VectorStore.id == StoreFile.vector_store_id)
        .where(
            Document.included_in_default,
            Document.domain_name == VectorStore.domain_name,
            StoreFile.status == FileStatus.COMPLETED,
        )
        .group_by(StoreFile.vector_store_id)
        .subquery("present")
    )
    return (
        _by(VectorStore.domain_name)
        .join(wanted, wanted.c.domain_name == VectorStore.domain_name)
        .outerjoin(present, present.c.vector_store_id == VectorStore.id)
        .where(
            VectorStore.owner_kind == StoreOwner.DOMAIN,
            wanted.c.number > func.coalesce(present.c.number, 0),
            visible(VectorStore, kind),
        )
    )


FIGURES: Mapping[str, Callable[[ViewerKind], Counted]] = {
    "expert_count": experts,
    "document_count": documents,
    "vector_store_count": vector_stores,
    "assistant_count": assistants,
    "clone_count": clones,
    "failed_document_count": failed_documents,
    "stale_vector_store_count": stale_vector_stores,
}


class HealthLoader(Loader[Record]):
    """The figures of each domain, by its name."""

    def __init__(self, database: Database, viewer: Viewer, figures: tuple[str, ...]) -> None:
        super().__init__(database, viewer)
        self.figures = figures

    async def fetch_map(self, keys: Sequence[str]) -> Mapping[str, Record]:
        """The figures of these domains."""
        rows = await self.fetch(health_statement(self.figures, self.viewer.kind, some=True), keys=keys)
        return {row["domain_name"]: row for row in rows}

    async def load_all(self) -> list[Record]:
        """The figures of all domains, by name."""
        return await self.fetch(health_statement(self.figures, self.viewer.kind, some=False))


@lru_cache(maxsize=256)
def health_statement(figures: tuple[str, ...], kind: ViewerKind, *, some: bool) -> Statement:
    """The statement of these figures, for all domains or for those named by the parameter `keys`."""

    def chosen(column: ColumnElement[str]) -> ColumnElement[bool]:
        return column == any_(bindparam("keys", type_=ARRAY(Text))) if some else true()

    statement = select(Domain.name.label("domain_name")).where(chosen(Domain.name.expression)).order_by(Domain.name)
    for figure in figures:
        counted = FIGURES[figure](kind)
        domain = counted.selected_columns[0]
        family = counted.where(chosen(domain)).group_by(domain).subquery(figure)
        statement = statement.outerjoin(family, family.c.domain_name == Domain.name).add_columns(
            func.coalesce(family.c.number, 0).label(figure)
        )
    return compiled(statement)


def _by(domain: Any, number: ColumnElement[int] | None = None) -> Counted:
    return select(
        domain.label("domain_name"), (func.count() if number is None else number).label("number")
    ).select_from(domain.class_)
