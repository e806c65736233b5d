"""What every table has in common: how a column is declared, and who may see a row.

A row class answers three questions about every kind of viewer but admins and services, each in SQL:

* `visible_to`: which rows exist for this viewer. A list of alternatives, each of which an index can serve.
* `private_to`: on which of those rows the private columns can be read.
* `editable_by`: which of those rows the viewer may change.

The generic loader puts the answers (`rules_for`) into every statement, so no resolver can forget them.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache, reduce
from typing import Any, ClassVar, Final, NamedTuple, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    MetaData,
    Numeric,
    Text,
    TextClause,
    TypeDecorator,
    Uuid,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, MappedColumn, mapped_column

from db.viewer import ViewerKind

EVERYONE: Final = true()
NOBODY: Final = false()

Condition = ColumnElement[bool]
Alternatives = Sequence[Condition]
"""Conditions of which one must hold. Each can be served by an index; none repeats another's work."""

EVERY_ROW: Final[Alternatives] = (EVERYONE,)
NO_ROW: Final[Alternatives] = ()

NOW = text("now()")
THIS_MOMENT = text("clock_timestamp()")
"""Later than now(), which is when the transaction began: whoever waited for a lock comes after whoever held it."""


class Words(StrEnum):
    """A closed vocabulary. Each word says what it means; `UNKNOWN` stands for every word that is not in it."""

    doc: str

    def __new__(cls, word: str, doc: str) -> Self:
        """A word and its meaning."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.doc = doc
        return member


class Vocabulary(TypeDecorator[str]):
    """A column of words, kept as text because old programs write it as text. Other words can be in it."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[Words]) -> None:
        super().__init__()
        self.words = words

    @property
    def python_type(self) -> type[str]:
        """What a row holds: the word as it is written."""
        return str

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The word as the column keeps it."""
        return None if value is None else str(value)


def column(
    *args: Any,
    doc: str,
    private: bool = False,
    indexed: bool | str = False,
    **options: Any,
) -> MappedColumn[Any]:
    """A column of a row.

    doc: what it holds, and its unit; it becomes the field's description in the graph.
    private: readable only where the row's `private_to` says so.
    indexed: filterable and sortable in the graph, so indexed together with the id; a string names the index.
    """
    return mapped_column(*args, info={"private": private, "indexed": indexed}, doc=doc, **options)


class Base(DeclarativeBase):
    """The metadata and the types that all tables share."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "ix": "idx_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: Text,
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Row(Base):
    """A row that the graph shows as a node."""

    __abstract__ = True

    __order__: ClassVar[tuple[tuple[str, str], ...]] = ()
    """The default order of a list: (column, "asc" or "desc"); the id always breaks ties."""

    __search__: ClassVar[tuple[str, ...]] = ()
    """The public text columns that full-text search reads."""

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()"), sort_order=-1, doc="The key in the database."
    )

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, attribute in cls.columns().items():
            indexed = attribute.info.get("indexed")
            if indexed:
                name_of_index = indexed if isinstance(indexed, str) else f"idx_{cls.__tablename__}_{name}"
                Index(name_of_index, attribute, cls.id)
        if cls.__search__:
            Index(f"idx_{cls.__tablename__}_search", cls.search_vector(), postgresql_using="gin")

    @classmethod
    def columns(cls) -> dict[str, InstrumentedAttribute[Any]]:
        """Every column under its name in Python, which can differ from its name in the table."""
        return {attribute.key: getattr(cls, attribute.key) for attribute in cls.__mapper__.column_attrs}

    @classmethod
    def search_vector(cls) -> ColumnElement[Any]:
        """The words of a row's searchable columns."""
        texts: list[ColumnElement[Any]] = [
            func.coalesce(cls.__mapper__.columns[name], text("''")) for name in cls.__search__
        ]
        words = reduce(lambda left, right: left.op("||")(text("' '")).op("||")(right), texts)
        return func.to_tsvector(text("'english'::regconfig"), words)

    @classmethod
    def visible_to(cls, kind: ViewerKind) -> Alternatives:
        """Which rows exist for a viewer of this kind. None, unless a row class says otherwise."""
        return NO_ROW

    @classmethod
    def private_to(cls, kind: ViewerKind) -> Condition:
        """On which visible rows a viewer of this kind can read the private columns."""
        return NOBODY

    @classmethod
    def editable_by(cls, kind: ViewerKind) -> Condition:
        """Which visible rows a viewer of this kind may change."""
        return NOBODY

    @classmethod
    @cache
    def rules_for(cls, kind: ViewerKind) -> "Rules":
        """The three answers for a kind of viewer. An admin sees, reads and changes everything, a service reads it."""
        if kind in (ViewerKind.ADMIN, ViewerKind.SERVICE):
            return Rules(EVERY_ROW, EVERYONE, EVERYONE if kind is ViewerKind.ADMIN else NOBODY)
        return Rules(cls.visible_to(kind), cls.private_to(kind), cls.editable_by(kind))


class Rules(NamedTuple):
    """What a kind of viewer may do with the rows of a class."""

    visible: Alternatives
    private: Condition
    editable: Condition


def money(*, doc: str, **options: Any) -> MappedColumn[Any]:
    """A column of credits: exact, and without a fixed scale, since old rows hold amounts like 0.00012345."""
    return column(Numeric, doc=doc, **options)


def created_at(*, nullable: bool = False, default: TextClause = NOW) -> MappedColumn[Any]:
    """The time a row was written."""
    return column(
        DateTime(timezone=True), doc="When this was created.", indexed=True, server_default=default, nullable=nullable
    )


def updated_at(*, nullable: bool = False) -> MappedColumn[Any]:
    """The time of a row's last change, kept by a trigger for every writer alike."""
    return column(DateTime(timezone=True), doc="When this was last changed.", server_default=NOW, nullable=nullable)
