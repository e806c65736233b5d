"""What an operation selects below a field: which columns a statement has to fetch for it."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    SelectionNode,
    get_named_type,
)
from graphql.execution.values import get_directive_values

ResolveInfo = GraphQLResolveInfo[Any]
Selected = dict[str, list[FieldNode]]
"""The selected fields of an object by name; a field selected twice has two nodes."""


def selected_fields(info: ResolveInfo, nodes: Iterable[FieldNode], of: GraphQLObjectType) -> Selected:
    """The fields of an object type that are selected below these nodes, fragments and directives applied."""
    fields: Selected = {}
    for node in nodes:
        if node.selection_set:
            for field in _walk(info, node.selection_set.selections, of):
                fields.setdefault(field.name.value, []).append(field)
    return fields


def selected_columns(info: ResolveInfo, nodes: Iterable[FieldNode], of: GraphQLObjectType) -> tuple[str, ...]:
    """The columns that the selected fields of an object type are made of."""
    columns: dict[str, None] = {}
    for name in selected_fields(info, nodes, of):
        if name in of.fields:
            columns.update(dict.fromkeys(needed_columns(of.fields[name].extensions)))
    return tuple(columns)


def needed_columns(extensions: dict[str, Any]) -> tuple[str, ...]:
    """The columns that a field says it needs of its row."""
    needed: tuple[str, ...] = getattr(extensions.get("strawberry-definition"), "columns", ())
    return needed


def object_type(info: ResolveInfo, of: Any) -> GraphQLObjectType:
    """The object type behind the wrappers of a field's type."""
    named = get_named_type(of)
    if not isinstance(named, GraphQLObjectType):
        raise TypeError(f"{named} is not an object type")
    return named


def _walk(info: ResolveInfo, selections: Iterable[SelectionNode], of: GraphQLObjectType) -> Iterator[FieldNode]:
    for selection in selections:
        if not _included(info, selection):
            continue
        if isinstance(selection, FieldNode):
            yield selection
            continue
        fragment: Any = info.fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
        if fragment.type_condition is None or _applies(fragment.type_condition.name.value, of):
            yield from _walk(info, fragment.selection_set.selections, of)


def _applies(condition: str, of: GraphQLObjectType) -> bool:
    return condition == of.name or any(interface.name == condition for interface in of.interfaces)


def _included(info: ResolveInfo, node: SelectionNode) -> bool:
    skip = get_directive_values(GraphQLSkipDirective, node, info.variable_values)
    include = get_directive_values(GraphQLIncludeDirective, node, info.variable_values)
    return not (skip and skip["if"]) and not (include and not include["if"])
