"""Pages of a connection: what was asked for, and what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from asyncpg import Record

from db import Row
from loaders.columns import SEARCH_RANK
from loaders.errors import BadInput
from loaders.order import Key, Order, Place, complete, decode_cursor, default_order, encode_cursor
from loaders.sql import PageForm
from loaders.where import Where

DEFAULT_PAGE = 25
LARGEST_PAGE = 100
LONGEST_WORDS = 500
"""How many characters may be looked for inside of texts. The time that takes grows with them."""


@dataclass(frozen=True)
class PageRequest:
    """One page of a list: how many rows, from where, in which order, under which filter.

    backward: whether the page is taken from the end of the list.
    """

    size: int
    backward: bool
    order: Order
    where: Where
    search: str | None
    after: Place | None
    before: Place | None
    digest: str

    @classmethod
    def read(
        cls,
        row: type[Row],
        *,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        where: Where | None = None,
        order: tuple[Key, ...] = (),
        search: str | None = None,
    ) -> "PageRequest":
        """The page that these arguments ask for. Raises BadInput when they ask for none."""
        where = where or Where()
        search = bounded("search", search) if search and search.strip() else None
        keys = complete(order) if order else _unordered(row, search)
        digest = _digest(row, keys, where, search)
        return cls(
            size=_size(first, last),
            backward=last is not None,
            order=keys,
            where=where,
            search=search,
            after=decode_cursor(after, digest, row, keys) if after is not None else None,
            before=decode_cursor(before, digest, row, keys) if before is not None else None,
            digest=digest,
        )

    @cached_property
    def form(self) -> PageForm:
        """What shapes the statement. A page from the end is one from the start of the reversed list.

        One row more than wanted shows if there is a next.
        """
        start, end = (self.before, self.after) if self.backward else (self.after, self.before)
        return PageForm(
            order=tuple(key.reversed() for key in self.order) if self.backward else self.order,
            where=self.where.shape,
            limit=self.size + 1,
            searching=self.search is not None,
            after=_nulls(start),
            before=_nulls(end),
        )

    @cached_property
    def counted_form(self) -> PageForm:
        """The same without the page: what a count counts."""
        return PageForm(order=self.order, where=self.where.shape, searching=self.search is not None)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The parameters of the statement, but for the viewer and the keys."""
        start, end = (self.before, self.after) if self.backward else (self.after, self.before)
        return {
            "search": self.search,
            **dict(self.where.values),
            **{f"after_{i}": value for i, value in enumerate(start or ())},
            **{f"before_{i}": value for i, value in enumerate(end or ())},
        }


@dataclass(slots=True)
class Page:
    """The rows of one page, in the order of the list.

    has_more: whether the list goes on in the direction it was walked.
    """

    request: PageRequest
    nodes: Sequence[Record] = ()
    has_more: bool = False

    @classmethod
    def of(cls, request: PageRequest, fetched: Sequence[Record]) -> "Page":
        """The page of rows as they came: at most one more than asked for, and from the end if taken from there."""
        nodes = fetched[: request.size]
        return cls(request, nodes[::-1] if request.backward else nodes, len(fetched) > request.size)

    @property
    def has_next_page(self) -> bool:
        """Whether there are rows after these."""
        return self.request.before is not None if self.request.backward else self.has_more

    @property
    def has_previous_page(self) -> bool:
        """Whether there are rows before these."""
        return self.has_more if self.request.backward else self.request.after is not None

    @property
    def start_cursor(self) -> str | None:
        """The place of the first row."""
        return self.cursor(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        """The place of the last row."""
        return self.cursor(self.nodes[-1]) if self.nodes else None

    def cursor(self, row: Record) -> str:
        """The place of one of the rows."""
        return encode_cursor(self.request.digest, [row[key.name] for key in self.request.order])


def bounded(what: str, words: str) -> str:
    """Words to look for inside of texts. Raises BadInput when they are too long."""
    if len(words) > LONGEST_WORDS:
        raise BadInput(f"{what} may have {LONGEST_WORDS} characters, and had {len(words)}. Look for fewer words.")
    return words


def _size(first: int | None, last: int | None) -> int:
    if first is not None and last is not None:
        raise BadInput("Give first or last, not both: first counts from the start of the list, last from its end.")
    name, size = ("first", first) if last is None else ("last", last)
    if size is None:
        return DEFAULT_PAGE
    if not 0 <= size <= LARGEST_PAGE:
        raise BadInput(
            f"{name} must be from 0 to {LARGEST_PAGE}, and was {size}. Fetch more page by page, with cursors."
        )
    return size


def _unordered(row: type[Row], search: str | None) -> Order:
    """The best matches first when searching, else the row's own order."""
    return complete([Key(SEARCH_RANK, descending=True)]) if search else default_order(row)


def _digest(row: type[Row], order: Order, where: Where, search: str | None) -> str:
    """What ties a cursor to a list: another filter or order has another digest."""
    return blake2b(repr((row.__name__, order, where, search)).encode(), digest_size=6).hexdigest()


def _nulls(place: Place | None) -> tuple[bool, ...] | None:
    return None if place is None else tuple(value is None for value in place)
