"""Assembly: from the sources of objects and the loaded values of their fields to the objects, in generated code.

An assembly is told the fields of an object one by one, and then writes a function for all objects of that kind: no
field costs a call. The docstring of `gateway.engine` shows one. Connections are objects, whose sources are pages.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from graphql import GraphQLLeafType, GraphQLList, GraphQLNonNull, GraphQLOutputType, is_leaf_type

import db
from gateway.engine.leaves import NEVER, converter, define, leaf_of

Assemble = Callable[..., list[dict[str, Any]]]
"""`assemble(sources, field_0s, field_1s, ...)`: the objects; field_ns: the values of a loaded field, by source."""


class ObjectText:
    """The text of an object, field by field."""

    def __init__(self) -> None:
        self._entries: list[str] = []

    def add(self, key: str, expression: str) -> None:
        """A field, and the expression that is its value."""
        self._entries.append(f"{key!r}: {expression}")

    def constant(self, key: str, text: str) -> None:
        """A field that is the same everywhere."""
        self.add(key, repr(text))

    def __str__(self) -> str:
        """The text."""
        return f"{{{', '.join(self._entries)}}}"


class Assembly(ObjectText):
    """The text of a function, while it comes into being. prefix: what the names of the source's items begin with."""

    def __init__(self, prefix: str = "", within: "Assembly | None" = None) -> None:
        super().__init__()
        self.prefix = prefix
        self._names: dict[str, Any] = within._names if within else {}
        self._numbers: Iterator[int] = within._numbers if within else count()
        self._lines: list[str] = []
        self._anomalies: list[str] = []
        self._loaded: list[str] = within._loaded if within else []

    def along(self, name: str) -> "Assembly":
        """The assembly of the objects that come along in the same sources, under this name."""
        return Assembly(f"{self.prefix}{name}.", self)

    def loaded(self, key: str) -> None:
        """A field whose completed values come with the sources."""
        name = f"field_{len(self._loaded)}"
        self._loaded.append(name)
        self.add(key, name)

    def joined(self, key: str, along: "Assembly") -> None:
        """A field with an object that comes along, where there is one."""
        name = f"object_{next(self._numbers)}"
        self._lines += [
            f"{name} = None",
            f"if {along._item('_key')} is not None:",
            *(f"    {line}" for line in along._checked()),
            f"    {name} = {along}",
        ]
        self.add(key, name)

    def item(self, key: str, column: str, of: GraphQLOutputType, words: type[db.Words] | None = None) -> None:
        """A leaf that is an item of the source."""
        self._leaf(key, self._item(column), of, words)

    def attribute(self, key: str, name: str, of: GraphQLOutputType) -> None:
        """A leaf that is an attribute of the source."""
        self._leaf(key, f"source.{name}", of)

    def computed(self, key: str, function: Callable[..., Any], columns: Sequence[str], of: GraphQLOutputType) -> None:
        """A leaf that a function makes of items of the source."""
        self._leaf(key, f"{self._name('function', function)}({', '.join(map(self._item, columns))})", of)

    def function(self) -> Assemble:
        """The function."""
        one, all_ = ", ".join(["source", *self._loaded]), ", ".join(["sources", *(f"{name}s" for name in self._loaded)])
        text = "\n".join(
            [
                f"def assemble({all_}):",
                "    objects = []",
                f"    for {one} in {f'zip({all_}, strict=True)' if self._loaded else all_}:",
                *(f"        {line}" for line in self._checked()),
                f"        objects.append({self})",
                "    return objects",
            ]
        )
        assemble: Assemble = define(text, "assemble", self._names)
        return assemble

    def _checked(self) -> list[str]:
        """The lines that read the leaves of one source, and see whether anything is wrong with them."""
        if not self._anomalies:
            return self._lines
        return [*self._lines, f"if {' or '.join(self._anomalies)}:", "    raise Anomaly"]

    def _item(self, column: str) -> str:
        return f"source[{self.prefix + column!r}]"

    def _leaf(self, key: str, value: str, of: GraphQLOutputType, words: type[db.Words] | None = None) -> None:
        name = f"leaf_{next(self._numbers)}"
        self._lines.append(f"{name} = {value}")
        nullable = of.of_type if isinstance(of, GraphQLNonNull) else of
        if isinstance(nullable, GraphQLList):
            self.add(key, f"{self._name('convert', converter(of, words))}({name})")
            return
        assert is_leaf_type(nullable)
        self._scalar(key, name, nullable, is_required=nullable is not of, words=words)

    def _scalar(
        self, key: str, name: str, of: GraphQLLeafType, *, is_required: bool, words: type[db.Words] | None
    ) -> None:
        leaf = leaf_of(of, words)
        anomaly, becomes = leaf.over(name, {each: self._name(each, value) for each, value in leaf.names.items()})
        if is_required:
            self._anomalies.append(f"{name} is None" if anomaly == NEVER else anomaly)
        elif anomaly != NEVER:
            self._anomalies.append(f"{name} is not None and ({anomaly})")
        self.add(key, becomes if is_required or becomes == name else f"None if {name} is None else {becomes}")

    def _name(self, stem: str, value: Any) -> str:
        """A name for something that the function refers to."""
        for name, known in self._names.items():
            if known is value:
                return name
        name = f"{stem}_{len(self._names)}"
        self._names[name] = value
        return name


class EdgeText(ObjectText):
    """The text of an edge of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.selections: list[int] = []

    def cursor(self, key: str) -> None:
        """The field `cursor`."""
        self.add(key, "page.cursor(row)")

    def node(self, key: str, selection: int) -> None:
        """The field `node`, as this one of the selections has it."""
        self.selections.append(selection)
        self.add(key, f"node_{selection}")


class ConnectionAssembly(ObjectText):
    """The text of a function from pages to connections: `assemble(pages, node_0s, node_1s, ..., value_0s, ...)`.

    node_ns: for each selection of rows, the objects of those of all pages. value_ns: the values of a field, by page.
    """

    def __init__(self) -> None:
        super().__init__()
        self._values = 0

    def nodes(self, key: str, selection: int) -> None:
        """The field `nodes`."""
        self.add(key, _of_page(selection))

    def edges(self, key: str, edge: EdgeText) -> None:
        """The field `edges`."""
        names = ["row", *(f"node_{each}" for each in edge.selections)]
        rows = ["page.nodes", *map(_of_page, edge.selections)]
        self.add(key, f"[{edge} for ({', '.join(names)},) in zip({', '.join(rows)}, strict=True)]")

    def loaded(self, key: str) -> None:
        """A field whose values come with the pages."""
        self.add(key, f"value_{self._values}")
        self._values += 1

    def function(self, selections: int) -> Assemble:
        """The function. selections: how many there are."""
        nodes = "".join(f"node_{number}s, " for number in range(selections))
        values = "".join(f"value_{number}, " for number in range(self._values))
        all_values = values.replace(",", "s,")
        text = f"""
def assemble(pages, {nodes}{all_values}):
    connections, end = [], 0
    for page, {values}in zip(pages, {all_values}strict=True):
        start, end = end, end + len(page.nodes)
        connections.append({self})
    return connections
"""
        assemble: Assemble = define(text, "assemble", {})
        return assemble


def _of_page(selection: int) -> str:
    return f"node_{selection}s[start:end]"
