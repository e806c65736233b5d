"""Connections: pages of rows for many parents at once, and counts of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from gateway.engine.leaves import Anomaly
from gateway.engine.plan import Arguments, Loading, ObjectPlan
from gateway.engine.run import Run
from loaders.pages import Page, PageRequest
from loaders.relation import Joined
from schema.connection import CountPrecision
from schema.edge import PageSelection, ToMany

Rows = Sequence[dict[str, Any]]
"""The objects of the rows of a page."""
Show = Callable[[Page, Sequence[Rows]], Any]
"""What a field of a connection makes of a page, and of its rows as each of the plans for them completed them."""
LARGEST_INT = 2**31 - 1


@dataclass
class ConnectionPlan:
    """A connection at one place of an operation. rows: one plan for each selection of `nodes` or `node`."""

    rows: list[ObjectPlan] = field(default_factory=list)
    shows: dict[str, Show] = field(default_factory=dict)
    counts: dict[str, "Counting"] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """The keys of all fields, in their order."""
    joined: list[Joined] = field(default_factory=list)
    """What comes along with the rows."""


@dataclass
class ConnectionField(Loading):
    """An edge to many rows, or to all rows of a class."""

    edge: ToMany
    request: Callable[[Run], PageRequest]
    selection: PageSelection
    plan: ConnectionPlan

    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """The connection of each source. Sources with the same key share one; that of nobody's is empty."""
        keys = [self.edge.key(source) for source in sources]
        wanted, request = list(dict.fromkeys(keys)), self.request(run)
        pages, *counts = await run.together(
            [
                self._pages(run, wanted, request),
                *(count.of_each(run, self.edge, wanted, request) for count in self.plan.counts.values()),
            ]
        )
        counted = dict(zip(self.plan.counts, counts, strict=True))
        connections = {
            key: {name: counted[name][key] if name in counted else pages[key][name] for name in self.plan.keys}
            for key in wanted
        }
        return [connections[key] for key in keys]

    async def _pages(self, run: Run, wanted: Sequence[Any], request: PageRequest) -> dict[Any, dict[str, Any]]:
        """The fields of each connection that are made of its page."""
        columns = self.selection.columns(request)
        there = [] if columns is None else _of_somebody(wanted)
        found = await run.context.loaders.many(self.edge.of, columns or (), request).load_map(there) if there else {}
        pages = [found.get(key) or Page(request) for key in wanted]
        nodes = [row for page in pages for row in page.nodes]
        completed = await run.together([plan.complete(run, nodes) for plan in self.plan.rows])
        shown, start = {}, 0
        for key, page in zip(wanted, pages, strict=True):
            end = start + len(page.nodes)
            rows = [objects[start:end] for objects in completed]
            shown[key] = {name: show(page, rows) for name, show in self.plan.shows.items()}
            start = end
        return shown


def _of_somebody(keys: Sequence[Any]) -> list[Any]:
    return [key for key in keys if key is not None]


class Counting(ABC):
    """A field that counts."""

    @abstractmethod
    def limit(self, run: Run) -> int | None:
        """Where to stop counting; None for never."""

    @abstractmethod
    def show(self, number: int, limit: int | None) -> Any:
        """What the field says. number: how many there are, one more than the limit at most."""

    async def of_each(self, run: Run, edge: ToMany, wanted: Sequence[Any], request: PageRequest) -> dict[Any, Any]:
        """What the field says of each parent."""
        limit, there = self.limit(run), _of_somebody(wanted)
        most = None if limit is None else limit + 1
        found = await run.context.loaders.count(edge.of, request, most).load_map(there) if there else {}
        return {key: self.show(found.get(key, 0), limit) for key in wanted}


@dataclass
class TotalCount(Counting):
    """The field `totalCount`."""

    def limit(self, run: Run) -> int | None:
        """None."""
        return None

    def show(self, number: int, limit: int | None) -> Any:
        """The number."""
        if number > LARGEST_INT:
            raise Anomaly
        return number


@dataclass
class Count(Counting):
    """The field `count`. fields: the names of what is selected of it, by key."""

    arguments: Arguments
    fields: dict[str, str]

    def limit(self, run: Run) -> int | None:
        """The field's argument."""
        limit: int = self.arguments(run)["limit"]
        if limit < 0:
            raise Anomaly
        return limit

    def show(self, number: int, limit: int | None) -> Any:
        """The selected fields."""
        assert limit is not None
        there_are_more = number > limit
        known = {
            "__typename": "Count",
            "value": limit if there_are_more else number,
            "precision": (CountPrecision.AT_LEAST if there_are_more else CountPrecision.EXACT).name,
        }
        return {key: known[name] for key, name in self.fields.items()}


def show_nodes(which: int) -> Show:
    """The field `nodes`, completed by this one of the plans."""
    return lambda page, rows: rows[which]


ShowEdge = Callable[..., Any]
"""What a field of an edge makes of the page, the row, and the row's objects."""


def show_edges(fields: dict[str, ShowEdge]) -> Show:
    """The field `edges`. fields: what is selected of an edge, by key."""
    return lambda page, rows: [
        {key: show(page, row, *objects) for key, show in fields.items()}
        for row, *objects in zip(page.nodes, *rows, strict=True)
    ]


def show_cursor(page: Page, row: Any, *objects: Any) -> str:
    """The field `cursor`."""
    return page.cursor(row)


def show_node(which: int) -> ShowEdge:
    """The field `node`, completed by this one of the plans."""
    return lambda page, row, *objects: objects[which]


def show_typename(name: str) -> Callable[..., str]:
    """The field `__typename`, of a connection and of an edge."""
    return lambda *shown: name


PAGE_INFO: dict[str, Callable[[Page], Any]] = {
    "__typename": lambda page: "PageInfo",
    "hasNextPage": attrgetter("has_next_page"),
    "hasPreviousPage": attrgetter("has_previous_page"),
    "startCursor": attrgetter("start_cursor"),
    "endCursor": attrgetter("end_cursor"),
}


def show_page_info(fields: dict[str, str]) -> Show:
    """The field `pageInfo`. fields: the names of what is selected of it, by key."""
    shown = {key: PAGE_INFO[name] for key, name in fields.items()}
    return lambda page, rows: {key: show(page) for key, show in shown.items()}
