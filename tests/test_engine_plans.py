"""What the schema offers comes by a plan; and plans are made for what comes again, kept within bounds, and shared."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    parse,
)
from graphql.execution.values import VariableValues
from structlog.testing import capture_logs

from db import ViewerKind, demo
from gateway.documents import Document
from gateway.engine import plans
from gateway.engine.plans import Plans
from gateway.engine.run import Run
from gateway.engine.way import Way
from gateway.explorer import Example
from resolvers.context import Context
from tests.conftest import fresh_database
from tests.engines import Engines, engines
from tests.generated import Word, literal
from tests.graph import CONNECTIONS, ENTITIES, object_type
from tests.serving import Gateway, serving
from tests.test_examples import CHANGES, KEYS, QUERIES
from tests.test_resilience import asking, locked_domains, until, waits

OF_OTHER_MOMENTS = "downloadUrl"
"""A field that is not the same a moment later."""
DELETIONS_LAST = sorted(CHANGES, key=lambda example: example.name.startswith("delete"))
PLANNED = (Way.PLAN, Way.ANOMALY)
"""The ways of what there is a plan for."""


@pytest.fixture(scope="module")
def both(server_url: str, template: str) -> Iterator[Engines]:
    with fresh_database(server_url, template) as url, engines(url) as both:
        yield both


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway that plans what it sees, over demo data that the tests of this file may change."""
    with fresh_database(server_url, template) as url, serving(url, {"points_capacity": 10**9}) as gateway:
        asyncio.run(demo.go_on(url))
        yield gateway


def executed(
    gateway: Gateway, query: str, as_: str | None, variables: Any = None, file: bytes | None = None
) -> tuple[Way | None, Any]:
    """How an operation was executed, and its answer. file: what is uploaded as `input.file`."""
    headers, body = gateway.headers(as_), {"query": query, "variables": variables}
    with capture_logs() as lines:
        if file is None:
            response = gateway.client.post("/graphql", json=body, headers=headers)
        else:
            form = {"operations": json.dumps(body), "map": '{"0": ["variables.input.file"]}'}
            headers = {**headers, "graphql-require-preflight": "1"}
            response = gateway.client.post("/graphql", data=form, files={"0": ("notes.txt", file)}, headers=headers)
    (way,) = (line.get("way") for line in lines if line["event"] == "operation")
    return way, response.json()


# What the schema offers


@pytest.mark.parametrize("example", QUERIES, ids=lambda example: example.name)
def test_an_example_comes_by_a_plan(both: Engines, example: Example) -> None:
    found = both.ask(example.query, as_=KEYS.get(example.as_ or ""), **(example.variables or {}))

    assert found.data


@pytest.mark.parametrize("example", DELETIONS_LAST, ids=lambda example: example.name)
def test_an_example_of_a_change_comes_by_a_plan(changing: Gateway, example: Example) -> None:
    variables = example.variables or {}
    file = b"Sleep well." if variables.get("input", {}).get("file", ...) is None else None

    way, answer = executed(changing, example.query, KEYS.get(example.as_ or ""), variables, file)

    assert "errors" not in answer
    assert way is Way.PLAN


def selection(of: Any, *, deep: bool = True) -> str:
    """All that can be selected of a type, and some of what it leads to."""
    named: Any = get_named_type(of)
    if is_leaf_type(named):
        return ""
    if not deep or isinstance(named, GraphQLInterfaceType):
        return "{ __typename id }" if "id" in named.fields else "{ __typename }"
    if named.name.endswith("Connection"):
        return "{ __typename totalCount count { value } pageInfo { endCursor } edges { cursor node { id } } }"
    fields = [
        f"{name} {'(first: 2)' if 'first' in each.args else ''} {selection(each.type, deep='first' in each.args)}"
        for name, each in named.fields.items()
        if name not in OF_OTHER_MOMENTS
    ]
    return f"{{ {' '.join(fields)} }}"


def is_required(of: Any) -> bool:
    return isinstance(of.type, GraphQLNonNull) and of.default_value is Undefined


@pytest.mark.parametrize("entity", [*ENTITIES, "DomainHealth"])
def test_every_field_and_edge_of_a_type_comes_by_a_plan(both: Engines, entity: str) -> None:
    fields = selection(object_type(entity))
    root = f"found: {CONNECTIONS[entity]}(first: 50) {{ nodes {fields} }}" if entity in ENTITIES else ""

    for person in ("grace", "maya"):
        found = both.ask(f"{{ {root or f'found: domainHealth {fields}'} }}", as_=person)
        assert found.way is Way.PLAN, found.reasons
        assert found.codes == []


@pytest.mark.parametrize("name", object_type("Query").fields)
def test_every_root_field_comes_by_a_plan(both: Engines, name: str) -> None:
    of = object_type("Query").fields[name]
    given = {
        "id": "clone_00000000000000000000000000000001",
        "ids": ["clone_00000000000000000000000000000001"],
        "in": {"domainId": "domain_019a48f1d6807bcc8a89fc32022f1bae"},
        "query": "sleep",
    }
    if "id" in of.args and name != "node":
        entity = get_named_type(of.type).name
        nodes = both.ask(f"{{ found: {CONNECTIONS[entity]}(first: 1) {{ nodes {{ id }} }} }}", as_="grace").data
        given["id"] = nodes["found"]["nodes"][0]["id"]
    chosen = ", ".join(f"{each}: {literal(given[each])}" for each in of.args if each in given)

    found = both.ask(f"{{ {name} {f'({chosen})' if chosen else ''} {selection(of.type)} }}", as_="grace")

    assert found.way is Way.PLAN, found.reasons


@pytest.mark.parametrize("name", [name for name in object_type("Mutation").fields if name != "uploadDocument"])
def test_there_is_a_plan_for_every_mutation(changing: Gateway, name: str) -> None:
    of = object_type("Mutation").fields[name]
    payload = object_type(get_named_type(of.type).name)
    rows = " ".join(f"{each} {selection(field.type)}" for each, field in payload.fields.items() if each != "userErrors")
    given = f"(input: {literal(least(of.args['input'].type))})" if of.args else ""

    query = f"mutation {{ {name} {given} {{ {rows} userErrors {{ __typename code message path }} }} }}"
    way, answer = executed(changing, query, "grace")

    assert "data" in answer, answer
    assert way in PLANNED


def least(of: Any) -> Any:
    """The smallest value of an input, which leads to nothing that there is."""
    of = get_nullable_type(of)
    if isinstance(of, GraphQLList):
        return []
    if isinstance(of, GraphQLEnumType):
        return Word(next(iter(of.values)))
    if isinstance(of, GraphQLInputObjectType):
        is_one_of = of.extensions["strawberry-definition"].is_one_of
        fields = list(of.fields.items())
        chosen = fields[:1] if is_one_of else [(name, each) for name, each in fields if is_required(each)]
        return {name: least(each.type) for name, each in chosen}
    texts = {"UUID": "00000000-0000-7000-8000-00000000000a", "ID": "clone_00000000000000000000000000000001"}
    numbers: dict[str, Any] = {"Int": 1, "Decimal": "1", "Float": 0.5, "Boolean": False}
    return numbers.get(of.name, texts.get(of.name, "Nothing"))


# When a plan is made, and for whom


def test_an_operation_that_comes_once_has_no_plan_and_one_that_comes_again_has(demo_database: str) -> None:
    query, other = "query Q { clones(first: 2) { nodes { name } } }", "query Q { clones(first: 3) { nodes { name } } }"
    with serving(demo_database, {"plan_after": 2}) as gateway:
        first, second, third = (executed(gateway, query, "maya") for _ in range(3))
        of_another_text = executed(gateway, other, "maya")
        of_another_kind = executed(gateway, query, None)

    assert [way for way, _ in (first, second, third)] == [Way.GRAPHQL_CORE, Way.PLAN, Way.PLAN]
    assert first[1] == second[1] == third[1]
    assert of_another_text[0] is of_another_kind[0] is Way.GRAPHQL_CORE


def test_a_plan_for_one_kind_of_viewer_is_not_that_of_another(both: Engines) -> None:
    query = "{ clones(first: 5) { nodes { name systemPrompt creator { email } } } }"

    codes = [both.ask(query, as_=person).codes for person in ("maya", "grace", "aiko", None, "jonas", "maya")]

    assert [bool(each) for each in codes] == [False, False, True, True, False, False]


def test_a_plan_is_shared_by_those_who_ask_at_the_same_moment(both: Engines) -> None:
    query = """query Q($n: Int, $all: Boolean!) { viewer { id email sessions(first: $n) { totalCount nodes {
        clone { name } } } } clones(first: $n) { nodes { name bio @include(if: $all) creator { id } } } }"""
    asked: list[tuple[str, dict[str, Any]]] = [
        (person, {"n": n, "all": everything})
        for person in ("maya", "jonas", "grace", "helena", "tariq", "ines")
        for n in (1, 3)
        for everything in (True, False)
    ]

    async def at_once() -> list[Any]:
        async with asking(both.planning) as client:
            bodies = [(person, {"query": query, "variables": given}) for person, given in asked]
            sent = [client.post("/graphql", json=body, headers=both.planning.headers(who)) for who, body in bodies]
            return await asyncio.gather(*sent)

    answers = [response.json() for response in asyncio.run(at_once())]

    for (person, given), answer in zip(asked, answers, strict=True):
        assert answer == both.ask(query, as_=person, **given).answer.body


def test_an_address_to_download_from_comes_by_a_plan(both: Engines) -> None:
    query = "{ documents(first: 9) { nodes { downloadUrl } } knowledgeItems(first: 9) { nodes { downloadUrl } } }"

    way, answer = executed(both.planning, query, "grace")

    assert way is Way.PLAN
    assert any(node["downloadUrl"] for node in answer["data"]["knowledgeItems"]["nodes"])


# What is kept


def run_of(query: str, id_: int) -> Run:
    """A run of a document of its own, of whose context nothing but the viewer's kind is asked."""
    document = Document(str(id_), parse(query))
    context = cast("Context", SimpleNamespace(viewer=SimpleNamespace(kind=ViewerKind.ADMIN)))
    return Run(context, document, document.operation(None), {}, VariableValues({}, {}))


QUERY = "{ clones(first: 3) { nodes { name bio domain { name } sessions { nodes { id } } } } }"


def test_ten_thousand_different_documents_make_no_plan_and_are_not_all_remembered() -> None:
    kept = Plans(after=2)
    run = run_of(QUERY, 0)

    for number in range(plans.REMEMBERED + 1_000):
        document = Document(str(number), run.document.node)
        assert kept.find(Run(run.context, document, run.node, {}, run.variables)) is None

    assert len(kept._sights) == plans.REMEMBERED
    assert len(kept._kept) == 0
    assert kept.find(run_of(QUERY, plans.REMEMBERED)) is not None


def test_no_more_plans_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "KEPT_FIELDS", 100)
    kept = Plans(after=1)

    made = [kept.find(run_of(QUERY, number)) for number in range(100)]

    assert all(made)
    assert kept._kept.currsize <= 100
    assert len(kept._kept) < 50
    assert kept.find(run_of(QUERY, 99)) is made[99]


def test_a_plan_larger_than_all_room_is_made_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "KEPT_FIELDS", 3)
    kept = Plans(after=1)

    assert kept.find(run_of(QUERY, 1)) is not None
    assert len(kept._kept) == 0


# What a plan asks the database


def test_what_a_plan_fetched_is_not_fetched_again_when_something_is_wrong(both: Engines) -> None:
    query = """query Q($n: Int! = 5) { clones(first: 9) { nodes { name sessions(first: 2) { nodes { id } totalCount }
        experts(first: 2) { nodes { name assistants { nodes { assistantId } } } count(limit: $n) { value } } } } }"""

    well, wrong = both.ask(query, as_="grace"), both.ask(query, as_="grace", n=-1)

    assert (well.way, wrong.way) == (Way.PLAN, Way.ANOMALY)
    assert len(wrong.answer.statements) < len(well.answer.statements)  # as the count is not taken


def test_nodes_and_edges_and_page_info_take_one_statement(both: Engines) -> None:
    query = """{ domains(first: 9) { nodes { experts(first: 2) { nodes { name } edges { cursor node { id } } pageInfo {
        hasNextPage startCursor } again: nodes { name } more: edges { node { context } } } } } }"""

    found = both.ask(query, as_="grace")

    assert found.data
    assert len(found.answer.statements) == 2


def test_many_levels_take_one_statement_each_at_most(both: Engines) -> None:
    query = """query Q($n: Int!) { users(first: $n) { nodes { sessions(first: $n) { nodes { clone { domain { experts(
        first: $n) { nodes { assistants(first: $n) { nodes { config { model } } } } } } } messages(first: $n) { nodes {
        sources { nodes { document { name } } } } totalCount } } } } } }"""

    few, many = (len(both.ask(query, as_="grace", n=n).answer.statements) for n in (2, 12))

    assert few <= many <= 12


# A client that goes away


def test_a_client_that_hangs_up_amid_an_operation_gives_its_connections_back(own_database: str) -> None:
    heavy = """{ users(first: 50) { nodes { sessions(first: 20) { nodes { id clone { name experts { nodes { name } } } }
        totalCount } clones { nodes { name domain { name experts { nodes { name } } } documents { nodes { name } } } }
        } } }"""

    async def scenario() -> Any:
        async with locked_domains(own_database) as observer, asking(gateway) as client:
            leaving = [asyncio.create_task(client.post("/graphql", json={"query": heavy})) for _ in range(4)]
            await until(waits(observer))
            for each in leaving:
                each.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            # Nobody can read domains yet: who waited for them would have both connections still.
            return (await client.post("/graphql", json={"query": "{ clones { totalCount } }"})).json()

    with serving(own_database, {"max_cost": 10**6, "points_capacity": 10**9}, pool_size=2) as gateway:
        answer = asyncio.run(scenario())
        afterwards, _ = executed(gateway, heavy, None)

    assert answer["data"]["clones"]["totalCount"] > 0
    assert afterwards is Way.PLAN
