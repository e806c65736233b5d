"""The statements of the loaders, built by SQLAlchemy, compiled to text once, and run on asyncpg.

One statement fetches what one edge of the graph needs for any number of parents:

* a row per key: `WHERE column = ANY($1)`,
* a page per parent: the parents' keys as a table, joined LATERAL to an ordered and limited select,
* a count per parent, the same way.

The visibility of rows and of private columns is part of each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    any_,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.expression import SelectBase, TableValuedAlias

from db import Row, ViewerKind
from db.statement import Statement, compiled
from loaders.columns import is_private, private_by, readable, search_query, visible, visible_apart
from loaders.order import Order, ordering, ranges
from loaders.relation import Columns, Joined, Relation
from loaders.where import Shape, condition

CACHED_STATEMENTS = 2048


@dataclass(frozen=True)
class PageForm:
    """What shapes the statement of a page, apart from its values.

    limit: how many rows a page has at most. It is no parameter, since PostgreSQL plans for few or for many.
    after, before: for each key of the order, whether that cursor is null there; None without a cursor.
    """

    order: Order
    where: Shape
    limit: int | None = None
    searching: bool = False
    after: tuple[bool, ...] | None = None
    before: tuple[bool, ...] | None = None


@lru_cache(maxsize=CACHED_STATEMENTS)
def row_per_key(relation: Relation, columns: Columns, kind: ViewerKind) -> Statement:
    """Rows whose column is one of the parameter `keys`; the first value of each is its key."""
    row, column = relation.target, relation.column
    key, joined = relation.link or (column, column)
    keys = bindparam("keys", type_=ARRAY(key.type))
    source, selected = _selected(row, columns, kind)
    return compiled(
        select(key.label("_key"), *selected)
        .select_from(source)
        .where(key == any_(keys), true() if joined is column else joined == column, visible(row, kind))
    )


@lru_cache(maxsize=CACHED_STATEMENTS)
def page(row: type[Row], columns: Columns, kind: ViewerKind, form: PageForm) -> Statement:
    """A page of all rows of a class."""
    return compiled(_page(row, columns, kind, form, visible_apart(row, kind), belongs=true()))


@lru_cache(maxsize=CACHED_STATEMENTS)
def page_per_parent(relation: Relation, columns: Columns, kind: ViewerKind, form: PageForm) -> Statement:
    """A page for each of the parameter `keys`; the first value of each row is its key's position, from 1."""
    row = relation.target
    parents, private = _parents_of_private(relation, columns, kind)
    child = _page(
        row,
        columns,
        kind,
        form,
        [_seen(relation, kind)],
        belongs=relation.matches(parents.c.key),
        parents=parents,
        private=private,
    ).lateral("child")
    return compiled(select(parents.c.position, *child.c).select_from(parents.join(child, true())))


@lru_cache(maxsize=CACHED_STATEMENTS)
def count(row: type[Row], kind: ViewerKind, form: PageForm) -> Statement:
    """How many rows of a class there are, up to the parameter `limit`."""
    branches = [_matching(row, kind, form).where(each).limit(_limit()) for each in visible_apart(row, kind)]
    rows = branches[0] if len(branches) == 1 else union_all(*branches).limit(_limit())
    return compiled(select(func.count()).select_from(rows.subquery()))


@lru_cache(maxsize=CACHED_STATEMENTS)
def count_per_parent(relation: Relation, kind: ViewerKind, form: PageForm) -> Statement:
    """How many rows each of the parameter `keys` has, up to the parameter `limit`, by the key's position."""
    row, parents = relation.target, _parents(relation)
    rows = (
        _matching(row, kind, form)
        .where(_seen(relation, kind), relation.matches(parents.c.key))
        .limit(_limit())
        .correlate(parents)
        .lateral("child")
    )
    counted = select(parents.c.position, func.count(rows.c.one)).select_from(parents.outerjoin(rows, true()))
    return compiled(counted.group_by(parents.c.position))


def _page(
    row: type[Row],
    columns: Columns,
    kind: ViewerKind,
    form: PageForm,
    alternatives: Sequence[ColumnElement[bool]],
    *,
    belongs: ColumnElement[bool],
    parents: FromClause | None = None,
    private: ColumnElement[bool] | None = None,
) -> SelectBase:
    """The ordered, limited rows: one select for each range and alternative, so that an index can serve each.

    What comes along is looked up for the rows that remain of them all. private: as `readable` has it.
    """
    limit = literal_column(str(form.limit), BigInteger)
    own, joined = _apart(columns)
    parts = [(each, part) for each in alternatives for part in ranges(row, form.order, kind, after=form.after)]
    fetched = own
    if joined or len(parts) > 1:
        fetched = list(
            dict.fromkeys((*own, *(key.name for key in form.order), *(each.relation.key for each in joined)))
        )
    branches = [
        select(*_readable(row, fetched, kind, private))
        .select_from(row)
        .where(_filtered(row, kind, form), belongs, alternative, *part.conditions)
        .order_by(*part.order_by)
        .limit(limit)
        .correlate(parents)
        for alternative, part in parts
    ]
    rows: SelectBase = branches[0]
    if len(branches) > 1:
        page = union_all(*branches).subquery("page")
        rows = select(*page.c).order_by(*ordering(row, form.order, page.c)).limit(limit)
    if not joined:
        return rows
    page = rows.subquery("page")
    source, along = _with_joined(page, page.c, joined, kind)
    selected = [page.c[name] for name in own]
    return select(*selected, *along).select_from(source).order_by(*ordering(row, form.order, page.c))


def _matching(row: type[Row], kind: ViewerKind, form: PageForm) -> Select[Any]:
    return select(literal(1).label("one")).select_from(row).where(_filtered(row, kind, form))


def _filtered(row: type[Row], kind: ViewerKind, form: PageForm) -> ColumnElement[bool]:
    """What narrows the list down, whatever page of it is wanted."""
    conditions = [condition(form.where, row, kind)]
    if form.searching:
        conditions.append(row.search_vector().bool_op("@@")(search_query()))
    if form.before is not None:
        backwards = tuple(key.reversed() for key in form.order)
        before = ranges(row, backwards, kind, after=form.before, prefix="before")
        conditions.append(or_(*(and_(*part.conditions) for part in before)))
    return and_(*conditions)


def _selected(row: type[Row], columns: Columns, kind: ViewerKind) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """The table of a row with those of the rows that come along, and what is selected of them."""
    own, joined = _apart(columns)
    source, along = _with_joined(row.__table__, row.__mapper__.columns, joined, kind)
    return source, [*_readable(row, own, kind), *along]


def _apart(columns: Columns) -> tuple[list[str], list[Joined]]:
    """A row's own columns, and the rows that come along."""
    own = [each for each in columns if isinstance(each, str)]
    return own, [each for each in columns if isinstance(each, Joined)]


def _readable(
    row: type[Row], names: Sequence[str], kind: ViewerKind, private: ColumnElement[bool] | None = None
) -> list[ColumnElement[Any]]:
    return [readable(row, name, kind, private).label(name) for name in names]


def _with_joined(
    rows: FromClause, keys: ReadOnlyColumnCollection[str, Any], joined: Sequence[Joined], kind: ViewerKind
) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """Rows with the row that comes along with each, if the viewer may see it, and what is selected of those."""
    source, selected = rows, list[ColumnElement[Any]]()
    for each in joined:
        relation = each.relation
        target, columns = _selected(relation.target, each.columns, kind)
        along = (
            select(relation.column.label("_key"), *columns)
            .select_from(target)
            .where(relation.matches(keys[relation.key]), visible(relation.target, kind))
            .correlate(rows)
            .lateral()
        )
        source = source.outerjoin(along, true())
        selected += [column.label(f"{each.name}.{column.name}") for column in along.c]
    return source, selected


def _seen(relation: Relation, kind: ViewerKind) -> ColumnElement[bool]:
    """Which of a parent's rows the viewer sees, who sees the parent."""
    return true() if relation.implied else visible(relation.target, kind)


def _parents(relation: Relation) -> TableValuedAlias:
    """The parents' keys as a table of (key, position)."""
    key_type = relation.link[0].type if relation.link else relation.column.expression.type
    keys = func.unnest(bindparam("keys", type_=ARRAY(key_type)))
    return keys.table_valued(column("key", key_type), with_ordinality="position", name="parent").render_derived()


def _parents_of_private(
    relation: Relation, columns: Columns, kind: ViewerKind
) -> tuple[FromClause, ColumnElement[bool] | None]:
    """The parents' keys, and where the parent alone decides on it, whether private columns of its rows can be read.

    That is worked out once for each parent: without the OFFSET, PostgreSQL would do it for each of the rows.
    """
    parents = _parents(relation)
    if relation.link or not any(is_private(relation.target, name) for name in _apart(columns)[0]):
        return parents, None
    private = private_by(relation.target, relation.column.expression, parents.c.key, kind)
    if private is None:
        return parents, None
    decided = select(parents.c.key, parents.c.position, private.label("private")).offset(literal_column("0"))
    known = decided.subquery("parent")
    return known, known.c.private


def _limit() -> ColumnElement[int]:
    return bindparam("limit", type_=BigInteger)
