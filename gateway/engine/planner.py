"""The planner: from an operation to its plan. It looks at each field once, and chooses how its values come about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    is_leaf_type,
    visit,
)
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.arguments import convert_arguments

from db import ViewerKind
from gateway.engine.assembly import Assembly, ConnectionAssembly, EdgeText, ObjectText
from gateway.engine.connections import ConnectionField, Count, Counting, TotalCount
from gateway.engine.leaves import converter
from gateway.engine.plan import (
    AbstractValue,
    Arguments,
    ByIdField,
    KeyedField,
    LeafValue,
    ListValue,
    Loading,
    ObjectPlan,
    ObjectValue,
    ResolvedField,
    Value,
)
from gateway.engine.run import Run
from loaders.columns import never_readable
from loaders.pages import PageRequest
from loaders.relation import Columns, Joined
from schema.edge import ById, Keyed, PageSelection, ToMany, ToOne
from schema.field import Computed, Stored
from schema.graph import core_schema, graph
from schema.selection import name_of, object_type, selected_columns, selected_fields

KEPT_REQUESTS = 50
"""How many page requests a field keeps, by the values of its variables."""
Select = Callable[[GraphQLField, list[FieldNode]], int]
"""Makes a plan for the rows of a connection, as a field and its nodes select them; gives its number."""


class Unplanned(Exception):
    """An operation, or a part of it, for which there is no plan: graphql-core executes it."""


@dataclass
class Planner:
    """Plans operations in one scope, for one kind of viewer. variable_values: those that decide what is selected."""

    fragments: dict[str, FragmentDefinitionNode]
    variable_values: VariableValues
    kind: ViewerKind
    fields: int = 0
    """How many fields have been planned."""

    def operation(self, node: OperationDefinitionNode) -> ObjectPlan:
        """The plan of an operation. Raises Unplanned."""
        root = core_schema.get_root_type(node.operation)
        assert root
        return self._object(root, [node])  # type: ignore[list-item]  # it has a selection set, like a field's node

    def _object(
        self, of: GraphQLObjectType, nodes: Sequence[FieldNode], joined: list[Joined] | None = None
    ) -> ObjectPlan:
        """The plan of the objects of a type that these nodes select fields of. joined: what can come along with them.

        Nothing can where the sources are not rows of a statement that is still to be made.
        """
        assembly = Assembly()
        loading = self._fill(assembly, of, nodes, joined)
        return ObjectPlan(loading, assembly.function())

    def _fill(
        self, assembly: Assembly, of: GraphQLObjectType, nodes: Sequence[FieldNode], joined: list[Joined] | None
    ) -> list[Loading]:
        """Tell an assembly of each field; the fields that are to be loaded for it."""
        loading = []
        for key, field_nodes in selected_fields(self, nodes, of, by_key=True).items():
            self.fields += 1
            name = name_of(field_nodes[0])
            if name == "__typename":
                assembly.constant(key, of.name)
            elif name not in of.fields:
                raise Unplanned(name)
            elif _is_leaf(of.fields[name]):
                self._add_leaf(assembly, key, of.fields[name])
            elif joined is not None and self._can_come_along(of, field_nodes):
                loading += self._join(assembly, key, of.fields[name], field_nodes, joined)
            else:
                assembly.loaded(key)
                loading.append(self._loading(of, key, field_nodes, assembly.prefix))
        return loading

    def _can_come_along(self, parent: GraphQLObjectType, nodes: Sequence[FieldNode]) -> bool:
        """Whether a field is an edge to a row of which nothing is wanted but leaves, lists, and other such rows."""
        definition = parent.fields[name_of(nodes[0])]
        edge = definition.extensions["strawberry-definition"]
        if not isinstance(edge, ToOne) or edge.relation.link or isinstance(definition.type, GraphQLNonNull):
            return False
        of = object_type(definition.type)
        return of is not parent and all(
            name == "__typename"
            or _is_leaf(of.fields[name])
            or isinstance(of.fields[name].extensions["strawberry-definition"], ToMany)
            or self._can_come_along(of, below)
            for name, below in selected_fields(self, nodes, of).items()
        )

    def _join(
        self,
        assembly: Assembly,
        key: str,
        definition: GraphQLField,
        nodes: Sequence[FieldNode],
        joined: list[Joined],
    ) -> list[Loading]:
        """Let the row that an edge leads to come along; the lists that are to be loaded for it."""
        edge, of, name = definition.extensions["strawberry-definition"], object_type(definition.type), str(len(joined))
        along, further = assembly.along(name), list[Joined]()
        loading = self._fill(along, of, nodes, further)
        joined.append(Joined(name, edge.relation, (*selected_columns(self, nodes, of), *further)))
        assembly.joined(key, along)
        return loading

    def _add_leaf(self, assembly: Assembly, key: str, definition: GraphQLField) -> None:
        """Tell an assembly of a leaf."""
        match field := definition.extensions["strawberry-definition"]:
            case Stored():
                if field.private and never_readable(field.row, field.python_name, self.kind):
                    raise Unplanned(field.python_name)
                assembly.item(key, field.python_name, definition.type, field.words)
            case Computed():
                assembly.computed(key, field.compute, field.columns, definition.type)
            case _:
                assembly.attribute(key, field.python_name, definition.type)

    def _loading(self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode], prefix: str) -> Loading:
        """How the values of a field come about that is more than a leaf. prefix: that of its parent in the sources."""
        definition = parent.fields[name_of(nodes[0])]
        match field := definition.extensions["strawberry-definition"]:
            case ToOne():
                return KeyedField(isinstance(definition.type, GraphQLNonNull), field, *self._row(definition, nodes))
            case Keyed():
                of = object_type(definition.type)
                columns = selected_columns(self, nodes, of)
                return KeyedField(isinstance(definition.type, GraphQLNonNull), field, columns, self._object(of, nodes))
            case ById():
                return ByIdField(field, self._arguments(definition, nodes[0]), *self._row(definition, nodes))
            case ToMany():
                return self._connection(field, definition, nodes, prefix)
        value = self._value(definition.type, nodes)
        return ResolvedField(parent, definition, nodes, key, self._coerced(definition, nodes[0]), value)

    def _row(self, definition: GraphQLField, nodes: list[FieldNode]) -> tuple[Columns, ObjectPlan]:
        """What is fetched of a row, and the plan of its object."""
        of, joined = object_type(definition.type), list[Joined]()
        plan = self._object(of, nodes, joined)
        return (*selected_columns(self, nodes, of), *joined), plan

    def _value(self, of: GraphQLOutputType, nodes: list[FieldNode]) -> Value:
        """How what a resolver gives is completed."""
        required = isinstance(of, GraphQLNonNull)
        nullable: Any = of.of_type if isinstance(of, GraphQLNonNull) else of
        if is_leaf_type(nullable):
            return LeafValue(required, converter(nullable))
        match nullable:
            case GraphQLList():
                return ListValue(required, self._value(nullable.of_type, nodes))
            case GraphQLObjectType():
                return ObjectValue(required, self._object(nullable, nodes))
            case GraphQLInterfaceType():
                return self._abstract(required, nullable, nodes)
        raise Unplanned(str(of))

    def _abstract(self, required: bool, of: GraphQLInterfaceType, nodes: list[FieldNode]) -> Value:
        resolve_type: Any = of.resolve_type

        def type_of(value: Any) -> str:
            name: str = resolve_type(value, None, of)
            return name

        def plan_of(name: str) -> ObjectPlan:
            return self._object(object_type(core_schema.type_map[name]), nodes)

        return AbstractValue(required, type_of, plan_of)

    def _connection(
        self, edge: ToMany, definition: GraphQLField, nodes: list[FieldNode], prefix: str
    ) -> ConnectionField:
        of = object_type(definition.type)
        assembly, rows, counts, joined = ConnectionAssembly(), list[ObjectPlan](), list[Counting](), list[Joined]()

        def select(definition: GraphQLField, selected: list[FieldNode]) -> int:
            rows.append(self._object(object_type(definition.type), selected, joined))
            return len(rows) - 1

        for key, selected in selected_fields(self, nodes, of, by_key=True).items():
            name = name_of(selected[0])
            match name:
                case "__typename":
                    assembly.constant(key, of.name)
                case "nodes":
                    assembly.nodes(key, select(of.fields[name], selected))
                case "edges":
                    assembly.edges(key, self._edge(of.fields[name], selected, select))
                case "pageInfo":
                    assembly.add(key, str(self._page_info(of.fields[name], selected)))
                case "count":
                    arguments = self._arguments(of.fields[name], selected[0])
                    counts.append(Count(arguments, self._names(of.fields[name], selected)))
                    assembly.loaded(key)
                case "totalCount":
                    counts.append(TotalCount())
                    assembly.loaded(key)
                case _:
                    raise Unplanned(name)
        selection = PageSelection.read(self, nodes, of)
        if selection.node is not None:
            selection = replace(selection, node=(*selection.node, *joined))
        request = self._request(edge, definition, nodes[0])
        item = prefix + edge.relation.key if edge.relation else None
        return ConnectionField(edge, item, request, selection, rows, counts, assembly.function(len(rows)))

    def _edge(self, definition: GraphQLField, nodes: list[FieldNode], select: Select) -> EdgeText:
        of, edge = object_type(definition.type), EdgeText()
        for key, selected in selected_fields(self, nodes, of, by_key=True).items():
            match name_of(selected[0]):
                case "__typename":
                    edge.constant(key, of.name)
                case "cursor":
                    edge.cursor(key)
                case "node":
                    edge.node(key, select(of.fields["node"], selected))
                case name:
                    raise Unplanned(name)
        return edge

    def _page_info(self, definition: GraphQLField, nodes: list[FieldNode]) -> ObjectText:
        of, page_info = object_type(definition.type), ObjectText()
        for key, name in self._names(definition, nodes).items():
            if name == "__typename":
                page_info.constant(key, of.name)
            else:
                page_info.add(key, f"page.{of.fields[name].extensions['strawberry-definition'].python_name}")
        return page_info

    def _names(self, definition: GraphQLField, nodes: list[FieldNode]) -> dict[str, str]:
        """The names of what is selected of an object of leaves, by key."""
        fields = selected_fields(self, nodes, object_type(definition.type), by_key=True)
        return {key: name_of(selected[0]) for key, selected in fields.items()}

    def _request(self, edge: ToMany, definition: GraphQLField, node: FieldNode) -> Any:
        """What gives the page that is asked for: read once for the same values of the variables."""
        arguments, names = self._arguments(definition, node), sorted(_variables(node))
        kept: LRUCache[bytes, PageRequest] = LRUCache(KEPT_REQUESTS)

        def request(run: Run) -> PageRequest:
            key = orjson.dumps({name: run.given[name] for name in names if name in run.given})
            if key not in kept:
                kept[key] = edge.request(arguments(run))
            return kept[key]

        return request

    def _arguments(self, definition: GraphQLField, node: FieldNode) -> Arguments:
        """What gives the arguments of a field as its Python code takes them."""
        field, coerced = definition.extensions["strawberry-definition"], self._coerced(definition, node)

        def arguments(run: Run) -> dict[str, Any]:
            return convert_arguments(
                coerced(run),
                field.arguments,
                scalar_registry=graph.schema_converter.scalar_registry,
                config=graph.config,
            )

        return arguments

    def _coerced(self, definition: GraphQLField, node: FieldNode) -> Arguments:
        """What gives the arguments of a field as its resolver takes them."""
        if not definition.args:
            return lambda run: {}
        if not _variables(node):
            constant = get_argument_values(definition, node, self.variable_values)
            return lambda run: constant
        return lambda run: get_argument_values(definition, node, run.variables)


def _is_leaf(definition: GraphQLField) -> bool:
    """Whether a field's value is made of what its source has, and of nothing else."""
    field = definition.extensions["strawberry-definition"]
    return is_leaf_type(_without_wrappers(definition.type)) and (
        isinstance(field, Stored | Computed) or field.is_basic_field
    )


def _variables(node: FieldNode) -> set[str]:
    """The names of the variables in the arguments of a field."""
    collected = _Variables()
    for argument in node.arguments or ():
        visit(argument, collected)
    return collected.names


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def _without_wrappers(of: Any) -> Any:
    while isinstance(of, GraphQLNonNull | GraphQLList):
        of = of.of_type
    return of
