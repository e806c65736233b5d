"""Operations that chance writes: valid for the schema, now and then wrong in a value, and never large.

A key stands for the same field with the same arguments wherever it is used, so that whatever meets can be merged.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, count
from typing import Any, NamedTuple, TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
)
from hypothesis import strategies as st

from schema.field import Stored
from schema.graph import core_schema
from tests.graph import CONNECTIONS, ENTITIES, definition
from tests.serving import Gateway

Composite = GraphQLObjectType | GraphQLInterfaceType
Thing = TypeVar("Thing")

PEOPLE = [None, "aiko", "noor", "maya", "maya", "jonas", "grace", "grace", "service"]
LEVELS = 4
"""How many objects below one another lead from row to row."""
NODE = "Node"
TYPENAME = "__typename"
LEFT_OUT = {"downloadUrl", "providerDrift", "searchKnowledge"}
"""Fields that are not the same a moment later, or that ask the AI provider."""
WRAPPERS = ("Connection", "Edge", "PageInfo", "Count")

SCALARS: Mapping[str, Sequence[Any]] = {
    "Boolean": [False, True],
    "Int": [0, 1, 2, 5, 20],
    "BigInt": [0, 1_000, 2**40],
    "Float": [0, 0.5, 1.0, 2],
    "Decimal": ["0", "1", "1.5", 2, 30],
    "DateTime": ["2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "2020-01-01T00:00:00Z"],
    "Date": ["2026-05-01", "2020-02-29"],
    "UUID": ["019a0000-0000-7000-8000-000000000001"],
    "String": ["e", "an", "sleep or learning", "AI education", "", "%"],
}
NUMBERS: Mapping[str, tuple[Sequence[int], Sequence[int]]] = {
    "first": ([0, 1, 2, 2, 3, 3, 5], [-1, 101]),
    "last": ([0, 1, 2, 2, 3, 3, 5], [-1, 101]),
    "limit": ([0, 1, 2, 3, 10_000], [-1]),
}
"""Arguments that are numbers: the values that can be, and some that cannot."""
PAGES = [
    *(6 * [[]]), ["where"], ["where"], ["orderBy"], ["where", "orderBy"], ["search"], ["after"], ["before"],
    ["after", "before"],
]  # fmt: skip
"""What a page is narrowed down by. Cursors are of lists in their own order without a filter."""


class Word(str):
    """A word of an enum."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable, whose values are about rows of a type."""

    name: str
    type: Any
    value_of: Callable[[], Any]
    default: Any = Undefined

    def __str__(self) -> str:
        default = "" if self.default is Undefined else f" = {literal(self.default)}"
        return f"${self.name}: {self.type}{default}"


Shape = tuple[str, frozenset[str]]
"""The type of a field, and the names of its arguments."""


class Use(NamedTuple):
    """What a key stands for."""

    name: str
    arguments: str
    shape: Shape


class Fragment(NamedTuple):
    """A named fragment. levels: how many it may have below it."""

    name: str
    on: str
    levels: int
    text: str


@dataclass(frozen=True)
class Asking:
    """Who sends an operation, with which variables."""

    as_: str | None
    variables: dict[str, Any]


@dataclass(frozen=True)
class Generated:
    """An operation, and some who send it."""

    query: str
    askings: list[Asking]

    def __repr__(self) -> str:
        return "\n".join([self.query, *map(repr, self.askings)])


@dataclass(frozen=True)
class Known:
    """What there is in the database, by type: ids of rows, and cursors of their list."""

    ids: dict[str, list[str]]
    cursors: dict[str, list[str]]

    @classmethod
    def look(cls, gateway: Gateway) -> "Known":
        """Some of all that there is."""
        known = cls({}, {})
        for entity, name in CONNECTIONS.items():
            found = gateway.ask(f"{{ {name}(first: 8) {{ edges {{ cursor node {{ id }} }} }} }}", as_="grace")
            known.ids[entity] = [edge["node"]["id"] for edge in found.data[name]["edges"]]
            known.cursors[entity] = [edge["cursor"] for edge in found.data[name]["edges"]]
        return known


@st.composite
def operations(draw: st.DrawFn, known: Known) -> Generated:
    """A query, and some who send it."""
    return Writer(draw, known).write()


def literal(value: Any) -> str:
    """The text of a value in a document."""
    if isinstance(value, Variable):
        return f"${value.name}"
    if isinstance(value, Word):
        return value
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


@dataclass
class Writer:
    """Writes one document."""

    draw: st.DrawFn
    known: Known
    variables: dict[str, Variable] = field(default_factory=dict)
    fragments: list[Fragment] = field(default_factory=list)
    keys: dict[str, Use] = field(default_factory=dict)
    is_right: bool = True
    """Whether nothing is wrong yet. One thing at most is: of several errors, any may be the one that is told."""

    def write(self) -> Generated:
        """The operation, and who sends it."""
        query = core_schema.query_type
        assert query
        selection = self.selection(query, LEVELS)
        variables = f"({', '.join(map(str, self.variables.values()))})" if self.variables else ""
        texts = [f"query Q{variables} {selection}"]
        texts += [f"fragment {each.name} on {each.on} {each.text}" for each in self.fragments]
        askings = [Asking(self.one_of(PEOPLE), self.given()) for _ in range(self.number(1, 3))]
        return Generated("\n".join(texts), askings)

    def one_of(self, things: Sequence[Thing]) -> Thing:
        return self.draw(st.sampled_from(things))

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def chance(self, of: int) -> bool:
        """True once in so many times."""
        return self.number(1, of) == of

    def mistake(self, of: int) -> bool:
        """True once in so many times, as long as nothing is wrong."""
        is_wrong = self.is_right and self.chance(of)
        self.is_right &= not is_wrong
        return is_wrong

    # Selections

    def selection(self, of: Composite, levels: int) -> str:
        """A selection set."""
        return f"{{ {' '.join(self.selected(of, levels) for _ in range(self.number(1, 4)))} }}"

    def selected(self, of: Composite, levels: int) -> str:
        if levels > 0 and self.chance(2 if of.name == NODE else 5):
            fitting = [each for each in self.fragments if each.levels <= levels and each.on in self.conditions(of)]
            if fitting and self.chance(2):
                return f"...{self.one_of(fitting).name} {self.directives()}"
            condition = self.one_of(self.conditions(of))
            text = self.selection(_composite(condition), levels - 1)
            if self.chance(2):
                on = f"on {condition}" if condition != of.name or self.chance(2) else ""
                return f"... {on} {self.directives()} {text}"
            name = f"F{len(self.fragments)}"
            self.fragments.append(Fragment(name, condition, levels, text))
            return f"...{name} {self.directives()}"
        return self.field(of, levels)

    def conditions(self, of: Composite) -> list[str]:
        """The types that a fragment can be on."""
        if of.name == NODE:
            return [NODE, *ENTITIES]
        return [of.name, NODE] if of.name in ENTITIES else [of.name]

    def field(self, of: Composite, levels: int) -> str:
        names = _names(of, deep=levels > 0 or _is_wrapper(of.name))
        again = [key for key, use in self.keys.items() if use.shape == names.get(use.name)] if self.chance(4) else []
        if again:
            key = self.one_of(again)
            name, arguments = self.keys[key].name, self.keys[key].arguments
        else:
            name = self.name(of, list(names))
            arguments = self.arguments(of.fields[name]) if name in of.fields else ""
            key = self.key(Use(name, arguments, names[name]))
        alias = "" if key == name else f"{key}: "
        below = ""
        if name != TYPENAME and not is_leaf_type(named := get_named_type(of.fields[name].type)):
            is_free = _is_wrapper(named.name) and not named.name.endswith("Connection")
            below = self.selection(named, levels if is_free else levels - 1)
        return f"{alias}{name}{arguments} {self.directives()} {below}"

    def name(self, of: Composite, names: Sequence[str]) -> str:
        """One of the fields: as often one that leads on as a leaf, and seldom a private one."""
        if self.chance(12) or len(names) == 1:
            return TYPENAME
        names = [name for name in names if name != TYPENAME]
        leaves = [name for name in names if is_leaf_type(get_named_type(of.fields[name].type))]
        below = [name for name in names if name not in leaves]
        if below and (not leaves or self.chance(2)):
            if of.name.endswith("Connection") and self.chance(2):
                return "nodes"
            return self.one_of(below)
        private = [name for name in leaves if _is_private(of.fields[name])]
        if private and self.chance(12):
            return self.one_of(private)
        return self.one_of([name for name in leaves if name not in private])

    def key(self, use: Use) -> str:
        """A key that is free for this, or stands for it already."""
        own = [] if self.chance(4) else [use.name]
        candidates = chain(own, "abcdefgh", (f"k{number}" for number in count()))
        return next(key for key in candidates if self.keys.setdefault(key, use) == use)

    def directives(self) -> str:
        if not self.chance(8):
            return ""
        chosen = self.one_of([["skip"], ["include"], ["include"], ["skip", "include"], ["include", "skip"]])
        return " ".join(f"@{name}(if: {self.condition(name)})" for name in chosen)

    def condition(self, directive: str) -> str:
        """Mostly one that lets the field in."""
        if self.chance(2):
            return literal(directive == "include") if not self.chance(3) else literal(directive == "skip")
        name = self.one_of(["c0", "c1", "c2"])
        if name not in self.variables:
            default = self.one_of([Undefined, Undefined, True, False])
            boolean = GraphQLNonNull(GraphQLBoolean)
            self.variables[name] = Variable(name, boolean, lambda: self.one_of([True, False]), default)
        return f"${name}"

    # Arguments

    def arguments(self, of: GraphQLField) -> str:
        about = get_named_type(of.type).name.removesuffix("Connection")
        if "first" in of.args and "after" in of.args:
            names = [*self.one_of([[], *(5 * [["first"]]), ["last"], ["last"]]), *self.one_of(PAGES)]
            if self.mistake(30):
                names.append(self.one_of(["first", "last", "after", "before", "orderBy"]))
        else:
            names = [name for name, each in of.args.items() if _is_required(each) or self.chance(2)]
        given = {name: self.value(of.args[name], name, about) for name in dict.fromkeys(names) if name in of.args}
        return literal(given).replace("{", "(", 1)[:-1] + ")" if given else ""

    def value(self, of: GraphQLArgument | GraphQLInputField, name: str, about: str, *, vary: bool = True) -> Any:
        """The value of an argument or of a field of an input, or a variable for it."""
        about = "Domain" if name == "domain" else about
        if vary and self.chance(4):
            is_nullable = not _is_required(of) and isinstance(of.type, GraphQLNonNull) and self.mistake(2)
            return self.variable(get_nullable_type(of.type) if is_nullable else of.type, name, about)
        return self.of_type(of.type, name, about, vary=vary)

    def variable(self, of: Any, name: str, about: str) -> Variable:
        shared = [
            each for each in self.variables.values() if each.name.startswith(f"{name}_{about}") and each.type == of
        ]
        if shared and self.chance(2):
            return self.one_of(shared)

        def value() -> Any:
            return self.of_type(of, name, about, vary=False)

        made = Variable(f"{name}_{about}_{len(self.variables)}", of, value, value() if self.chance(3) else Undefined)
        self.variables[made.name] = made
        return made

    def of_type(self, of: Any, name: str, about: str, *, vary: bool) -> Any:
        """A value of a type."""
        if not isinstance(of, GraphQLNonNull) and self.chance(20):
            return None
        of = get_nullable_type(of)
        if isinstance(of, GraphQLList):
            item = GraphQLArgument(of.of_type)
            return [self.value(item, name, about, vary=vary and name != "ids") for _ in range(self.number(0, 2))]
        if isinstance(of, GraphQLInputObjectType):
            return self.input(of, about, vary=vary)
        if isinstance(of, GraphQLEnumType):
            return Word(self.one_of(list(of.values)))
        return self.scalar(of.name, name, about)

    def scalar(self, of: str, name: str, about: str) -> Any:
        if of == "ID":
            return self.id(about)
        if name in NUMBERS:
            right, wrong = NUMBERS[name]
            return self.one_of(wrong if self.mistake(60) else right)
        if name in ("after", "before"):
            return "nonsense" if self.mistake(30) else self.one_of(self.known.cursors[about])
        return self.one_of(SCALARS[of])

    def input(self, of: GraphQLInputObjectType, about: str, *, vary: bool) -> dict[str, Any]:
        about = of.name.removesuffix("Filter") if of.name.removesuffix("Filter") in ENTITIES else about
        required = [name for name, each in of.fields.items() if _is_required(each)]
        rest = [name for name in of.fields if name not in required]
        chosen = [self.one_of(rest) for _ in range(self.number(0, min(2, len(rest))))]
        names = dict.fromkeys([*required, *chosen])
        return {name: self.value(of.fields[name], name, about, vary=vary) for name in names}

    def id(self, about: str) -> str:
        if self.mistake(20):
            return self.one_of(["nonsense", *self.known.ids["Session"]])
        if self.chance(20) and about in ENTITIES:
            return f"{self.known.ids[about][0][:-4]}ffff"
        return self.one_of(self.known.ids.get(about) or self.one_of(list(self.known.ids.values())))

    def given(self) -> dict[str, Any]:
        """The values of the variables, as somebody sends them."""
        is_right, given = self.is_right, {}
        for name, variable in self.variables.items():
            is_optional = variable.default is not Undefined or not isinstance(variable.type, GraphQLNonNull)
            if not is_optional or not self.chance(4):
                given[name] = variable.value_of()
        self.is_right = is_right
        return given


def _composite(name: str) -> Composite:
    found = core_schema.type_map[name]
    assert isinstance(found, Composite)
    return found


@cache
def _names(of: Composite, *, deep: bool) -> dict[str, Shape]:
    """The fields that may be selected: without those that lead on, if it is not to go deeper."""
    fields = {
        name: (str(each.type), frozenset(each.args))
        for name, each in of.fields.items()
        if name not in LEFT_OUT and (deep or is_leaf_type(get_named_type(each.type)))
    }
    return {**fields, TYPENAME: ("String!", frozenset())}


def _is_wrapper(name: str) -> bool:
    return name.endswith(WRAPPERS)


def _is_private(of: GraphQLField) -> bool:
    stored = definition(of)
    return isinstance(stored, Stored) and stored.private


def _is_required(of: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(of.type, GraphQLNonNull) and of.default_value is Undefined
