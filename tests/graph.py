"""The graph as data: what tests go through so that a new type, field or edge is tested without being named."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLEnumType, GraphQLField, GraphQLInputObjectType, GraphQLObjectType, get_named_type

import db
from loaders.relation import Relation
from schema.edge import ToMany, ToOne
from schema.field import Stored
from schema.graph import core_schema


@dataclass(frozen=True)
class Edge:
    """A field that leads from one type to another."""

    type_name: str
    name: str
    target: str
    many: bool
    linked: bool

    def __str__(self) -> str:
        return f"{self.type_name}.{self.name}"


def row_of(type_name: str) -> type[db.Row]:
    return next(row for row in db.Row.__subclasses__() if row.__name__ == type_name)


def object_type(name: str) -> GraphQLObjectType:
    found = core_schema.type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return found


def definition(field: GraphQLField) -> Any:
    return field.extensions["strawberry-definition"]


ENTITIES = sorted(row.__name__ for row in db.Row.__subclasses__())

CONNECTIONS = {
    definition(field).row.__name__: name
    for name, field in object_type("Query").fields.items()
    if isinstance(definition(field), ToMany)
}
"""The root connection of each entity."""

EDGES = [
    Edge(
        entity,
        name,
        definition(field).relation.target.__name__,
        isinstance(definition(field), ToMany),
        bool(definition(field).relation.link),
    )
    for entity in [*ENTITIES, "DomainHealth"]
    for name, field in object_type(entity).fields.items()
    if isinstance(definition(field), ToOne | ToMany)
]


def relation_of(edge: Edge) -> Relation:
    relation: Relation = definition(object_type(edge.type_name).fields[edge.name]).relation
    return relation


def stored_fields(entity: str) -> dict[str, Stored]:
    return {
        name: definition(field)
        for name, field in object_type(entity).fields.items()
        if isinstance(definition(field), Stored)
    }


def order_fields(entity: str) -> list[str]:
    order = core_schema.type_map[f"{entity}OrderField"]
    assert isinstance(order, GraphQLEnumType)
    return list(order.values)


def type_name(field: GraphQLField) -> str:
    return get_named_type(field.type).name


def input_fields(name: str) -> list[str]:
    found = core_schema.type_map[name]
    assert isinstance(found, GraphQLInputObjectType)
    return list(found.fields)
