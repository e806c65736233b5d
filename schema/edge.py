"""Edges: the fields that lead from a row to other rows, and from the root to all of them.

An edge is declared, not written. From `creator = edge(db.Clone.creator_id, db.User.id, "Who made it.")` come the
field's type, its resolver, the batch it is loaded in, the SQL, and, for lists, the arguments of a connection.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, Optional
from uuid import UUID

import strawberry
from graphql import FieldNode, GraphQLObjectType
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

import db
from loaders.pages import Page, PageRequest
from loaders.relation import Attribute, Columns, Linked, Relation
from loaders.rows import ALL, Loader, Loaders, Of
from resolvers.context import Context
from schema import ids
from schema.connection import Connection, Listing
from schema.field import RowField
from schema.filters import filter_of, read_filter
from schema.orders import order_of, read_order
from schema.selection import Scope, object_type, selected_columns, selected_fields


def type_of(row: type[db.Row]) -> Any:
    """The type that shows a class of rows: the one of the same name in the file of the same name."""
    module = row.__module__.rpartition(".")[2]
    return Annotated[ForwardRef(row.__name__), strawberry.lazy(f"schema.{module}")]


class Keyed(RowField):
    """A field that is loaded by the one column it needs, together with those of all other parents."""

    @abstractmethod
    def loader(self, loaders: Loaders, columns: Columns) -> Loader[Any]:
        """What loads them. columns: what the selected fields of the object are made of."""

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The row, or null where there is none that the viewer may see."""
        (key_column,) = self.columns
        key = source[key_column]
        if key is None:
            return None
        raw = info._raw_info
        loader = info.context.once(
            (self, *map(id, raw.field_nodes)),
            lambda: self.loader(
                info.context.loaders, selected_columns(raw, raw.field_nodes, object_type(raw.return_type))
            ),
        )
        return loader.load(key)


class ToOne(Keyed):
    """An edge to one row."""

    def __init__(self, relation: Relation, description: str) -> None:
        target: Any = Optional[type_of(relation.target)]
        super().__init__(type_annotation=StrawberryAnnotation(target), description=description)
        self.relation: Relation = relation
        self.columns = (relation.key,)

    def loader(self, loaders: Loaders, columns: Columns) -> Loader[Any]:
        """The loader of the rows that the parents' keys lead to."""
        return loaders.one(self.relation, columns)


class ToMany(RowField):
    """A connection: the rows that belong to a parent, or all rows of a class where there is no parent."""

    def __init__(self, row: type[db.Row], relation: Relation | None, description: str) -> None:
        super().__init__(type_annotation=StrawberryAnnotation(Connection[type_of(row)]), description=description)  # type: ignore[misc]
        self.row = row
        self.relation = relation
        self.of = relation or row
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

    def key(self, source: Any) -> Any:
        """Whose list it is; None where it is nobody's, and so empty."""
        return source[self.relation.key] if self.relation else ALL

    def request(self, arguments: dict[str, Any]) -> PageRequest:
        """The page that the arguments ask for. Raises BadInput when they make no sense."""
        rest = {name: value for name, value in arguments.items() if name not in ("where", "order_by")}
        where, order = read_filter(self.row, arguments.get("where")), read_order(arguments.get("order_by"))
        return PageRequest.read(self.row, where=where, order=order, **rest)

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The page, and a way to count."""
        raw = info._raw_info

        def wanted() -> Wanted:
            request, connection = self.request(kwargs), object_type(raw.return_type)
            return Wanted(self.of, request, PageSelection.read(raw, raw.field_nodes, connection).columns(request))

        return info.context.once((self, *map(id, raw.field_nodes)), wanted).listing(info.context, self.key(source))


@dataclass(frozen=True)
class PageSelection:
    """What is selected of a connection. node: the columns of its rows; None when only a count is wanted."""

    node: Columns | None
    has_cursors: bool = False

    @classmethod
    def read(cls, scope: Scope, nodes: Sequence[FieldNode], connection: GraphQLObjectType) -> "PageSelection":
        """What is selected below these nodes."""

        def type_of_field(name: str) -> GraphQLObjectType:
            return object_type(connection.fields[name].type)

        fields = selected_fields(scope, nodes, connection)
        if not fields.keys() & {"nodes", "edges", "pageInfo"}:
            return cls(None)
        edges = selected_fields(scope, fields.get("edges", ()), type_of_field("edges"))
        page_info = selected_fields(scope, fields.get("pageInfo", ()), type_of_field("pageInfo"))
        rows = [*fields.get("nodes", ()), *edges.get("node", ())]
        has_cursors = "cursor" in edges or bool(page_info.keys() & {"startCursor", "endCursor"})
        return cls(selected_columns(scope, rows, type_of_field("nodes")), has_cursors)

    def columns(self, request: PageRequest) -> Columns | None:
        """The columns that the rows, and the cursors where they are wanted, are made of."""
        if self.node is None:
            return None
        cursors = tuple(key.name for key in request.order) if self.has_cursors else ()
        return tuple(dict.fromkeys((*self.node, *cursors))) or ("id",)


@dataclass(frozen=True)
class Wanted:
    """What an operation wants of a connection: the same for every parent."""

    of: Of
    request: PageRequest
    columns: Columns | None
    """The columns of the rows; None when no rows are wanted, only a count."""

    async def listing(self, context: Context, key: Any) -> Listing:
        """The page of one parent, loaded together with those of all others."""
        if key is None:
            return Listing(Page(self.request), _count_nothing)
        page = None
        if self.columns is not None:
            page = await context.loaders.many(self.of, self.columns, self.request).load(key)

        async def count(limit: int | None) -> int:
            return await context.loaders.count(self.of, self.request, limit).load(key)

        return Listing(page, count)


async def _count_nothing(limit: int | None) -> int:
    return 0


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

    def key(self, context: Context, arguments: dict[str, Any]) -> UUID | None:
        """Which row; None for none. Raises BadInput for what is no id of such a row."""
        return ids.key_of(self.row, arguments["id"])

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The row, or null where there is none that the viewer may see."""
        raw, key = info._raw_info, self.key(info.context, kwargs)
        if key is None:
            return None
        columns = selected_columns(raw, raw.field_nodes, object_type(raw.return_type))
        return await info.context.loaders.get(self.row, key, columns)


class Viewing(ById):
    """The root field that fetches the person who asks."""

    def __init__(self, description: str) -> None:
        super().__init__(db.User, description)
        self._arguments = []

    def key(self, context: Context, arguments: dict[str, Any]) -> UUID | None:
        """The viewer's id, which is a service's or nobody's, too."""
        return context.viewer.id


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
    implied: bool = False,
) -> Any:
    """A connection to the rows whose `column` is the parent's `key`, its id unless told.

    link: two columns of a table in between; parents' keys and values of `column`.
    implied: whether who sees a parent sees all of its rows, so that they need not be asked one by one.
    """
    relation = Relation(key.key if key is not None else "id", column, many=True, link=link, implied=implied)
    return ToMany(relation.target, relation, description)


def one(row: type[db.Row], description: str) -> Any:
    """The root field that fetches a row of this class by its id."""
    return ById(row, description)


def many(row: type[db.Row], description: str) -> Any:
    """The root field that lists all rows of this class."""
    return ToMany(row, None, description)


def viewing(description: str) -> Any:
    """The root field that fetches the person who asks."""
    return Viewing(description)
