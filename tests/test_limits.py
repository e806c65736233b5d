from collections.abc import Iterator

import pytest
from graphql import get_introspection_query

from tests.serving import Answer, Gateway, serving

INTO_DOMAINS = "clones(first: 1) { nodes { domain { %s } } }"
DEEPEST = "{ viewer { " + INTO_DOMAINS % INTO_DOMAINS % INTO_DOMAINS % "owner { id }" + " } }"
"""As deep as it goes: 12 levels."""


@pytest.fixture(scope="module")
def narrow_gateway(demo_database: str) -> Iterator[Gateway]:
    with serving(demo_database, {"max_depth": 3, "max_aliases": 2, "max_tokens": 60}) as running:
        yield running


def assert_refused(answer: Answer, *words: str) -> None:
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert answer.response.status_code in (400, 422)
    assert answer.statements == []
    for each in words:
        assert each in answer.errors[0]["message"]


def test_fields_can_be_nested_twelve_deep(gateway: Gateway) -> None:
    answer = gateway.ask(DEEPEST)

    assert answer.errors == []


def test_fields_nested_deeper_are_refused_with_how_deep_they_were(gateway: Gateway) -> None:
    answer = gateway.ask(DEEPEST.replace("{ id }", "{ clones { totalCount } }"))

    assert_refused(answer, "has 13 levels of fields", "12 are allowed", "Split it")
    assert answer.errors[0]["locations"] == [{"line": 1, "column": 1}]


def test_depth_counts_through_fragments(narrow_gateway: Gateway) -> None:
    answer = narrow_gateway.ask("{ viewer { ...U } } fragment U on User { ... { clones { nodes { id } } } }")

    assert_refused(answer, "has 4 levels of fields", "3 are allowed")


def test_aliases_are_counted_as_often_as_their_fragment_is_used(narrow_gateway: Gateway) -> None:
    twice = narrow_gateway.ask("{ viewer { ...U ...U } } fragment U on User { a: id }")
    thrice = narrow_gateway.ask("{ viewer { ...U ...U ...U } } fragment U on User { a: id }")

    assert twice.errors == []
    assert_refused(thrice, "has 3 aliases", "2 are allowed")


def test_fragments_are_counted_as_often_as_they_are_used(gateway: Gateway) -> None:
    twice = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(60))

    answer = gateway.ask(f"{{ ...F0 }} {twice} fragment F60 on Query {{ __typename }}")

    assert_refused(answer, "1000000 or more fields", "10000 are allowed")


def test_tokens_are_counted(narrow_gateway: Gateway) -> None:
    answer = narrow_gateway.ask("{ viewer { " + "id " * 60 + "} }")

    assert_refused(answer, "more than 60 tokens")


def test_a_document_can_be_as_long_as_its_tokens_need(narrow_gateway: Gateway) -> None:
    just = narrow_gateway.ask("{ viewer { id } }".ljust(1_500))
    longer = narrow_gateway.ask("{ viewer { id } }".ljust(1_501))

    assert just.errors == []
    assert_refused(longer, "has 1501 characters", "1500 are allowed")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{ viewer { id @include(if: true) } }" + " query Q { a }" * 50, "51 operations"),
        ("{ viewer { id } }" + " fragment F on User { id }" * 201, "201 fragments"),
        ("{ viewer { id " + "@include(if: true) " * 101 + "} }", "101 directives"),
        ("query(" + "$a: Int @a " * 101 + ") { viewer { id } }", "101 directives"),
        ("{ " + "viewer { id } " * 200 + "}", "fields of the same name too often"),
    ],
)
def test_other_parts_of_a_document_are_counted_too(gateway: Gateway, document: str, words: str) -> None:
    answer = gateway.ask(document)

    assert_refused(answer, words)


def test_the_introspection_of_tools_is_answered_though_it_is_deep(gateway: Gateway) -> None:
    answer = gateway.ask(get_introspection_query(input_value_deprecation=True, specified_by_url=True))

    assert answer.data["__schema"]["queryType"]["name"] == "Query"


def test_an_introspection_in_circles_is_refused(gateway: Gateway) -> None:
    answer = gateway.ask("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }")

    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert "introspection depth" in answer.errors[0]["message"]


def test_introspecting_again_and_again_is_refused(gateway: Gateway) -> None:
    answer = gateway.ask("{" + "".join(f"a{i}: __schema {{ types {{ fields {{ name }} }} }}" for i in range(40)) + "}")

    assert_refused(answer, "objects of the schema", "are allowed")


def test_fragments_in_a_circle_are_told_by_name(gateway: Gateway) -> None:
    answer = gateway.ask("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")

    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert answer.errors[0]["message"] == "Cannot spread fragment 'A' within itself via 'B'."


@pytest.mark.parametrize(
    "ids",
    [["a"] * 5_000, [[["a"] * 20] * 20] * 20, ["a", [[[]] * 4_999]]],
)
def test_variables_with_too_many_values_are_refused(gateway: Gateway, ids: object) -> None:
    answer = gateway.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)

    assert_refused(answer, "variables may hold 5000 values")


def test_variables_nested_too_deep_are_refused(gateway: Gateway) -> None:
    where: dict[str, object] = {}
    for _ in range(65):
        where = {"not": where}

    answer = gateway.ask("query($where: CloneFilter) { clones(where: $where) { nodes { id } } }", where=where)

    assert_refused(answer, "nested 64 deep")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("where: {or: [" + '{name: {eq: "a"}} ' * 60 + "]}", "A filter may have 100 parts"),
        ("orderBy: [" + "{field: NAME} " * 11 + "]", "Sort by 10 things at most; these were 11."),
        (f'search: "{"a" * 501}"', "search may have 500 characters, and had 501"),
        (f'where: {{name: {{contains: "{"a" * 501}"}}}}', "contains may have 500 characters, and had 501"),
    ],
)
def test_a_page_that_would_take_long_to_find_is_refused(gateway: Gateway, arguments: str, message: str) -> None:
    answer = gateway.ask(f"{{ clones({arguments}) {{ nodes {{ id }} }} }}")

    assert answer.codes == ["BAD_USER_INPUT"]
    assert message in answer.errors[0]["message"]


def test_a_message_does_not_repeat_all_that_was_sent(gateway: Gateway) -> None:
    answer = gateway.ask("{ " + "x" * 20_000 + " }")

    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert len(answer.response.content) < 1_000


def test_a_schema_that_may_not_be_asked_for_is_not_told_in_other_ways(demo_database: str) -> None:
    with serving(demo_database, {"introspection": False}) as closed:
        asked = closed.ask("{ __schema { queryType { name } } }")
        misspelt = closed.ask("{ clonez { id } }")
        text = closed.client.get("/schema.graphql")

    assert set(asked.codes) == {"GRAPHQL_VALIDATION_FAILED"}
    assert "Did you mean" not in misspelt.errors[0]["message"]
    assert text.status_code == 404
