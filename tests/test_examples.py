import asyncio
import json

import pytest
from graphql import OperationType, parse, validate

from db import demo
from gateway.explorer import TOUR, Example, examples
from schema.graph import core_schema
from tests.serving import CAST, Gateway

KEYS = {person.email: key for key, person in CAST.items()}
QUERIES = [example for example in examples() if example.operation is OperationType.QUERY]
NOT_HERE = {("addDocumentLink",), ("deleteDomain",), ("cancelOperation",)}
"""Examples that need the internet, or something under way, or that show how one is refused."""
AT_PROVIDER = {("retryOperation",), ("provisionVectorStore",), ("deprovisionVectorStore",)}
"""Examples that must wait for one another, or for themselves: a worker has to come to the end of what they begin."""
CHANGES = [
    example for example in examples() if example.operation is OperationType.MUTATION and example.fields not in NOT_HERE
]


@pytest.mark.parametrize("example", QUERIES, ids=lambda example: example.name)
def test_an_example_answers_with_something_to_see(gateway: Gateway, example: Example) -> None:
    answer = gateway.ask(example.query, as_=KEYS.get(example.as_ or ""), **(example.variables or {}))

    if example.fields == ("providerDrift",):
        return  # in the demo, nothing differs
    for name, value in answer.data.items():
        assert value not in (None, []), name
        if isinstance(value, dict) and "nodes" in value:
            assert value["nodes"], name


@pytest.mark.parametrize("example", CHANGES, ids=lambda example: example.name)
def test_an_example_of_a_change_makes_it(own_gateway: Gateway, example: Example) -> None:
    asyncio.run(demo.go_on(own_gateway.database_url))
    variables = example.variables or {}
    headers = own_gateway.headers(KEYS.get(example.as_ or ""))
    if variables.get("input", {}).get("file", ...) is None:
        fields = {"operations": json.dumps({"query": example.query, "variables": variables})}
        fields["map"] = '{"0": ["variables.input.file"]}'
        headers["graphql-require-preflight"] = "1"
        sent = own_gateway.client.post(
            "/graphql", data=fields, files={"0": ("notes.txt", b"Sleep well.")}, headers=headers
        )
    else:
        sent = own_gateway.client.post(
            "/graphql", json={"query": example.query, "variables": variables}, headers=headers
        )

    (payload,) = sent.json()["data"].values()
    assert payload.pop("userErrors") == []
    assert all(payload.values())


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_is_valid(example: Example) -> None:
    assert validate(core_schema, parse(example.query)) == []


@pytest.mark.parametrize("operation", OperationType, ids=lambda operation: operation.value)
def test_every_root_field_has_an_example_that_begins_with_it(operation: OperationType) -> None:
    root = core_schema.get_root_type(operation)

    shown = {example.fields[0] for example in examples() if example.operation is operation and example.group != TOUR}

    assert shown == set(root.fields if root else ())


def test_an_example_of_a_field_is_called_like_the_field() -> None:
    for example in examples():
        assert example.group == TOUR or example.name == example.fields[0]


def test_no_two_examples_have_the_same_name() -> None:
    names = [(example.group, example.name) for example in examples()]

    assert len(names) == len(set(names))


def test_the_first_example_is_the_nested_one() -> None:
    first = examples()[0]

    assert first.group == TOUR
    for field in ("viewer", "clones", "domain", "experts", "assistants", "documents", "vectorStores"):
        assert field in first.query
