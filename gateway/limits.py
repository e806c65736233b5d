"""How large a document and its variables may be, looked at before anything else is done with them.

Nothing here trusts that a document is valid: fragments may be missing, or go in circles. Each fragment is looked at
once, however often it is used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    Visitor,
    visit,
)

from gateway.errors import Code, DocumentError, RequestError
from gateway.settings import Settings

CHARACTERS_PER_TOKEN = 25
"""How long a document may be for each token that it may have."""

MOST_OPERATIONS = 50
MOST_FRAGMENTS = 200
MOST_DIRECTIVES = 100
MOST_SELECTIONS = 10_000
"""Fields and fragments of an operation, counted as often as they are used."""

MOST_VALUES = 5_000
"""How many values variables may hold. The time to read them is some 10 to 20 microseconds each."""
MOST_NESTED_VALUES = 64
"""How deep variables may be nested. Encoders of JSON give up at some 250."""

TOO_DEEP = "The document is nested too deep. Split it into several operations."

INTROSPECTION = {"__schema", "__type"}
ENOUGH = 1_000_000
"""Nobody needs to know how much more it is."""


def longest(settings: Settings) -> int:
    """How many characters a document may have."""
    return settings.max_tokens * CHARACTERS_PER_TOKEN


def check_text(text: str, settings: Settings) -> None:
    """Raises DocumentError when a document is too long to be read."""
    most = longest(settings)
    if len(text) > most:
        raise _refusal(
            f"The document has {len(text)} characters, and {most} are allowed. Send long values as variables.",
            status=400,
        )


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Raises DocumentError when the document is nested too deep, or has too many aliases or other parts."""
    fragments: dict[str, FragmentDefinitionNode] = {}
    operations = []
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
        elif isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
    _at_most(MOST_OPERATIONS, len(operations), "operations", "Send only the one that is to be executed.")
    number = len(document.definitions) - len(operations)
    _at_most(MOST_FRAGMENTS, number, "fragments", "Split it into several operations.")
    directives = _Directives()
    visit(document, directives)
    _at_most(MOST_DIRECTIVES, directives.number, "directives", "Put @include and @skip on fragments instead of fields.")
    sizes = _Sizes(fragments)
    for operation in operations:
        size = sizes.of(operation.selection_set.selections)
        where: list[Node] = [operation]
        _at_most(settings.max_depth, size.depth, "levels of fields", "Split it into several operations.", where)
        _at_most(settings.max_aliases, size.aliases, "aliases", "Send several operations instead.", where)
        _at_most(MOST_SELECTIONS, size.selections, "fields", "Use each fragment less often.", where)


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raises RequestError when there are too many values in the variables, or they are nested too deep."""
    number, depth = 0, 0
    level: list[Any] = [variables]
    while level:
        inner: list[Any] = []
        for each in level:
            number += len(each)
            if number > MOST_VALUES:
                break
            inner += [value for value in (each.values() if isinstance(each, dict) else each) if _holds_values(value)]
        level = inner
        depth += 1
        if number > MOST_VALUES or depth > MOST_NESTED_VALUES:
            raise RequestError(
                422,
                Code.LIMIT_EXCEEDED,
                f"The variables may hold {MOST_VALUES} values, nested {MOST_NESTED_VALUES} deep, and hold more."
                " Send them with several operations.",
            )


def _holds_values(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a selection is, with its fragments as often as they are used."""

    depth: int = 0
    aliases: int = 0
    selections: int = 0


class _Sizes:
    """The sizes of selections. Those of fragments are kept."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._kept: dict[str, _Size] = {}

    def of(self, selections: Iterable[SelectionNode]) -> _Size:
        """The size of what is selected."""
        depth = aliases = number = 0
        for selection in selections:
            inner = self._below(selection)
            if isinstance(selection, FieldNode):
                depth = max(depth, 1 if selection.name.value in INTROSPECTION else 1 + inner.depth)
                aliases += selection.alias is not None
            else:
                depth = max(depth, inner.depth)
            aliases += inner.aliases
            number += 1 + inner.selections
        return _Size(depth, min(aliases, ENOUGH), min(number, ENOUGH))

    def _below(self, selection: SelectionNode) -> _Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        selected = selection.selection_set  # type: ignore[attr-defined]
        return self.of(selected.selections) if selected else _Size()

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._kept:
            self._kept[name] = _Size()  # for one that leads back to itself, which validation reports
            fragment = self._fragments.get(name)
            if fragment:
                self._kept[name] = self.of(fragment.selection_set.selections)
        return self._kept[name]


class _Directives(Visitor):
    """Counts directives, wherever they stand."""

    number = 0

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        """One more."""
        self.number += 1


def _at_most(most: int, found: int, what: str, advice: str, where: list[Node] | None = None) -> None:
    if found > most:
        shown = f"{found} or more" if found >= ENOUGH else str(found)
        raise _refusal(f"The document has {shown} {what}, and {most} are allowed. {advice}", where)


def _refusal(message: str, where: list[Node] | None = None, *, status: int = 422) -> DocumentError:
    return DocumentError(status, Code.LIMIT_EXCEEDED, [GraphQLError(message, where)])
