"""Loaders: what the fields of one request want, gathered into one statement for each edge.

A loader is aiodataloader's, with `load_map` beside it: `load` waits for the other fields that want the same
edge, `load_map` is for those who know all their keys already.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from aiodataloader import DataLoader
from asyncpg import Record

from db import Row, Viewer
from db.engine import Database
from db.statement import Statement
from loaders import sql
from loaders.pages import Page, PageRequest
from loaders.relation import Relation, by_id

Value = TypeVar("Value")
Made = TypeVar("Made", bound="Loader[Any]")


class Loader(DataLoader[Any, Value], Generic[Value]):
    """Loads values by key, many keys with one statement."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self.database = database
        self.viewer = viewer

    @abstractmethod
    async def load_map(self, keys: Sequence[Any]) -> Mapping[Any, Value]:
        """The value of each key."""

    async def batch_load_fn(self, keys: list[Any]) -> list[Value]:
        """Aiodataloader's question, answered."""
        found = await self.load_map(keys)
        return [found[key] for key in keys]

    async def fetch(self, statement: Statement, **values: Any) -> list[Record]:
        """The rows of a statement for this viewer."""
        values["viewer_id"] = self.viewer.id
        return await self.database.fetch(statement.text, statement.arguments(values))


class RowLoader(Loader[Record | None]):
    """The one row of each key; None where there is none, or none that the viewer may see."""

    def __init__(self, database: Database, viewer: Viewer, relation: Relation, columns: tuple[str, ...]) -> None:
        super().__init__(database, viewer)
        self.statement = sql.row_per_key(relation, columns, viewer.kind)

    async def load_map(self, keys: Sequence[Any]) -> Mapping[Any, Record | None]:
        """The row of each key."""
        found = {row["_key"]: row for row in await self.fetch(self.statement, keys=keys)}
        return {key: found.get(key) for key in keys}


class PageLoader(Loader[Page]):
    """A page of rows for each parent's key."""

    def __init__(
        self, database: Database, viewer: Viewer, relation: Relation, columns: tuple[str, ...], request: PageRequest
    ) -> None:
        super().__init__(database, viewer)
        self.request = request
        self.statement = sql.page_per_parent(relation, columns, viewer.kind, request.form)

    async def load_map(self, keys: Sequence[Any]) -> Mapping[Any, Page]:
        """The page of each key. The database gives the rows parent by parent, in order."""
        pages = [Page(self.request) for _ in keys]
        for row in await self.fetch(self.statement, keys=keys, **self.request.values):
            pages[row["position"] - 1].fetched.append(row)
        return dict(zip(keys, pages, strict=True))


class CountLoader(Loader[int]):
    """How many rows each parent has, counted up to a limit."""

    def __init__(
        self, database: Database, viewer: Viewer, relation: Relation, request: PageRequest, limit: int | None
    ) -> None:
        super().__init__(database, viewer)
        self.values = {**request.values, "limit": limit}
        self.statement = sql.count_per_parent(relation, viewer.kind, request.counted_form)

    async def load_map(self, keys: Sequence[Any]) -> Mapping[Any, int]:
        """The count of each key."""
        counts = dict(await self.fetch(self.statement, keys=keys, **self.values))
        return {key: counts[position] for position, key in enumerate(keys, start=1)}


class Loaders:
    """The loaders of one request. Those who want the same get the same one, and so share its statement."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database = database
        self.viewer = viewer
        self._loaders: dict[Hashable, Any] = {}

    def one(self, relation: Relation, columns: tuple[str, ...]) -> Loader[Record | None]:
        """The loader of a to-one edge, fetching these columns."""
        return self.get_loader(RowLoader, relation, columns)

    def many(self, relation: Relation, columns: tuple[str, ...], request: PageRequest) -> Loader[Page]:
        """The loader of a page per parent, fetching these columns."""
        return self.get_loader(PageLoader, relation, columns, request)

    def count(self, relation: Relation, request: PageRequest, limit: int | None) -> Loader[int]:
        """The loader of a count per parent; exact without a limit."""
        return self.get_loader(CountLoader, relation, request, limit)

    async def page(self, row: type[Row], columns: tuple[str, ...], request: PageRequest) -> Page:
        """A page of all rows of a class."""
        statement = sql.page(row, columns, self.viewer.kind, request.form)
        return Page(request, await self._fetch(statement, request.values))

    async def total(self, row: type[Row], request: PageRequest, limit: int | None) -> int:
        """How many rows of a class there are, counted up to the limit."""
        statement = sql.count(row, self.viewer.kind, request.counted_form)
        rows = await self._fetch(statement, {**request.values, "limit": limit})
        return int(rows[0][0])

    async def get(self, row: type[Row], key: Any, columns: tuple[str, ...] = ("id",)) -> Record | None:
        """The row with this id, if the viewer may see it."""
        return await self.one(by_id(row), columns).load(key)

    async def _fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Record]:
        return await self.database.fetch(statement.text, statement.arguments({**values, "viewer_id": self.viewer.id}))

    def get_loader(self, kind: type[Made], *what: Hashable) -> Made:
        """The loader of this kind for this matter."""
        key = (kind, *what)
        if key not in self._loaders:
            self._loaders[key] = kind(self.database, self.viewer, *what)
        loader: Made = self._loaders[key]
        return loader
