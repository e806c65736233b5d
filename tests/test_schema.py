import re
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    is_non_null_type,
    specified_directives,
)

import db
from loaders.columns import readable
from schema.graph import core_schema, graph
from tests.graph import ENTITIES, object_type, row_of, stored_fields

ROOT = Path(__file__).parent.parent
TYPES = [type_ for name, type_ in core_schema.type_map.items() if not name.startswith("__")]
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


def test_the_kept_text_is_the_graph_of_the_code() -> None:
    assert (ROOT / "schema.graphql").read_text() == graph.as_str() + "\n"


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_.name not in BUILT_IN], ids=str)
def test_everything_says_what_it_is(type_: GraphQLNamedType) -> None:
    assert type_.description
    parts: dict[str, Any] = {}
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        parts = dict(type_.fields)
    elif isinstance(type_, GraphQLEnumType):
        parts = dict(type_.values)
    for name, part in parts.items():
        assert part.description, f"{type_.name}.{name}"
        if isinstance(part, GraphQLField):
            for argument, details in part.args.items():
                assert details.description, f"{type_.name}.{name}({argument}:)"


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_stored_field_can_be_null_exactly_where_its_column_can_for_somebody(entity: str) -> None:
    columns = row_of(entity).__mapper__.columns
    for name, field in stored_fields(entity).items():
        column = columns[field.python_name]
        nullable = column.nullable or column.info["private"]
        assert is_non_null_type(object_type(entity).fields[name].type) is not nullable, f"{entity}.{name}"


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_private_column_is_never_selected_as_it_is_for_strangers(entity: str) -> None:
    row = row_of(entity)
    for name, column in row.__mapper__.columns.items():
        for kind in (db.ViewerKind.ANONYMOUS, db.ViewerKind.USER, db.ViewerKind.CREATOR):
            if column.info.get("private"):
                assert readable(row, name, kind) is not column, f"{entity}.{name} for {kind}"


@pytest.mark.parametrize("entity", ENTITIES)
def test_keys_of_other_rows_stay_hidden_behind_edges(entity: str) -> None:
    for field in stored_fields(entity).values():
        assert not field.column.foreign_keys, f"{entity}.{field.python_name}"


def test_an_enum_of_the_graph_has_the_name_and_words_of_the_database() -> None:
    for words in db.Words.__subclasses__():
        enum = core_schema.type_map.get(words.__name__)
        assert isinstance(enum, GraphQLEnumType)
        assert list(enum.values) == [word.name for word in words]
        assert "UNKNOWN" in enum.values


def test_no_type_is_published_twice_under_two_names() -> None:
    assert not [name for name in core_schema.type_map if re.search(r"\d$", name)]


def test_every_column_of_a_row_says_what_it_holds() -> None:
    for row in db.Row.__subclasses__():
        for name, column in row.__mapper__.columns.items():
            assert column.doc, f"{row.__name__}.{name}"


def test_lists_are_never_null() -> None:
    for entity in ENTITIES:
        for name, field in object_type(entity).fields.items():
            if "Connection" in str(field.type):
                assert is_non_null_type(field.type), f"{entity}.{name}"


def test_directives_are_the_specified_ones() -> None:
    assert {directive.name for directive in core_schema.directives} == {
        directive.name for directive in specified_directives
    }
