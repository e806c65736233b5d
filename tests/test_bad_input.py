import pytest

from tests.serving import Gateway

UNKNOWN = "clone_" + "0" * 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("first: -1", "first must be from 0 to 100, and was -1"),
        ("first: 1000000", "first must be from 0 to 100, and was 1000000"),
        ("last: 101", "last must be from 0 to 100, and was 101"),
        ("first: 2, last: 2", "Give first or last, not both"),
        ('after: "nonsense"', "This cursor cannot be used here"),
        ('after: ""', "This cursor cannot be used here"),
        ('before: "W10"', "This cursor cannot be used here"),
        ("where: {name: {eq: null}}", "eq takes a value, not null. To find rows without one, use isNull."),
        ('where: {id: {eq: "user_00000000000000000000000000000000"}}', "is the id of a User"),
        ('where: {domain: {clones: {name: {eq: "x"}}}}', "A filter goes one edge far"),
        ('where: {name: {eq: "\\u0000"}}', "The database cannot hold one of these values"),
    ],
)
def test_a_page_that_cannot_be_is_refused_with_what_to_do(gateway: Gateway, arguments: str, message: str) -> None:
    answer = gateway.ask(f"{{ clones({arguments}) {{ nodes {{ id }} }} }}")

    assert answer.codes == ["BAD_USER_INPUT"]
    assert message in answer.errors[0]["message"]
    assert answer.errors[0]["path"] == ["clones"]
    assert answer.errors[0]["extensions"]["retryable"] is False


def test_a_negative_limit_of_a_count_is_refused(gateway: Gateway) -> None:
    answer = gateway.ask("{ clones { count(limit: -1) { value } } }")

    assert answer.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "arguments",
    [
        "orderBy: [{field: NAME, direction: DESC}]",
        "orderBy: [{field: NAME, nulls: FIRST}]",
        'where: {name: {contains: "a"}}',
        'search: "learning"',
    ],
)
def test_a_cursor_of_another_order_or_filter_is_refused(gateway: Gateway, arguments: str) -> None:
    page = gateway.ask("{ clones(first: 1, orderBy: [{field: NAME}]) { pageInfo { endCursor } } }").data["clones"]
    cursor = page["pageInfo"]["endCursor"]

    answer = gateway.ask(f'{{ clones(after: "{cursor}", {arguments}) {{ nodes {{ id }} }} }}')

    assert answer.codes == ["BAD_USER_INPUT"]


def test_a_cursor_of_another_type_is_refused(gateway: Gateway) -> None:
    page = gateway.ask("{ domains(first: 1) { pageInfo { endCursor } } }").data["domains"]
    cursor = page["pageInfo"]["endCursor"]

    answer = gateway.ask(f'{{ experts(after: "{cursor}") {{ nodes {{ id }} }} }}')

    assert answer.codes == ["BAD_USER_INPUT"]


def test_an_unknown_id_is_null(gateway: Gateway) -> None:
    answer = gateway.ask(f'{{ clone(id: "{UNKNOWN}") {{ id }} node(id: "{UNKNOWN}") {{ id }} }}')

    assert answer.data == {"clone": None, "node": None}


@pytest.mark.parametrize("id_", ["", "clone_", "clone_xyz", "nobody_00000000000000000000000000000000", "1"])
def test_what_is_no_id_is_refused(gateway: Gateway, id_: str) -> None:
    answer = gateway.ask("query Q($id: ID!) { clone(id: $id) { id } node(id: $id) { id } }", id=id_)

    assert answer.codes == ["BAD_USER_INPUT", "BAD_USER_INPUT"]
    assert "is not an id" in answer.errors[0]["message"]


def test_an_id_of_another_type_is_refused_with_its_type(gateway: Gateway) -> None:
    answer = gateway.ask('{ clone(id: "domain_00000000000000000000000000000000") { id } }')

    assert answer.codes == ["BAD_USER_INPUT"]
    assert "is the id of a Domain; the id of a Clone belongs here" in answer.errors[0]["message"]


def test_more_than_a_hundred_nodes_are_refused(gateway: Gateway) -> None:
    answer = gateway.ask("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[UNKNOWN] * 101)

    assert answer.codes == ["BAD_USER_INPUT"]


def test_nodes_come_in_the_order_of_their_ids_with_null_for_what_is_not_there(gateway: Gateway) -> None:
    clones = gateway.ask("{ clones(first: 2) { nodes { id name } } }").data["clones"]["nodes"]
    domain = gateway.ask("{ domains(first: 1) { nodes { id name } } }").data["domains"]["nodes"][0]

    answer = gateway.ask(
        """query Q($ids: [ID!]!) { nodes(ids: $ids) {
            id __typename ... on Clone { name } ... on Domain { title: name } } }""",
        ids=[clones[1]["id"], UNKNOWN, domain["id"], clones[0]["id"]],
    )

    assert answer.data["nodes"] == [
        {"id": clones[1]["id"], "__typename": "Clone", "name": clones[1]["name"]},
        None,
        {"id": domain["id"], "__typename": "Domain", "title": domain["name"]},
        {"id": clones[0]["id"], "__typename": "Clone", "name": clones[0]["name"]},
    ]


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ("{ clones {", 400, "GRAPHQL_PARSE_FAILED"),
        ("{ clones { nodes { colour } } }", 422, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { id } } query B { viewer { id } }", 422, "OPERATION_UNDETERMINED"),
        ("query Q($n: Int!) { clones(first: $n) { nodes { id } } }", 422, "BAD_USER_INPUT"),
    ],
)
def test_a_document_that_cannot_be_executed_is_refused(gateway: Gateway, document: str, status: int, code: str) -> None:
    answer = gateway.ask(document)

    assert answer.response.status_code == status
    assert answer.codes == [code]
    assert "data" not in answer.body
    assert answer.statements == []


@pytest.mark.parametrize(
    "body", [b"", b"null", b'"x"', b"[]", b"{", b"\xff\xfe", b'{"query": 1}', b'{"variables": {}}']
)
def test_a_body_that_is_no_request_is_refused(gateway: Gateway, body: bytes) -> None:
    response = gateway.client.post("/graphql", content=body, headers={"content-type": "application/json"})

    assert response.status_code in (400, 422)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_another_content_type_is_refused(gateway: Gateway) -> None:
    response = gateway.client.post("/graphql", content=b"{ viewer { id } }", headers={"content-type": "text/plain"})

    assert response.status_code == 415


def test_a_body_that_is_too_large_is_refused(gateway: Gateway) -> None:
    response = gateway.client.post("/graphql", json={"query": "{ viewer { id } }" + " " * 1_000_001})

    assert response.status_code == 413


def test_a_query_can_be_sent_by_get(gateway: Gateway) -> None:
    response = gateway.client.get(
        "/graphql",
        params={"query": "query Q($n: Int) { domains(first: $n) { nodes { id } } }", "variables": '{"n": 1}'},
    )

    assert len(response.json()["data"]["domains"]["nodes"]) == 1
