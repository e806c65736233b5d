"""Loaders: what the fields of one request want, gathered into one statement for each edge.

`load` is aiodataloader's: it waits for the other fields that want the same edge. `load_map` is for those who know all
their keys already. Both remember what they found for the whole request.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Hashable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from aiodataloader import DataLoader
from asyncpg import Record

from db import Row, Viewer
from db.engine import Database
from db.statement import Statement
from loaders import sql
from loaders.pages import Page, PageRequest
from loaders.relation import Columns, Relation, by_id

Value = TypeVar("Value")
Made = TypeVar("Made", bound="Loader[Any]")
Of = Relation | type[Row]
"""Which list: that of each parent, or that of all rows of a class."""

ALL: Final = "all"
"""The key of a list that has no parent."""
POSITION: Final = itemgetter(0)
"""Of a row in a page, its key's position, from 1."""


class Loader(ABC, Generic[Value]):
    """Loads values by key, many keys with one statement, and each key once."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database = database
        self.viewer = viewer
        self._found: dict[Any, Value] = {}
        self._failure: Exception | None = None
        self._fetching = asyncio.Lock()

    @abstractmethod
    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, Value]:
        """The value of each key, from the database."""

    async def load_map(self, keys: Sequence[Any]) -> Mapping[Any, Value]:
        """The values of these keys, and of those that were loaded before.

        What failed once fails again: nobody waits twice in a request for a database that is away.
        """
        async with self._fetching:
            new = [key for key in dict.fromkeys(keys) if key not in self._found]
            if new and self._failure:
                raise self._failure
            if new:
                try:
                    self._found.update(await self.fetch_map(new))
                except Exception as error:
                    self._failure = error
                    raise
        return self._found

    def load(self, key: Any) -> Awaitable[Value]:
        """The value of one key, which is loaded together with all that are asked for at the same moment."""
        return self._one_by_one.load(key)

    @cached_property
    def _one_by_one(self) -> DataLoader[Any, Value]:
        async def load_batch(keys: list[Any]) -> list[Value]:
            found = await self.load_map(keys)
            return [found[key] for key in keys]

        return DataLoader(load_batch)

    async def fetch(self, statement: Statement, **values: Any) -> list[Record]:
        """The rows of a statement for this viewer."""
        values["viewer_id"] = self.viewer.id
        return await self.database.fetch(statement.text, statement.arguments(values))


class RowLoader(Loader[Record | None]):
    """The one row of each key; None where there is none, or none that the viewer may see."""

    def __init__(self, database: Database, viewer: Viewer, relation: Relation, columns: Columns) -> None:
        super().__init__(database, viewer)
        self.statement = sql.row_per_key(relation, columns, viewer.kind)

    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, Record | None]:
        """The row of each key."""
        found = {row["_key"]: row for row in await self.fetch(self.statement, keys=keys)}
        return {key: found.get(key) for key in keys}


class PageLoader(Loader[Page]):
    """A page of rows for each parent's key."""

    def __init__(
        self, database: Database, viewer: Viewer, relation: Relation, columns: Columns, request: PageRequest
    ) -> None:
        super().__init__(database, viewer)
        self.request = request
        self.statement = sql.page_per_parent(relation, columns, viewer.kind, request.form)

    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, Page]:
        """The page of each key. The database gives the rows parent by parent, in order."""
        pages = dict.fromkeys(keys, Page(self.request))
        rows = await self.fetch(self.statement, keys=keys, **self.request.values)
        for position, of_key in groupby(rows, POSITION):
            pages[keys[position - 1]] = Page.of(self.request, list(of_key))
        return pages


class ListLoader(Loader[Page]):
    """A page of all rows of a class, by the one key `ALL`."""

    def __init__(
        self, database: Database, viewer: Viewer, row: type[Row], columns: Columns, request: PageRequest
    ) -> None:
        super().__init__(database, viewer)
        self.request = request
        self.statement = sql.page(row, columns, viewer.kind, request.form)

    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, Page]:
        """The page."""
        return {ALL: Page.of(self.request, await self.fetch(self.statement, **self.request.values))}


class CountLoader(Loader[int]):
    """How many rows each parent has, counted up to a limit."""

    def __init__(
        self, database: Database, viewer: Viewer, relation: Relation, request: PageRequest, limit: int | None
    ) -> None:
        super().__init__(database, viewer)
        self.values = {**request.values, "limit": limit}
        self.statement = sql.count_per_parent(relation, viewer.kind, request.counted_form)

    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, int]:
        """The count of each key."""
        counts = dict(await self.fetch(self.statement, keys=keys, **self.values))
        return {key: counts[position] for position, key in enumerate(keys, start=1)}


class TotalLoader(Loader[int]):
    """How many rows of a class there are, counted up to a limit, by the one key `ALL`."""

    def __init__(
        self, database: Database, viewer: Viewer, row: type[Row], request: PageRequest, limit: int | None
    ) -> None:
        super().__init__(database, viewer)
        self.values = {**request.values, "limit": limit}
        self.statement = sql.count(row, viewer.kind, request.counted_form)

    async def fetch_map(self, keys: Sequence[Any]) -> Mapping[Any, int]:
        """The count."""
        ((number,),) = await self.fetch(self.statement, **self.values)
        return {ALL: number}


class Loaders:
    """The loaders of one request. Those who want the same get the same one, and so share its statement."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database = database
        self.viewer = viewer
        self._loaders: dict[Hashable, Any] = {}

    def one(self, relation: Relation, columns: Columns) -> Loader[Record | None]:
        """The loader of a to-one edge, fetching these columns."""
        return self.get_loader(RowLoader, relation, columns)

    def many(self, of: Of, columns: Columns, request: PageRequest) -> Loader[Page]:
        """The loader of a page per parent, or of all rows of a class, fetching these columns."""
        kind = PageLoader if isinstance(of, Relation) else ListLoader
        return self.get_loader(kind, of, columns, request)

    def count(self, of: Of, request: PageRequest, limit: int | None) -> Loader[int]:
        """The loader of a count per parent, or of all rows of a class; exact without a limit."""
        kind = CountLoader if isinstance(of, Relation) else TotalLoader
        return self.get_loader(kind, of, request, limit)

    async def get(self, row: type[Row], key: Any, columns: Columns = ("id",)) -> Record | None:
        """The row with this id, if the viewer may see it."""
        return await self.one(by_id(row), columns).load(key)

    def get_loader(self, kind: type[Made], *what: Hashable) -> Made:
        """The loader of this kind for this matter."""
        key = (kind, *what)
        loader: Made | None = self._loaders.get(key)
        if loader is None:
            loader = self._loaders[key] = kind(self.database, self.viewer, *what)
        return loader
