import asyncio

import pytest

from tests.conftest import execute
from tests.graph import CONNECTIONS, EDGES, ENTITIES, Edge
from tests.serving import Gateway, serving

NESTED = """
query Nested($first: Int) {
  clones(first: $first) { nodes { name domain {
    name
    experts(first: 5) { nodes { name assistants(first: 3) { nodes { assistantId } } } }
    documents(first: 10) { nodes { name } }
    vectorStores(first: 5) { nodes { vectorId } }
  } } }
}
"""
LISTS_OF_NESTED = ["clones", "experts", "assistants", "documents", "vectorStores"]


def test_every_entity_has_a_root_connection() -> None:
    assert sorted(CONNECTIONS) == ENTITIES


@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge.type_name != "DomainHealth"], ids=str)
def test_an_edge_takes_one_statement_whatever_the_number_of_parents(gateway: Gateway, edge: Edge) -> None:
    selection = "(first: 2) { nodes { id } pageInfo { hasNextPage endCursor } }" if edge.many else "{ id }"
    statements = 2 if edge.many or edge.linked or edge.target == edge.type_name else 1  # other single rows come along
    root = CONNECTIONS[edge.type_name]
    # Where none of the first hundred has such an edge, some of the last do.
    for end in ("first", "last"):
        query = f"query Q($n: Int) {{ {root}({end}: $n) {{ nodes {{ {edge.name}{selection} }} }} }}"
        few, many = (gateway.ask(query, as_="grace", n=n) for n in (2, 100))
        if len(many.statements) == statements and any(node[edge.name] for node in many.data[root]["nodes"]):
            break

    assert few.data
    assert any(node[edge.name] for node in many.data[root]["nodes"])
    assert len(few.statements) <= statements
    assert len(many.statements) == statements


@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge.many], ids=str)
def test_a_count_takes_one_statement_more(gateway: Gateway, edge: Edge) -> None:
    answer = gateway.ask(
        f"{{ {CONNECTIONS[edge.type_name]} {{ nodes {{ {edge.name} {{ totalCount }} }} }} }}", as_="grace"
    )

    assert answer.data
    assert len(answer.statements) == 2


@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge.many], ids=str)
def test_a_page_of_an_edge_holds_the_first_rows_of_its_own_parent(gateway: Gateway, edge: Edge) -> None:
    root = CONNECTIONS[edge.type_name]
    answer = gateway.ask(
        f"{{ {root}(first: 10) {{ nodes {{ id page: {edge.name}(first: 2) {{ nodes {{ id }} }}"
        f" all: {edge.name}(first: 100) {{ totalCount nodes {{ id }} }} }} }} }}",
        as_="grace",
    )

    for parent in answer.data[root]["nodes"]:
        everything = parent["all"]["nodes"]
        assert parent["page"]["nodes"] == everything[:2]
        assert len(everything) == min(parent["all"]["totalCount"], 100)


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_an_edge_can_be_walked_back(edge: Edge) -> None:
    back = [other for other in EDGES if (other.type_name, other.target) == (edge.target, edge.type_name)]

    assert back or edge.type_name == "DomainHealth"


def test_the_nested_query_takes_one_statement_for_each_list(gateway: Gateway) -> None:
    few, many = (gateway.ask(NESTED, as_="grace", first=first) for first in (20, 100))

    assert len(few.data["clones"]["nodes"]) == 20
    assert len(few.statements) == len(LISTS_OF_NESTED)
    assert len(many.data["clones"]["nodes"]) > 20
    assert len(many.statements) == len(LISTS_OF_NESTED)


def test_two_hundred_clones_take_no_more_statements_than_one(own_database: str) -> None:
    asyncio.run(
        execute(
            own_database,
            """INSERT INTO clones (name, domain_id) SELECT 'made ' || n, d.id
            FROM (SELECT id FROM domains ORDER BY id LIMIT 4) d, generate_series(1, 90) n""",
        )
    )
    query = """query Q($domains: Int) { domains(first: $domains) { nodes { clones(first: 90) { nodes {
        creator { fullName } domain { experts(first: 5) { nodes { assistants(first: 3) { nodes { assistantId } } } } }
    } } } } }"""

    with serving(own_database, {"max_cost": 1_000_000, "points_capacity": 1_000_000}) as generous:
        few, many = (generous.ask(query, as_="grace", domains=number) for number in (1, 100))

    assert sum(len(domain["clones"]["nodes"]) for domain in many.data["domains"]["nodes"]) > 200
    assert few.data
    assert len(few.statements) == len(many.statements) == 4


def test_only_selected_columns_are_fetched(gateway: Gateway) -> None:
    answer = gateway.ask("{ clones(first: 1) { nodes { name } } }")

    assert answer.data
    assert "bio" not in answer.statements[0]
    assert "system_prompt" not in answer.statements[0]


def test_skipped_fields_are_not_fetched(gateway: Gateway) -> None:
    answer = gateway.ask(
        "query Q($yes: Boolean!) { clones { nodes { name bio @skip(if: $yes) domain @include(if: false) { name } } } }",
        yes=True,
    )

    assert answer.data
    assert len(answer.statements) == 1
    assert "bio" not in answer.statements[0]
    assert "domain_id" not in answer.statements[0]


def test_nothing_is_counted_unless_asked(gateway: Gateway) -> None:
    assert "count(" not in gateway.ask("{ clones { nodes { name } } }").statements[0]


def test_a_count_alone_fetches_no_rows(gateway: Gateway) -> None:
    answer = gateway.ask("{ clones { totalCount count { value precision } } }")

    assert answer.data["clones"]["count"] == {"value": answer.data["clones"]["totalCount"], "precision": "EXACT"}
    assert len(answer.statements) == 2


def test_a_count_stops_at_its_limit_and_says_so(gateway: Gateway) -> None:
    answer = gateway.ask("{ clones { count(limit: 3) { value precision } } }")

    assert answer.data["clones"]["count"] == {"value": 3, "precision": "AT_LEAST"}


def test_the_same_fragment_at_two_places_is_loaded_once(gateway: Gateway) -> None:
    answer = gateway.ask(
        """{ a: clones(first: 5) { nodes { ...withDomain } } b: clones(last: 5) { nodes { ...withDomain } } }
        fragment withDomain on Clone { domain { name } }"""
    )

    assert answer.data
    assert len(answer.statements) <= 4
