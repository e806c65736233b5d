import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from gateway.explorer import Example, examples
from tests.graph import object_type
from tests.serving import CAST, Gateway

KEYS = {person.email: key for key, person in CAST.items()}


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_answers_with_something_to_see(gateway: Gateway, example: Example) -> None:
    answer = gateway.ask(example.query, as_=KEYS.get(example.as_ or ""), **(example.variables or {}))

    for name, value in answer.data.items():
        assert value not in (None, []), name
        if isinstance(value, dict) and "nodes" in value:
            assert value["nodes"], name


def test_every_root_field_is_in_an_example() -> None:
    shown = {
        field.name.value
        for example in examples()
        for operation in parse(example.query).definitions
        if isinstance(operation, OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
    }

    assert shown >= set(object_type("Query").fields)


def test_the_first_example_is_the_nested_one() -> None:
    first = examples()[0].query

    for field in ("viewer", "clones", "domain", "experts", "assistants", "documents", "vectorStores"):
        assert field in first
