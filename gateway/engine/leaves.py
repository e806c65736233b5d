"""Leaves: how a value without fields is checked and completed, as text for a generated function.

Each leaf is two expressions over a value: whether something is wrong with it, and what it becomes. What is right here
becomes what graphql-core makes of it; whatever could need more thought is an anomaly, and left to graphql-core.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.type import GraphQLBoolean

import db
from schema.words import word_in


class Anomaly(Exception):
    """Something that only graphql-core knows the right answer to: an error, or a value that it converts."""


NEVER = "False"
"""The anomaly of what can be anything but null."""


@dataclass(frozen=True)
class Leaf:
    """Two expressions over the value `{0}`. names: what else they refer to, as `{name}`."""

    anomaly: str
    becomes: str = "{0}"
    names: dict[str, Any] = field(default_factory=dict)

    def over(self, value: str, names: Mapping[str, str]) -> tuple[str, str]:
        """Both expressions, with the value and what they refer to under these names."""
        return self.anomaly.format(value, **names), self.becomes.format(value, **names)


TEXT = Leaf("not isinstance({0}, str)")
LEAVES: dict[str, Leaf] = {
    GraphQLString.name: TEXT,
    GraphQLID.name: TEXT,
    GraphQLInt.name: Leaf("{0}.__class__ is not int or not -2147483648 <= {0} <= 2147483647"),
    GraphQLFloat.name: Leaf("{0}.__class__ is not float or {0} - {0} != 0"),
    GraphQLBoolean.name: Leaf("{0} is not True and {0} is not False"),
    "BigInt": Leaf("{0}.__class__ is not int"),
    "Date": Leaf("{0}.__class__ is not {date}", names={"date": date}),
    "DateTime": Leaf(
        "{0}.__class__ is not {datetime} or {0}.tzinfo is not {UTC}", names={"datetime": datetime, "UTC": UTC}
    ),
    "Decimal": Leaf("{0}.__class__ is not {Decimal}", 'format({0}, "f")', {"Decimal": Decimal}),
    "UUID": Leaf("not isinstance({0}, {UUID})", "str({0})", {"UUID": UUID}),
    "JSON": Leaf(NEVER),
}
"""The leaves whose expressions are shorter than the function that graphql-core calls, by the names of their types."""


def leaf_of(leaf_type: GraphQLLeafType, words: type[db.Words] | None = None) -> Leaf:
    """The leaf of a type. words: the vocabulary, if the value is one of its words as the database has it."""
    if words is not None and isinstance(leaf_type, GraphQLEnumType):
        return Leaf(NEVER, "({words}.get({0}) or {unknown}({0}))", _spelling(words, leaf_type))
    known = LEAVES.get(leaf_type.name)
    if known is not None:
        return known
    assert isinstance(leaf_type, GraphQLScalarType | GraphQLEnumType)
    return Leaf(NEVER, "{serialize}({0})", {"serialize": _serializer(leaf_type)})


def _spelling(words: type[db.Words], enum: GraphQLEnumType) -> dict[str, Any]:
    return {
        "words": {str(word): enum.serialize(word) for word in words},
        "unknown": lambda text: enum.serialize(word_in(words, text)),
    }


def _serializer(leaf_type: GraphQLScalarType | GraphQLEnumType) -> Callable[[Any], Any]:
    def serialize(value: Any) -> Any:
        serialized = leaf_type.serialize(value)
        if serialized is None:
            raise Anomaly
        return serialized

    return serialize


def converter(of: GraphQLOutputType, words: type[db.Words] | None = None) -> Callable[[Any], Any]:
    """A function that completes a value of a leaf's type, or of a list of leaves. It raises Anomaly."""
    if isinstance(of, GraphQLNonNull):
        inner = converter(of.of_type, words)

        def required(value: Any) -> Any:
            if value is None:
                raise Anomaly
            return inner(value)

        return required
    if isinstance(of, GraphQLList):
        item = converter(of.of_type, words)

        def listed(value: Any) -> Any:
            if value is None:
                return None
            if not isinstance(value, list):
                raise Anomaly
            return [item(each) for each in value]

        return listed
    leaf = leaf_of(of, words)  # type: ignore[arg-type]
    anomaly, becomes = leaf.over("value", {name: name for name in leaf.names})
    text = f"""
def convert(value):
    if value is None:
        return None
    if {anomaly}:
        raise Anomaly
    return {becomes}
"""
    convert: Callable[[Any], Any] = define(text, "convert", leaf.names)
    return convert


def define(text: str, name: str, names: dict[str, Any]) -> Any:
    """The function of this name that a text defines. names: what it refers to."""
    scope = {"Anomaly": Anomaly, **names}
    exec(compile(text, f"<generated {name}>", "exec"), scope)  # noqa: S102 (the text is made of the schema alone)
    return scope[name]
