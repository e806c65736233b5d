"""Connections: lists that can grow, one page at a time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from loaders.errors import BadInput
from loaders.pages import Page

Item = TypeVar("Item")


@dataclass(frozen=True)
class Listing:
    """What a connection is made of: a page, if rows were asked for, and a way to count."""

    page: Page | None
    count: Callable[[int | None], Awaitable[int]]

    @property
    def rows(self) -> Page:
        """The page. It is there whenever a field was selected that needs it."""
        if self.page is None:
            raise RuntimeError("a page was read that the selection did not announce")
        return self.page


@strawberry.enum(description="How far a count went.")
class CountPrecision(Enum):
    """How far a count went."""

    EXACT = strawberry.enum_value("EXACT", description="There are exactly so many.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="Counting stopped there; there are more.")


@strawberry.type(description="A number of rows, counted no further than it has to be.")
class Count:
    """A number of rows."""

    value: int = strawberry.field(description="How many rows were counted.")
    precision: CountPrecision = strawberry.field(description="Whether that is all of them.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Where a page stands in its list. Behind it is the page."""

    has_next_page: bool = strawberry.field(
        description="Whether there are rows after this page. Paging backwards, it says only that a cursor was given."
    )
    has_previous_page: bool = strawberry.field(
        description="Whether there are rows before this page. Paging forwards, it says only that a cursor was given."
    )
    start_cursor: str | None = strawberry.field(description="The place of the first row; null when there is none.")
    end_cursor: str | None = strawberry.field(description="The place of the last row; null when there is none.")


def _cursor(root: Any) -> Any:
    page, row = root
    return page.cursor(row)


def _node(root: Any) -> Any:
    return root[1]


@strawberry.type(description="A row and its place in the list.")
class Edge(Generic[Item]):
    """A row and its place in the list. Behind it is a pair of page and row."""

    cursor: str = strawberry.field(
        resolver=_cursor, description="The place, to continue from with `after` or `before`."
    )
    node: Item = strawberry.field(resolver=_node, description="The row.")


def _edges(root: Any) -> Any:
    return [(root.rows, row) for row in root.rows.nodes]


def _nodes(root: Any) -> Any:
    return root.rows.nodes


def _page_info(root: Any) -> Any:
    return root.rows


async def _count(
    root: Any,
    limit: Annotated[int, strawberry.argument(description="Where to stop counting. Counting far costs time.")] = 10_000,
) -> Count:
    if limit < 0:
        raise BadInput(f"limit must not be negative, and was {limit}.")
    counted = await root.count(limit + 1)
    if counted > limit:
        return Count(value=limit, precision=CountPrecision.AT_LEAST)
    return Count(value=counted, precision=CountPrecision.EXACT)


async def _total_count(root: Any) -> int:
    total: int = await root.count(None)
    return total


@strawberry.type(description="One page of a list, and what there is to know about the whole list.")
class Connection(Generic[Item]):
    """One page of a list. Behind it is a `Listing`."""

    edges: list[Edge[Item]] = strawberry.field(resolver=_edges, description="The rows with their places.")
    nodes: list[Item] = strawberry.field(resolver=_nodes, description="The rows.")
    page_info: PageInfo = strawberry.field(resolver=_page_info, description="Where the page stands in the list.")
    count: Count = strawberry.field(
        resolver=_count, description="How many rows the whole list has, counted up to a limit, whatever the page."
    )
    total_count: int = strawberry.field(
        resolver=_total_count,
        description="How many rows the whole list has, exactly. `count` is cheaper on long lists.",
    )
