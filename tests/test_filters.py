import asyncio
from typing import Any

import pytest

from tests.conftest import execute
from tests.graph import CONNECTIONS, EDGES, Edge, input_fields
from tests.serving import Gateway

CLONES = "query Q($where: CloneFilter) { clones(where: $where, first: 100) { totalCount nodes { name } } }"
VISIBLE = "is_published AND is_active"


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ({}, "true"),
        ({"name": {"startsWith": "the "}}, "name ILIKE 'the %'"),
        ({"name": {"contains": "AN"}}, "name ILIKE '%an%'"),
        ({"name": {"contains": "%"}}, "strpos(name, '%') > 0"),
        ({"name": {"contains": "_"}}, "strpos(name, '_') > 0"),
        ({"category": {"eq": "Education"}}, "category = 'Education'"),
        ({"category": {"ne": "Education"}}, "category IS DISTINCT FROM 'Education'"),
        ({"category": {"in": ["Education", "Health"]}}, "category IN ('Education', 'Health')"),
        ({"category": {"in": []}}, "false"),
        ({"category": {"isNull": True}}, "category IS NULL"),
        ({"averageRating": {"isNull": False}}, "average_rating IS NOT NULL"),
        ({"averageRating": {"gte": "4.5"}}, "average_rating >= 4.5"),
        ({"basePrice": {"gt": "1", "lte": "2.5"}}, "base_price > 1 AND base_price <= 2.5"),
        ({"totalSessions": {"lt": 10}}, "total_sessions < 10"),
        ({"createdAt": {"lt": "2026-06-01T00:00:00Z"}}, "created_at < '2026-06-01T00:00:00Z'"),
        ({"isPublished": {"eq": False}}, "NOT is_published"),
        ({"not": {"averageRating": {"gte": 4}}}, "average_rating < 4 OR average_rating IS NULL"),
        (
            {"or": [{"category": {"eq": "Health"}}, {"averageRating": {"isNull": True}}]},
            "category = 'Health' OR average_rating IS NULL",
        ),
        ({"or": []}, "false"),
        ({"and": []}, "true"),
        (
            {"and": [{"basePrice": {"gt": 1}}, {"not": {"category": {"eq": "Health"}}}]},
            "base_price > 1 AND category IS DISTINCT FROM 'Health'",
        ),
        (
            {"domain": {"name": {"startsWith": "a"}}},
            "domain_id IN (SELECT id FROM domains WHERE domain_name ILIKE 'a%')",
        ),
        ({"not": {"domain": {}}}, "domain_id IS NULL"),
        (
            {"experts": {"name": {"contains": "coach"}}},
            "id IN (SELECT clone_id FROM clone_experts WHERE expert_name ILIKE '%coach%')",
        ),
        (
            {"creator": {"fullName": {"eq": "Maya Lindqvist"}}},
            "creator_id = (SELECT id FROM user_profiles WHERE full_name = 'Maya Lindqvist')",
        ),
    ],
)  # fmt: skip
def test_a_filter_keeps_what_sql_would_keep(gateway: Gateway, where: dict[str, Any], condition: str) -> None:
    expected = {
        row["name"]
        for row in asyncio.run(
            execute(gateway.database_url, f"SELECT name FROM clones WHERE ({VISIBLE}) AND ({condition})")
        )
    }

    found = gateway.ask(CLONES, where=where).data["clones"]

    assert {node["name"] for node in found["nodes"]} == expected
    assert found["totalCount"] == len(expected)


def test_a_filter_of_an_edge_narrows_the_rows_of_each_parent(gateway: Gateway) -> None:
    domains = gateway.ask(
        """{ domains { nodes { some: experts(where: {name: {contains: "a"}}) { totalCount nodes { name } }
            all: experts { nodes { name } } } } }"""
    ).data["domains"]["nodes"]

    for domain in domains:
        expected = [node for node in domain["all"]["nodes"] if "a" in node["name"].lower()]
        assert domain["some"]["nodes"] == expected
        assert domain["some"]["totalCount"] == len(expected)


def test_a_filter_by_id_takes_global_ids(gateway: Gateway) -> None:
    ids = [node["id"] for node in gateway.ask("{ clones(first: 2) { nodes { id } } }").data["clones"]["nodes"]]

    found = gateway.ask("query Q($ids: [ID!]) { clones(where: {id: {in: $ids}}) { nodes { id } } }", ids=ids).data

    assert {node["id"] for node in found["clones"]["nodes"]} == set(ids)


@pytest.mark.parametrize("entity", CONNECTIONS)
def test_every_field_of_a_filter_is_understood(gateway: Gateway, entity: str) -> None:
    for name in set(input_fields(f"{entity}Filter")) - {"and", "or", "not", "id"}:
        edge = next((edge for edge in EDGES if (edge.type_name, edge.name) == (entity, name)), None)
        where = "{}" if edge else "{isNull: false}"
        answer = gateway.ask(f"{{ {CONNECTIONS[entity]}(where: {{{name}: {where}}}) {{ totalCount }} }}", as_="maya")
        assert answer.data, name


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_a_filter_on_an_edge_keeps_the_parents_that_have_such_a_row(gateway: Gateway, edge: Edge) -> None:
    if edge.type_name == "DomainHealth":
        return
    root = CONNECTIONS[edge.type_name]
    selection = "(first: 1) { nodes { id } }" if edge.many else "{ id }"
    parents = gateway.ask(f"{{ {root}(first: 100) {{ nodes {{ id {edge.name} {selection} }} }} }}", as_="maya").data[
        root
    ]
    having = {
        parent["id"] for parent in parents["nodes"] if (parent[edge.name] or {}).get("nodes" if edge.many else "id")
    }

    kept = gateway.ask(
        f"query Q($ids: [ID!]) {{ {root}(first: 100, where: {{id: {{in: $ids}}, {edge.name}: {{}}}})"
        " { nodes { id } } }",
        as_="maya",
        ids=[parent["id"] for parent in parents["nodes"]],
    ).data[root]["nodes"]

    assert {node["id"] for node in kept} == having


def test_a_word_that_is_not_in_the_vocabulary_is_unknown_and_can_be_found_as_such(own_gateway: Gateway) -> None:
    asyncio.run(
        execute(
            own_gateway.database_url,
            "UPDATE sessions SET status = 'limbo' WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1)",
        )
    )

    unknown = own_gateway.ask("{ sessions(where: {status: {eq: UNKNOWN}}) { nodes { status } } }", as_="grace").data
    either = own_gateway.ask(
        "{ sessions(where: {status: {in: [UNKNOWN, PAUSED]}}) { nodes { status } } }", as_="grace"
    ).data
    known = own_gateway.ask(
        "{ sessions(where: {status: {ne: UNKNOWN}}) { totalCount } all: sessions { totalCount } }", as_="grace"
    ).data

    assert unknown["sessions"]["nodes"] == [{"status": "UNKNOWN"}]
    assert {node["status"] for node in either["sessions"]["nodes"]} == {"UNKNOWN", "PAUSED"}
    assert known["sessions"]["totalCount"] == known["all"]["totalCount"] - 1


def test_a_null_domain_is_null_and_has_no_documents(gateway: Gateway) -> None:
    nodes = gateway.ask("{ clones(where: {not: {domain: {}}}) { nodes { name domain { name } } } }", as_="grace").data[
        "clones"
    ]["nodes"]

    assert nodes
    assert all(node["domain"] is None for node in nodes)


def test_search_finds_words_in_any_form_and_ranks_the_best_first(gateway: Gateway) -> None:
    found = gateway.ask(
        '{ documents(search: "sleep", first: 5) { nodes { name } pageInfo { hasNextPage endCursor } totalCount } }',
        as_="maya",
    ).data["documents"]

    assert found["totalCount"] == len(found["nodes"]) or found["pageInfo"]["hasNextPage"]
    assert found["nodes"]
    assert all("sleep" in node["name"].lower() for node in found["nodes"])


def test_pages_of_a_search_meet_every_match_once(gateway: Gateway) -> None:
    query = """query Q($after: String) { clones(search: "a or learning or help", first: 2, after: $after) {
        totalCount nodes { id } pageInfo { hasNextPage endCursor } } }"""
    page = gateway.ask(query).data["clones"]
    met = [node["id"] for node in page["nodes"]]
    while page["pageInfo"]["hasNextPage"]:
        page = gateway.ask(query, after=page["pageInfo"]["endCursor"]).data["clones"]
        met += [node["id"] for node in page["nodes"]]

    assert len(met) == len(set(met)) == page["totalCount"] > 0


@pytest.mark.parametrize("words", ["", "   ", "'; DROP TABLE clones; --", '"unfinished', "((("])
def test_any_words_can_be_searched_for(gateway: Gateway, words: str) -> None:
    assert gateway.ask("query Q($w: String) { clones(search: $w) { totalCount } }", w=words).data


def test_credits_and_prices_are_exact_strings(own_gateway: Gateway) -> None:
    asyncio.run(
        execute(
            own_gateway.database_url,
            "UPDATE clones SET base_price = 0.00012345, name = '000'"
            f" WHERE name = (SELECT min(name) FROM clones WHERE {VISIBLE})",
        )
    )

    answer = own_gateway.ask('{ clones(where: {name: {eq: "000"}}) { nodes { basePrice createdAt } } }').data

    (node,) = answer["clones"]["nodes"]
    assert node["basePrice"] == "0.00012345"
    assert node["createdAt"].endswith("Z")
