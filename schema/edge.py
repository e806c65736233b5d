"""Edges: the fields that lead from a row to other rows, and from the root to all of them.

An edge is declared, not written. From `creator = edge(db.Clone.creator_id, db.User.id, "Who made it.")` come the
field's type, its resolver, the batch it is loaded in, the SQL, and, for lists, the arguments of a connection.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, Optional

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

import db
from loaders.pages import Page, PageRequest
from loaders.relation import Attribute, Linked, Relation
from resolvers.context import Context
from schema import ids
from schema.connection import Connection, Listing
from schema.field import RowField
from schema.filters import filter_of, read_filter
from schema.orders import order_of, read_order
from schema.selection import object_type, selected_columns, selected_fields


def type_of(row: type[db.Row]) -> Any:
    """The type that shows a class of rows: the one of the same name in the file of the same name."""
    module = row.__module__.rpartition(".")[2]
    return Annotated[ForwardRef(row.__name__), strawberry.lazy(f"schema.{module}")]


class ToOne(RowField):
    """An edge to one row, loaded together with those of all other parents."""

    def __init__(self, relation: Relation, description: str) -> None:
        target: Any = Optional[type_of(relation.target)]
        super().__init__(type_annotation=StrawberryAnnotation(target), description=description)
        self.relation = relation
        self.columns = (relation.key,)

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The row, or null where there is none that the viewer may see."""
        (key_column,) = self.columns
        key = source[key_column]
        if key is None:
            return None
        raw = info._raw_info
        loader = info.context.once(
            (self, *map(id, raw.field_nodes)),
            lambda: info.context.loaders.one(
                self.relation, selected_columns(raw, raw.field_nodes, object_type(raw, raw.return_type))
            ),
        )
        return loader.load(key)


class ToMany(RowField):
    """A connection: the rows that belong to a parent, or all rows of a class where there is no parent."""

    def __init__(self, row: type[db.Row], relation: Relation | None, description: str) -> None:
        super().__init__(type_annotation=StrawberryAnnotation(Connection[type_of(row)]), description=description)  # type: ignore[misc]
        self.row = row
        self.relation = relation
        self.columns = (relation.key,) if relation else ()

    @property
    def arguments(self) -> list[StrawberryArgument]:
        """The arguments of a page, which follow from the rows. Asked for when all entities are known."""
        if self._arguments is None:
            self._arguments = page_arguments(self.row)
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:
        self._arguments = value

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The page, and a way to count."""
        raw = info._raw_info
        wanted = info.context.once((self, *map(id, raw.field_nodes)), lambda: Wanted.read(self, raw, kwargs))
        return wanted.listing(info.context, source[self.relation.key] if self.relation else None)


@dataclass(frozen=True)
class Wanted:
    """What an operation wants of a connection: the same for every parent."""

    row: type[db.Row]
    relation: Relation | None
    request: PageRequest
    columns: tuple[str, ...] | None
    """The columns of the rows; None when no rows are wanted, only a count."""

    @classmethod
    def read(cls, field: ToMany, raw: Any, arguments: dict[str, Any]) -> "Wanted":
        """What the arguments and the selection below a field say. Raises BadInput when they make no sense."""
        where, order = arguments.pop("where", None), arguments.pop("order_by", None)
        request = PageRequest.read(field.row, where=read_filter(field.row, where), order=read_order(order), **arguments)
        return cls(field.row, field.relation, request, _columns_of_page(raw, request))

    async def listing(self, context: Context, key: Any) -> Listing:
        """The page of one parent, loaded together with those of all others."""
        if self.relation is None:
            return await self._of_all(context)
        relation = self.relation
        if key is None:
            return Listing(Page(self.request), _count_nothing)
        page = None
        if self.columns is not None:
            page = await context.loaders.many(relation, self.columns, self.request).load(key)

        async def count(limit: int | None) -> int:
            return await context.loaders.count(relation, self.request, limit).load(key)

        return Listing(page, count)

    async def _of_all(self, context: Context) -> Listing:
        page = None
        if self.columns is not None:
            page = await context.loaders.page(self.row, self.columns, self.request)

        async def count(limit: int | None) -> int:
            return await context.loaders.total(self.row, self.request, limit)

        return Listing(page, count)


async def _count_nothing(limit: int | None) -> int:
    return 0


def _columns_of_page(raw: Any, request: PageRequest) -> tuple[str, ...] | None:
    """The columns that the nodes, and the cursors where they are wanted, are made of."""
    connection = object_type(raw, raw.return_type)
    fields = selected_fields(raw, raw.field_nodes, connection)
    if not fields.keys() & {"nodes", "edges", "pageInfo"}:
        return None
    edge = object_type(raw, connection.fields["edges"].type)
    node = object_type(raw, connection.fields["nodes"].type)
    edges = selected_fields(raw, fields.get("edges", ()), edge)
    page_info = selected_fields(raw, fields.get("pageInfo", ()), object_type(raw, connection.fields["pageInfo"].type))
    columns = selected_columns(raw, [*fields.get("nodes", ()), *edges.get("node", ())], node)
    if "cursor" in edges or page_info.keys() & {"startCursor", "endCursor"}:
        columns += tuple(key.name for key in request.order)
    return tuple(dict.fromkeys(columns)) or ("id",)


def page_arguments(row: type[db.Row]) -> list[StrawberryArgument]:
    """The arguments of a connection of these rows."""

    def argument(name: str, annotation: Any, description: str) -> StrawberryArgument:
        return StrawberryArgument(name, None, StrawberryAnnotation(annotation), description=description, default=None)

    arguments = [
        argument("first", Optional[int], "How many rows from the start: 25 unless told, 100 at most."),
        argument("last", Optional[int], "How many rows from the end, instead of `first`."),
        argument("after", Optional[str], "Only rows after this cursor."),
        argument("before", Optional[str], "Only rows before this cursor."),
        argument("where", Optional[filter_of(row)], "Only rows for which this holds."),
        argument("order_by", Optional[list[order_of(row)]], "What to sort by; ties are broken by the id."),  # type: ignore[misc]
    ]
    if row.__search__:
        words = ", ".join(name.replace("_", " ") for name in row.__search__)
        arguments.append(
            argument("search", Optional[str], f"Only rows with these words in {words}; the best matches first.")
        )
    return arguments


class ById(RowField):
    """The root field that fetches one row."""

    def __init__(self, row: type[db.Row], description: str) -> None:
        target: Any = Optional[type_of(row)]
        super().__init__(type_annotation=StrawberryAnnotation(target), description=description)
        self.row = row
        self._arguments = [
            StrawberryArgument("id", None, StrawberryAnnotation(strawberry.ID), description="The id, as `id` gives it.")
        ]

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The row, or null where there is none that the viewer may see."""
        raw = info._raw_info
        columns = selected_columns(raw, raw.field_nodes, object_type(raw, raw.return_type))
        return info.context.loaders.get(self.row, ids.key_of(self.row, kwargs["id"]), columns)


def edge(key: Attribute, column: Attribute, description: str, *, link: tuple[Linked, Linked] | None = None) -> Any:
    """An edge to the one row whose `column` is the parent's `key`.

    link: two columns of a table in between; parents' keys and values of `column`.
    """
    return ToOne(Relation(key.key, column, many=False, link=link), description)


def edges(
    column: Attribute,
    description: str,
    *,
    key: Attribute | None = None,
    link: tuple[Linked, Linked] | None = None,
) -> Any:
    """A connection to the rows whose `column` is the parent's `key`, its id unless told.

    link: two columns of a table in between; parents' keys and values of `column`.
    """
    relation = Relation(key.key if key is not None else "id", column, many=True, link=link)
    return ToMany(relation.target, relation, description)


def one(row: type[db.Row], description: str) -> Any:
    """The root field that fetches a row of this class by its id."""
    return ById(row, description)


def many(row: type[db.Row], description: str) -> Any:
    """The root field that lists all rows of this class."""
    return ToMany(row, None, description)
