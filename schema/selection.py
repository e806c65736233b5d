"""What an operation selects below a field: which columns a statement has to fetch for it."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    SelectionNode,
    get_named_type,
)
from graphql.execution.values import VariableValues, get_directive_values

ResolveInfo = GraphQLResolveInfo[Any]
Selected = dict[str, list[FieldNode]]
"""The selected fields of an object by name, or by key; a field selected twice has two nodes."""


class Scope(Protocol):
    """What a selection is read in: a `ResolveInfo`, or whatever else knows an operation."""

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """The fragments of the document by name."""

    @property
    def variable_values(self) -> VariableValues:
        """The variables of the operation."""


def name_of(field: FieldNode) -> str:
    """What the field is called in the schema."""
    return field.name.value


def key_of(field: FieldNode) -> str:
    """What the field is called in the answer: its alias, if it has one."""
    return field.alias.value if field.alias else field.name.value


def selected_fields(
    scope: Scope, nodes: Iterable[FieldNode], of: GraphQLObjectType, *, by_key: bool = False
) -> Selected:
    """The fields of an object type that are selected below these nodes, fragments and directives applied."""
    called, fields, seen = (key_of if by_key else name_of), dict[str, list[FieldNode]](), set[str]()
    for node in nodes:
        if node.selection_set:
            for field in _walk(scope, node.selection_set.selections, of, seen):
                fields.setdefault(called(field), []).append(field)
    return fields


def selected_columns(scope: Scope, nodes: Iterable[FieldNode], of: GraphQLObjectType) -> tuple[str, ...]:
    """The columns that the selected fields of an object type are made of."""
    columns: dict[str, None] = {}
    for name in selected_fields(scope, nodes, of):
        if name in of.fields:
            columns.update(dict.fromkeys(needed_columns(of.fields[name].extensions)))
    return tuple(columns)


def needed_columns(extensions: dict[str, Any]) -> tuple[str, ...]:
    """The columns that a field says it needs of its row."""
    needed: tuple[str, ...] = getattr(extensions.get("strawberry-definition"), "columns", ())
    return needed


def object_type(of: Any) -> GraphQLObjectType:
    """The object type behind the wrappers of a field's type."""
    named = get_named_type(of)
    if not isinstance(named, GraphQLObjectType):
        raise TypeError(f"{named} is not an object type")
    return named


def _walk(
    scope: Scope, selections: Iterable[SelectionNode], of: GraphQLObjectType, seen: set[str]
) -> Iterator[FieldNode]:
    """The fields, each named fragment once. seen: the names of the fragments that were walked before."""
    for selection in selections:
        if not _included(scope, selection):
            continue
        if isinstance(selection, FieldNode):
            yield selection
            continue
        fragment: Any = selection
        if isinstance(selection, FragmentSpreadNode):
            if selection.name.value in seen:
                continue
            seen.add(selection.name.value)
            fragment = scope.fragments[selection.name.value]
        if fragment.type_condition is None or _applies(fragment.type_condition.name.value, of):
            yield from _walk(scope, fragment.selection_set.selections, of, seen)


def _applies(condition: str, of: GraphQLObjectType) -> bool:
    return condition == of.name or any(interface.name == condition for interface in of.interfaces)


def _included(scope: Scope, node: SelectionNode) -> bool:
    if not node.directives:
        return True
    skip = get_directive_values(GraphQLSkipDirective, node, scope.variable_values)
    include = get_directive_values(GraphQLIncludeDirective, node, scope.variable_values)
    return not (skip and skip["if"]) and not (include and not include["if"])
