"""What an operation may cost: about the number of objects that it can return, told before it runs.

A field costs what it leads to, as the schema declares it: an edge to one row an object, a connection as many rows as
were asked for, any other list of objects LIST of them, unless it is fetched by a list of ids, which says how many. The
wrappers of connections are free, and so are scalars; but a number that has to be counted costs as much as an object.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from math import ceil
from typing import Any, NamedTuple, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLCompositeType,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_introspection_query,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    parse,
)
from graphql.execution.collect_fields import (
    CollectFieldsContext,
    FragmentDetails,
    GroupedFieldSet,
    visit_selection_sets,
)
from graphql.execution.values import VariableValues

from gateway.errors import Code, DocumentError
from gateway.limits import TOO_DEEP
from loaders.pages import DEFAULT_PAGE, LARGEST_PAGE
from schema.connection import Connection, Edge, PageInfo
from schema.edge import ToMany
from schema.graph import core_schema

LIST = 25
"""How many objects a list is taken to have that does not say."""
MUTATION = 10
"""What a mutation costs beside what it returns."""
INTROSPECTION = 0.1
"""What an object of the schema costs: it is in memory."""
DEAREST = 1_000_000_000
"""Whatever costs more is said to cost this."""
FUEL = 50_000
"""How many selections are looked at before an operation is refused for being too complex."""

WRAPPERS = {Connection, Edge, PageInfo}


class Price(NamedTuple):
    """What an operation may cost at most, and what it costs at least, whatever it finds."""

    most: int
    least: int


def price(document: DocumentNode, operation: OperationDefinitionNode, variables: VariableValues) -> Price:
    """What an operation may cost, with these coerced variables. Raises DocumentError when there is no telling."""
    pricing = Pricing(document, operation, variables)
    cost = pricing.operation_cost()
    allowed = _introspection_allowed()
    if pricing.introspected > allowed:
        raise _refusal(
            f"The operation asks for about {min(pricing.introspected, DEAREST):.0f} objects of the schema, and"
            f" {allowed:.0f} are allowed. Ask for each part of the schema once."
        )
    most = max(1, ceil(min(cost, DEAREST)))
    changes = operation.operation is OperationType.MUTATION
    return Price(most, min(most, max(1, ceil(pricing.introspected * INTROSPECTION), MUTATION if changes else 0)))


class Pricing:
    """The pricing of one operation. introspected: how many objects of the schema it can return."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode, variables: VariableValues) -> None:
        self.operation = operation
        self.variables = variables
        self.introspected = 0.0
        self._fragments = {
            each.name.value: FragmentDetails(each)
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._fuel = FUEL
        self._known: dict[tuple[Any, ...], float] = {}

    def operation_cost(self) -> float:
        """What the whole operation may cost."""
        root = core_schema.get_root_type(self.operation.operation)
        assert root is not None
        try:
            return self._fields(root, [self.operation.selection_set])
        except RecursionError:
            raise _refusal(TOO_DEEP) from None
        except GraphQLError as error:  # the condition of a directive is a variable without a value
            raise DocumentError(422, Code.BAD_USER_INPUT, [error]) from None

    def _fields(self, of: GraphQLObjectType, selected: list[SelectionSetNode], rows: int = LIST) -> float:
        """What one object costs with the fields that are selected of it. rows: how many items its lists have."""
        key = (of, rows, *map(id, selected))
        if key not in self._known:
            self._known[key] = sum(self._field(of, nodes, rows) for nodes in self._collected(of, selected))
        return self._known[key]

    def _collected(self, of: GraphQLObjectType, selected: list[SelectionSetNode]) -> list[list[FieldNode]]:
        """The fields that an object answers with, each with all its nodes: collected as execution does it."""
        found: GroupedFieldSet = defaultdict(list)
        context = CollectFieldsContext(
            schema=core_schema,
            fragments=self._fragments,
            variable_values=self.variables,
            operation=self.operation,
            runtime_type=of,
            visited_fragment_names={},
            hide_suggestions=False,
            forbidden_directive_instances=[],
            forbid_skip_and_include=False,
            on_selection_set=self._burn,
        )
        for selection_set in selected:
            visit_selection_sets(context, selection_set, found, [])
        return [[detail.node for detail in details] for details in found.values()]

    def _burn(self, selection_set: SelectionSetNode) -> None:
        self._fuel -= 1 + len(selection_set.selections)
        if self._fuel < 0:
            raise _refusal("The operation is too complex to be priced. Split it into several operations.")

    def _field(self, of: GraphQLObjectType, nodes: list[FieldNode], rows: int) -> float:
        node = nodes[0]
        field = core_schema.get_field(of, node.name.value)
        if field is None:  # pragma: no cover (validation has seen to it)
            return 0
        definition = field.extensions.get("strawberry-definition")
        base = MUTATION if of is core_schema.mutation_type and not node.name.value.startswith("__") else 0
        named = get_named_type(field.type)
        if not is_composite_type(named):
            return base + (1 if definition and definition.is_async else 0)
        selected = [each.selection_set for each in nodes if each.selection_set]
        if isinstance(definition, ToMany):
            page = self._page(node)
            return base + max(1, self._below(named, selected, page))
        below = (0 if _is_wrapper(named) else 1) + self._below(named, selected)
        if named.name.startswith("__"):
            below *= _introspection_sizes().get(node.name.value, 1)
            if of.name.startswith("__"):
                return below
            self.introspected += below
            return below * INTROSPECTION
        if is_list_type(get_nullable_type(field.type)):
            below *= rows if _is_wrapper(of) else self._length(field, node)
        return base + below

    def _below(self, of: GraphQLCompositeType, selected: list[SelectionSetNode], rows: int = LIST) -> float:
        """What is selected of an object of this type costs; of an abstract one, of the dearest type it can have."""
        if is_abstract_type(of):
            abstract = cast("GraphQLInterfaceType", of)
            return max((self._fields(each, selected) for each in core_schema.get_possible_types(abstract)), default=0)
        return self._fields(cast("GraphQLObjectType", of), selected, rows)

    def _page(self, node: FieldNode) -> int:
        """How many rows of a connection are asked for."""
        sizes = [self._number(node, name) for name in ("first", "last")]
        size = next((each for each in sizes if each is not None), DEFAULT_PAGE)
        return min(max(size, 0), LARGEST_PAGE)

    def _number(self, node: FieldNode, name: str) -> int | None:
        value = _argument(node, name)
        if isinstance(value, IntValueNode):
            return int(value.value)  # an Int, says validation, and so not too long
        if isinstance(value, VariableNode):
            number: int | None = self.variables.coerced.get(value.name.value)
            return number
        return None

    def _length(self, field: GraphQLField, node: FieldNode) -> int:
        """How many objects a list is taken to have: one for each id, where it takes ids."""
        by_ids = next((name for name, argument in field.args.items() if str(argument.type) == IDS), None)
        value = _argument(node, by_ids)
        if isinstance(value, VariableNode):
            return len(self.variables.coerced.get(value.name.value) or ())
        if isinstance(value, ListValueNode):
            return len(value.values)
        return LIST if value is None else 1


IDS = "[ID!]!"


def _argument(node: FieldNode, name: str | None) -> ValueNode | None:
    return next((each.value for each in node.arguments or () if each.name.value == name), None)


def _is_wrapper(of: GraphQLNamedType) -> bool:
    definition = of.extensions.get("strawberry-definition")
    return definition is not None and (definition.concrete_of or definition).origin in WRAPPERS


@cache
def _introspection_sizes() -> Mapping[str, float]:
    """How many objects a field of the schema's own types has, in the mean over all types. One, if it is not here."""
    types = core_schema.type_map.values()
    with_fields = [each for each in types if isinstance(each, GraphQLObjectType | GraphQLInterfaceType)]
    fields = [field for each in with_fields for field in each.fields.values()]
    inputs = [each for each in types if isinstance(each, GraphQLInputObjectType)]
    enums = [each for each in types if isinstance(each, GraphQLEnumType)]
    possible = [core_schema.get_possible_types(each) for each in types if is_abstract_type(each)]
    number = len(types)
    # The types that can be asked for by themselves are the largest.
    largest = max(len(each.fields) for each in with_fields) * number / len(fields)
    return {
        "types": number,
        "directives": len(core_schema.directives),
        "fields": len(fields) / number,
        "args": sum(len(field.args) for field in fields) / len(fields),
        "inputFields": sum(len(each.fields) for each in inputs) / number,
        "enumValues": sum(len(each.values) for each in enums) / number,
        "interfaces": sum(len(each.interfaces) for each in with_fields) / number,
        "possibleTypes": sum(map(len, possible)) / number,
        "ofType": 0.5,
        **dict.fromkeys(("__type", "queryType", "mutationType", "subscriptionType"), largest),
    }


@cache
def _introspection_allowed() -> float:
    """Twice what tools ask for when they fetch the whole schema."""
    document = parse(get_introspection_query(input_value_deprecation=True, schema_description=True))
    pricing = Pricing(document, cast("OperationDefinitionNode", document.definitions[0]), VariableValues({}, {}))
    pricing.operation_cost()
    return 2 * pricing.introspected


def _refusal(message: str) -> DocumentError:
    return DocumentError(422, Code.LIMIT_EXCEEDED, [GraphQLError(message)])
