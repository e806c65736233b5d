import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key, partial
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import execute
from tests.graph import CONNECTIONS, order_fields
from tests.serving import CAST, Gateway

ORDERS = [
    (entity, field, direction, nulls)
    for entity in CONNECTIONS
    for field in order_fields(entity)
    for direction, nulls in (("ASC", "LAST"), ("ASC", "FIRST"), ("DESC", "LAST"), ("DESC", "FIRST"))
]
MOST_PAGES = 400


def walk(gateway: Gateway, connection: str, *, order: Any, size: int, backwards: bool, as_: str) -> list[Any]:
    """All nodes of a connection, page by page, in the order of the list."""
    edge, cursor, more, end = (
        ("last", "before", "hasPreviousPage", "startCursor")
        if backwards
        else ("first", "after", "hasNextPage", "endCursor")
    )
    entity = next(entity for entity, name in CONNECTIONS.items() if name == connection)
    query = f"""query Page($size: Int, $cursor: String, $order: [{entity}Order!]) {{
        page: {connection}({edge}: $size, {cursor}: $cursor, orderBy: $order) {{
            nodes {{ id }} pageInfo {{ {more} {end} }} }} }}"""
    found: list[Any] = []
    place = None
    for _ in range(MOST_PAGES):
        page = gateway.ask(query, as_=as_, size=size, cursor=place, order=order).data["page"]
        ids = [node["id"] for node in page["nodes"]]
        found = ids + found if backwards else found + ids
        if not page["pageInfo"][more]:
            return found
        place = page["pageInfo"][end]
    pytest.fail("the pages do not end")


@pytest.mark.parametrize(("entity", "field", "direction", "nulls"), ORDERS)
def test_paging_meets_every_row_once_both_ways_under_every_order(
    gateway: Gateway, entity: str, field: str, direction: str, nulls: str
) -> None:
    connection = CONNECTIONS[entity]
    order = [{"field": field, "direction": direction, "nulls": nulls}]
    total = gateway.ask(f"{{ {connection} {{ totalCount }} }}", as_="maya").data[connection]["totalCount"]
    size = min(100, total // 3 + 1)

    forwards = walk(gateway, connection, order=order, size=size, backwards=False, as_="maya")
    backwards = walk(gateway, connection, order=order, size=size, backwards=True, as_="maya")

    assert len(forwards) == len(set(forwards)) == total
    assert backwards == forwards


class Made(NamedTuple):
    """A clone as the property test makes it."""

    category: str | None
    rating: Decimal | None
    price: Decimal
    published: bool
    own: bool


class Sort(NamedTuple):
    """One key of an order, as the property test chooses it."""

    field: str
    descending: bool
    nulls_first: bool


clones = st.builds(
    Made,
    category=st.none() | st.sampled_from(["a", "b"]),
    rating=st.none() | st.sampled_from([Decimal("1.5"), Decimal(3), Decimal("4.25")]),
    price=st.sampled_from([Decimal(1), Decimal("2.00012345")]),
    published=st.booleans(),
    own=st.booleans(),
)
sorts = st.builds(
    Sort,
    field=st.sampled_from(["CATEGORY", "AVERAGE_RATING", "BASE_PRICE", "IS_PUBLISHED"]),
    descending=st.booleans(),
    nulls_first=st.booleans(),
)
VALUES: dict[str, Callable[[Made], Any]] = {
    "CATEGORY": lambda made: made.category,
    "AVERAGE_RATING": lambda made: made.rating,
    "BASE_PRICE": lambda made: made.price,
    "IS_PUBLISHED": lambda made: made.published,
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(
    made=st.lists(clones, max_size=14),
    order=st.lists(sorts, min_size=1, max_size=3, unique_by=lambda sort: sort.field),
    size=st.integers(1, 5),
    as_=st.sampled_from(["grace", "maya"]),
)
def test_random_rows_are_paged_in_order_once_each_with_nulls_and_ties(
    own_gateway: Gateway, made: list[Made], order: list[Sort], size: int, as_: str
) -> None:
    rows = {f"clone_{UUID(int=number + 1).hex}": each for number, each in enumerate(made)}
    asyncio.run(replace_clones(own_gateway.database_url, rows))
    given_order = [
        {
            "field": sort.field,
            "direction": "DESC" if sort.descending else "ASC",
            "nulls": "FIRST" if sort.nulls_first else "LAST",
        }
        for sort in order
    ]

    forwards = walk(own_gateway, "clones", order=given_order, size=size, backwards=False, as_=as_)
    backwards = walk(own_gateway, "clones", order=given_order, size=size, backwards=True, as_=as_)

    visible = [id_ for id_, each in rows.items() if as_ == "grace" or each.published or each.own]
    assert forwards == sorted(visible, key=cmp_to_key(partial(compare, rows, order)))
    assert backwards == forwards


def compare(rows: dict[str, Made], order: list[Sort], a: str, b: str) -> int:
    """Which of two rows comes first: an independent telling of what the order means."""
    for sort in order:
        left, right = VALUES[sort.field](rows[a]), VALUES[sort.field](rows[b])
        if left == right:
            continue
        if left is None or right is None:
            return -1 if (left is None) == sort.nulls_first else 1
        return (-1 if left < right else 1) * (-1 if sort.descending else 1)
    return (-1 if a < b else 1) * (-1 if order[-1].descending else 1)


async def replace_clones(database_url: str, rows: dict[str, Made]) -> None:
    """Make these the only clones there are."""
    await execute(database_url, "TRUNCATE clones CASCADE")
    for id_, made in rows.items():
        await execute(
            database_url,
            "INSERT INTO clones (id, name, category, average_rating, base_price, is_published, creator_id)"
            " VALUES ($1, 'made', $2, $3, $4, $5, $6)",
            UUID(id_.removeprefix("clone_")),
            made.category,
            made.rating,
            made.price,
            made.published,
            CAST["maya" if made.own else "jonas"].id,
        )


def test_a_page_is_the_next_one_even_when_rows_before_it_come_and_go(own_gateway: Gateway) -> None:
    query = "query Q($after: String) { clones(first: 3, after: $after) { nodes { id } pageInfo { endCursor } } }"
    everything = [
        node["id"] for node in own_gateway.ask("{ clones(first: 100) { nodes { id } } }").data["clones"]["nodes"]
    ]
    first = own_gateway.ask(query).data["clones"]
    for gone in everything[:3]:
        statement = "UPDATE clones SET is_active = false WHERE id = $1"
        asyncio.run(execute(own_gateway.database_url, statement, UUID(gone.removeprefix("clone_"))))

    second = own_gateway.ask(query, after=first["pageInfo"]["endCursor"]).data["clones"]

    assert [node["id"] for node in second["nodes"]] == everything[3:6]
