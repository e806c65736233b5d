from collections.abc import Iterator
from typing import Any

import pytest
from graphql import OperationType, get_introspection_query

from gateway.explorer import Example, examples
from gateway.settings import Settings
from tests.conftest import POINTS
from tests.serving import Answer, Gateway, serving

NESTED = """
{ viewer { clones { nodes { name domain { name
    experts(first: 5) { nodes { name assistants { nodes { assistantId } } } }
    documents(first: 10) { nodes { name } }
    vectorStores { nodes { vectorId } } } } } } }
"""
"""The query that must be a pleasure."""

QUERIES = [example for example in examples() if example.operation is OperationType.QUERY]
UNKNOWN = "clone_" + "0" * 32


@pytest.fixture(scope="module")
def developers_gateway(demo_database: str) -> Iterator[Gateway]:
    with serving(demo_database, {"development": True}) as running:
        yield running


def send(gateway: Gateway, query: str, variables: Any = None, as_: str | None = None, **headers: str) -> Answer:
    gateway.statements.clear()
    names = {f"graphql-{name}": value for name, value in headers.items()}
    body = {"query": query, "variables": variables}
    response = gateway.client.post("/graphql", json=body, headers={**names, **gateway.headers(as_)})
    return Answer(response, list(gateway.statements))


def price(gateway: Gateway, query: str, /, **variables: Any) -> int:
    answer = send(gateway, query, variables, cost="validate")
    assert answer.data == {}
    assert answer.statements == []
    requested: int = answer.body["extensions"]["cost"]["requested"]
    return requested


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ __typename }", 1),
        ("{ viewer { id fullName } }", 1),
        ("{ viewer { id } me: viewer { id } }", 2),
        ('{ clone(id: "x") { creator { id } domain { id } } }', 3),
        ("{ clones { nodes { id } } }", 25),
        ("{ clones { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }", 25),
        ("{ clones { nodes { id } edges { node { id } } } }", 50),
        ("{ clones(first: 7) { nodes { id } } }", 7),
        ("{ clones(last: 7) { nodes { id creator { id } } } }", 14),
        ("{ clones(first: 0) { nodes { id } } }", 1),
        ("{ clones { pageInfo { hasNextPage } } }", 1),
        ("{ clones(first: 3) { totalCount count { value } } }", 2),
        ("{ clones(first: 3) { nodes { id experts(first: 4) { nodes { id } } } } }", 15),
        ("{ clones(first: 3) { nodes { id experts(first: 4) { totalCount } } } }", 6),
        ("{ domainHealth { expertCount } }", 25),
        ("{ domains(first: 2) { nodes { health { expertCount } } } }", 4),
        ('{ vectorStore(id: "x") { batches { batchId } fileIds } }', 26),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 3),
    ],
)
def test_an_operation_costs_the_objects_that_it_can_return(gateway: Gateway, query: str, cost: int) -> None:
    assert price(gateway, query) == cost


@pytest.mark.parametrize(
    ("variables", "cost"),
    [({}, 25), ({"n": None}, 25), ({"n": 40}, 40), ({"n": 100}, 100), ({"n": 1_000_000_000}, 100), ({"n": -5}, 1)],
)
def test_a_page_counts_at_the_size_that_its_variable_really_has(
    gateway: Gateway, variables: dict[str, Any], cost: int
) -> None:
    assert price(gateway, "query($n: Int) { clones(first: $n) { nodes { id } } }", **variables) == cost


def test_a_variable_that_is_not_given_counts_with_its_default(gateway: Gateway) -> None:
    assert price(gateway, "query($n: Int = 9) { clones(first: $n) { nodes { id } } }") == 9


@pytest.mark.parametrize("number", [1, 17, 100])
def test_nodes_by_their_ids_are_as_many_as_the_ids(gateway: Gateway, number: int) -> None:
    ids = [UNKNOWN] * number

    assert price(gateway, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids) == number


def test_an_object_that_may_be_of_many_types_costs_as_much_as_the_dearest(gateway: Gateway) -> None:
    query = """{ node(id: "x") {
        ... on Clone { creator { id } domain { id } }
        ... on Domain { experts(first: 30) { nodes { id } } }
        ... on Node { id } } }"""

    assert price(gateway, query) == 31


def test_what_is_selected_twice_is_counted_once(gateway: Gateway) -> None:
    query = """{ clones(first: 10) { nodes { ...Card ...Card creator { id } } nodes { ...Author } } }
        fragment Card on Clone { name creator { fullName } }
        fragment Author on Clone { creator { id ... on User { avatarUrl } } }"""

    assert price(gateway, query) == 20


@pytest.mark.parametrize(("wanted", "cost"), [(True, 30), (False, 10)])
def test_what_is_left_out_costs_nothing(gateway: Gateway, wanted: bool, cost: int) -> None:
    query = """query($wanted: Boolean!) { clones(first: 10) { nodes {
        id creator @include(if: $wanted) { id } ... @skip(if: $wanted) { id } ...Domain @include(if: $wanted) } } }
        fragment Domain on Clone { domain { id } }"""

    assert price(gateway, query, wanted=wanted) == cost


def test_a_condition_without_a_value_is_bad_input(gateway: Gateway) -> None:
    answer = send(gateway, "query($no: Boolean = true) { viewer @skip(if: $no) { id } }", {"no": None})

    assert answer.codes == ["BAD_USER_INPUT"]


def test_a_mutation_costs_at_least_ten(gateway: Gateway) -> None:
    query = "mutation($input: UpdateCloneInput!) { updateClone(input: $input) { clone { id } } }"

    cost = price(gateway, query, input={"id": UNKNOWN})

    assert cost == 10 + 2


def test_the_query_that_must_be_a_pleasure_is_within_the_limit(gateway: Gateway) -> None:
    assert price(gateway, NESTED) <= Settings().max_cost


@pytest.mark.parametrize("example", QUERIES, ids=lambda example: example.name)
def test_every_example_is_within_the_limit(gateway: Gateway, example: Example) -> None:
    assert price(gateway, example.query, **(example.variables or {})) <= Settings().max_cost


def test_fetching_the_whole_schema_is_within_the_limit_with_room_to_grow(gateway: Gateway) -> None:
    assert price(gateway, get_introspection_query()) <= Settings().max_cost / 5


def test_an_operation_that_may_cost_too_much_is_refused_with_both_numbers(gateway: Gateway) -> None:
    query = "{ clones(first: 100) { nodes { experts(first: 100) { nodes { id } } } } }"

    answer = gateway.ask(query)

    assert answer.response.status_code == 422
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert answer.statements == []
    assert answer.errors[0]["message"].startswith("The operation may cost 10100 points, and 5000 are allowed.")


def test_no_price_is_too_large_to_be_told(gateway: Gateway) -> None:
    query = "{ clones(first: 100) { nodes { %s } } }"
    inside = "domain { clones(first: 100) { nodes { %s } } }"

    answer = gateway.ask(query % inside % inside % inside % "id")

    assert "may cost 102020200 points" in answer.errors[0]["message"]


def test_a_document_that_takes_too_long_to_price_is_refused(gateway: Gateway) -> None:
    nodes = " ".join(f'a{i}: node(id: "x") {{ ...F }}' for i in range(50))
    types = " ".join("... on Clone { id }" for _ in range(70))

    answer = gateway.ask(f"{{ {nodes} }} fragment F on Node {{ {types} }}")

    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert "too complex to be priced" in answer.errors[0]["message"]


def test_a_client_that_wishes_is_told_the_cost(gateway: Gateway) -> None:
    answer = send(gateway, "{ clones(first: 30) { nodes { id } } }", cost="report")

    rows = len(answer.data["clones"]["nodes"])
    cost = answer.body["extensions"]["cost"]
    assert cost.keys() == {"requested", "actual", "remaining"}
    assert cost["requested"] == 30
    assert rows <= cost["actual"] <= 30
    assert 0 < cost["remaining"] < POINTS


def test_nobody_is_told_the_cost_or_the_plan_unasked(gateway: Gateway, developers_gateway: Gateway) -> None:
    assert gateway.ask("{ viewer { id } }").body.keys() == {"data"}
    assert developers_gateway.ask("{ viewer { id } }").body.keys() == {"data"}


def test_an_answer_with_errors_tells_the_cost_too(gateway: Gateway) -> None:
    answer = send(gateway, "{ clones(first: -1) { nodes { id } } }", cost="report")

    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.body["extensions"]["cost"]["actual"] == 1


def test_in_development_a_client_can_see_the_plan(developers_gateway: Gateway) -> None:
    answer = send(developers_gateway, "{ clones(first: 2) { nodes { id creator { fullName } } } }", plan="report")

    statements = answer.body["extensions"]["plan"]["statements"]
    assert [each["sql"] for each in statements] == answer.statements
    assert statements[0]["rows"] == 3
    assert all(each["milliseconds"] > 0 for each in statements)


def test_elsewhere_nobody_can_see_the_plan(gateway: Gateway) -> None:
    answer = send(gateway, "{ clones(first: 2) { nodes { id } } }", plan="report")

    assert "extensions" not in answer.body


def test_an_operation_is_priced_anew_where_its_variables_make_a_difference(gateway: Gateway) -> None:
    query = """query Q($n: Int, $all: Boolean! = false, $ids: [ID!] = []) {
        clones(first: $n) { nodes { id } } nodes(ids: $ids) { id } domains(first: 7) @include(if: $all) { nodes { id } }
    }"""
    given: list[tuple[dict[str, Any], int]] = [
        ({}, 25), ({"n": 3}, 3), ({"n": 4}, 4), ({"n": None}, 25), ({"n": 3}, 3),
        ({"n": 3, "all": True}, 10), ({"n": 3, "ids": [f"clone_{n:032x}" for n in range(5)]}, 8), ({"n": 3}, 3),
    ]  # fmt: skip

    prices = [price(gateway, query, **variables) for variables, _ in given]

    assert prices == [cost for _, cost in given]
