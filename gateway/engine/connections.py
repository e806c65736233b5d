"""Connections: pages of rows for many parents at once, and counts of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.engine.assembly import Assemble
from gateway.engine.leaves import Anomaly
from gateway.engine.plan import Arguments, Loading, ObjectPlan
from gateway.engine.run import Run
from loaders.pages import Page, PageRequest
from loaders.rows import ALL
from schema.connection import CountPrecision
from schema.edge import PageSelection, ToMany

LARGEST_INT = 2**31 - 1


@dataclass
class ConnectionField(Loading):
    """An edge to many rows, or to all rows of a class.

    key: the item of a source that says whose list it is; None where there is but one.
    rows: a plan for each selection of `nodes` or `node`. counts: the fields that count.
    """

    edge: ToMany
    key: str | None
    request: Callable[[Run], PageRequest]
    selection: PageSelection
    rows: Sequence[ObjectPlan]
    counts: Sequence["Counting"]
    assemble: Assemble

    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """The connection of each source. Sources with the same key share one; that of nobody's is empty."""
        keys = [ALL if self.key is None else source[self.key] for source in sources]
        wanted, request = list(dict.fromkeys(keys)), self.request(run)
        (pages, rows), *counts = await run.together(
            [
                self._pages(run, wanted, request),
                *(count.of_each(run, self.edge, wanted, request) for count in self.counts),
            ]
        )
        connections = self.assemble(pages, *rows, *counts)
        if len(wanted) == len(keys):
            return connections
        by_key = dict(zip(wanted, connections, strict=True))
        return [by_key[key] for key in keys]

    async def _pages(self, run: Run, wanted: Sequence[Any], request: PageRequest) -> tuple[list[Page], list[Any]]:
        """The page of each key, and the objects of the rows of all pages, as each of the plans completes them."""
        columns = self.selection.columns(request)
        there = [] if columns is None else _of_somebody(wanted)
        found = await run.context.loaders.many(self.edge.of, columns or (), request).load_map(there) if there else {}
        pages = [found.get(key) or Page(request) for key in wanted]
        nodes = [row for page in pages for row in page.nodes]
        return pages, await run.together([plan.complete(run, nodes) for plan in self.rows])


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

    async def of_each(self, run: Run, edge: ToMany, wanted: Sequence[Any], request: PageRequest) -> list[Any]:
        """What the field says of each parent."""
        limit, there = self.limit(run), _of_somebody(wanted)
        most = None if limit is None else limit + 1
        found = await run.context.loaders.count(edge.of, request, most).load_map(there) if there else {}
        return [self.show(found.get(key, 0), limit) for key in wanted]


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
