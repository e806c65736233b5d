"""A run: one execution of an operation, for one request."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLField, GraphQLObjectType, OperationDefinitionNode
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, is_awaitable
from graphql.type.definition import GraphQLResolveInfoHelpers

from gateway.documents import Document
from resolvers.context import Context
from schema.graph import core_schema
from schema.selection import ResolveInfo


@dataclass(frozen=True, eq=False)
class Run:
    """What is executed, and for whom. given: the variables as the client sent them. root: of an event, the event."""

    context: Context
    document: Document
    node: OperationDefinitionNode
    given: Mapping[str, Any]
    variables: VariableValues
    root: Any = None

    async def together(self, waiting: Sequence[Awaitable[Any]]) -> list[Any]:
        """What each of these gives. Where some fail, it waits for the others, and raises the first failure."""
        if len(waiting) == 1:
            return [await waiting[0]]
        if not waiting:
            return []
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def info(
        self, parent: GraphQLObjectType, definition: GraphQLField, nodes: list[FieldNode], key: str
    ) -> ResolveInfo:
        """What a resolver is told. The path is that of a root field, whichever it is."""
        return ResolveInfo(
            field_name=nodes[0].name.value,
            field_nodes=nodes,
            return_type=definition.type,
            parent_type=parent,
            path=Path(None, key, parent.name),
            schema=core_schema,
            fragments=self.document.fragments,
            root_value=self.root,
            operation=self.node,
            variable_values=self.variables,
            context=self.context,
            is_awaitable=is_awaitable,
            abort_signal=None,
            async_helpers=HELPERS,
        )


HELPERS = GraphQLResolveInfoHelpers(gather=asyncio.gather, track=lambda waiting: None)  # type: ignore[arg-type]
