"""Documents: from their text, or an id that stands for it, to what can be executed."""

import hashlib
import sys
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from types import NoneType
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.execution.values import VariableValues
from graphql.validation import NoSchemaIntrospectionCustomRule
from graphql.validation.rules import overlapping_fields_can_be_merged as overlapping_fields

from gateway.cost import Price, price
from gateway.errors import Code, DocumentError, RequestError
from gateway.limits import TOO_DEEP, check_limits, check_text, longest
from gateway.persisted import PersistedDocuments
from gateway.request import GraphQLRequest
from gateway.settings import Documents as Mode
from gateway.settings import Settings
from gateway.telemetry import record
from schema.graph import core_schema

KEPT_BYTES = 40_000_000
"""How much memory the documents may take that are kept."""
BYTES_PER_TOKEN = 560
"""What a token takes as part of a document, at most; 330 in the mean."""

CHARACTERS_PER_POINT = 10
"""To check a text of so many characters takes a point: a dense one of 4,000 takes longer than reading 100 rows."""

KEPT_PRICES = 20
"""How many prices of a document are kept."""
LONGEST_PRICED = 2_000
"""Up to how many bytes variables may have for the price to be kept."""
PRICED = (int, list, dict, NoneType)

MOST_ERRORS = 10
"""How many mistakes of a document are told."""

# The rule that compares fields of the same name with each other takes the time of their number squared, until this is
# used up: as much as a selection of 110 fields of one name takes, or some 50 ms. Its own bound is some seconds.
overlapping_fields.MAX_COMPLEXITY_BUDGET = 25_000
TOO_COMPLEX = "Validation aborted."
"""What validation says when that, or a bound like it, is used up."""


@dataclass(frozen=True, eq=False)
class Document:
    """A document that is valid here. id: the SHA-256 of its text."""

    id: str
    node: DocumentNode
    _prices: LRUCache[Hashable, Price] = field(default_factory=lambda: LRUCache(KEPT_PRICES))

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """Its fragments by name."""
        return {each.name.value: each for each in self.node.definitions if isinstance(each, FragmentDefinitionNode)}

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """The names of the variables on which it depends what is selected."""
        collected = _Conditions()
        visit(self.node, collected)
        return tuple(sorted(collected.names))

    def price(self, operation: OperationDefinitionNode, variables: VariableValues) -> Price:
        """What one of its operations may cost, with these coerced variables. Raises DocumentError.

        Only numbers, truth values, and what holds others make a difference. So most operations are priced once.
        """
        values = {name: value for name, value in variables.coerced.items() if isinstance(value, PRICED)}
        try:
            text = orjson.dumps(values, default=repr, option=orjson.OPT_NON_STR_KEYS)
        except orjson.JSONEncodeError:  # numbers too large for it
            return price(self.node, operation, variables)
        if len(text) > LONGEST_PRICED:
            return price(self.node, operation, variables)
        key = (operation.name and operation.name.value, text)
        found = self._prices.get(key)
        if found is None:
            found = self._prices[key] = price(self.node, operation, variables)
        return found

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of this name, or the only one. Raises RequestError when there is no telling which."""
        operations = [each for each in self.node.definitions if isinstance(each, OperationDefinitionNode)]
        if name is None and len(operations) == 1:
            return operations[0]
        for operation in operations:
            if name is not None and operation.name and operation.name.value == name:
                return operation
        names = ", ".join(each.name.value for each in operations if each.name)
        message = (
            f"The document has {len(operations)} operations: give operationName, one of {names}."
            if name is None
            else f"The document has no operation {name}. It has: {names or 'one without a name'}."
        )
        raise RequestError(422, Code.OPERATION_UNDETERMINED, message)


class _Conditions(Visitor):
    """Collects the variables of @skip and @include."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.names |= {each.value.name.value for each in node.arguments or () if isinstance(each.value, VariableNode)}


class Documents:
    """The documents that clients send, checked once and kept, since they send the same ones again and again."""

    def __init__(self, settings: Settings, persisted: PersistedDocuments) -> None:
        self.settings = settings
        self.persisted = persisted
        rules = list(specified_rules)
        if not settings.introspection:
            rules.append(NoSchemaIntrospectionCustomRule)
        self._rules = tuple(rules)
        self._kept: LRUCache[str, Document] = LRUCache(maxsize=KEPT_BYTES, getsizeof=_size)

    async def find(self, request: GraphQLRequest, pay: Callable[[int], Awaitable[None]]) -> Document:
        """The document of a request. Raises RequestError.

        pay: takes the points for checking a text that is not known yet, before that is done.
        """
        text = request.query
        expected = request.persisted_hash
        trusted = self.settings.documents is Mode.TRUSTED or request.document_id is not None
        if trusted:
            text = await self.persisted.trusted(request)
        elif text is None:
            text = await self.persisted.find(expected or "")
        id_ = hashlib.sha256(text.encode()).hexdigest()
        document = self._kept.get(id_)
        known = record()
        known.document, known.document_known = id_, document is not None
        if document is None:
            if not trusted:
                await pay(1 + min(len(text), longest(self.settings)) // CHARACTERS_PER_POINT)
            document = Document(id_, self.check(text))
            if _size(document) <= KEPT_BYTES:
                self._kept[id_] = document
        if expected and request.query is not None:
            await self.persisted.keep(expected, id_, text)
        return document

    def check(self, text: str) -> DocumentNode:
        """A text, parsed and valid here. Raises RequestError with every place where it is not."""
        check_text(text, self.settings)
        try:
            node = parse(text, max_tokens=self.settings.max_tokens)
            check_limits(node, self.settings)
            errors = validate(
                core_schema,
                node,
                self._rules,
                max_errors=MOST_ERRORS,
                hide_suggestions=not self.settings.introspection,
            )
        except GraphQLSyntaxError as error:
            code = Code.LIMIT_EXCEEDED if "Parsing aborted" in error.message else Code.PARSE_FAILED
            raise DocumentError(400, code, [error]) from None
        except RecursionError:
            raise DocumentError(422, Code.LIMIT_EXCEEDED, [GraphQLError(TOO_DEEP)]) from None
        if errors and errors[-1].message == TOO_COMPLEX:
            raise DocumentError(422, Code.LIMIT_EXCEEDED, [GraphQLError(REPETITIVE)])
        if errors:
            raise DocumentError(422, Code.VALIDATION_FAILED, errors)
        return node


REPETITIVE = (
    "The document selects fields of the same name too often, or nests fragments too deep. Select each field once, and"
    " use fragments less often."
)


def _size(document: Document) -> int:
    """How much memory a document takes, about, with its text."""
    location = document.node.loc
    text = sys.getsizeof(location.source.body) if location else 0
    return document.node.token_count * BYTES_PER_TOKEN + 2 * text
