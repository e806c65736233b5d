"""Plans: what an operation needs, level by level. A plan is made once for an operation and run for each request.

An object's plan first loads the fields that lead to other rows, all objects of a level with one batch for each field,
and each of those fields completes the objects below it the same way. Then the level's own objects are assembled.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from itertools import islice
from typing import Any

from graphql import FieldNode, GraphQLField, GraphQLObjectType

from gateway.engine.assembly import Assemble
from gateway.engine.leaves import Anomaly
from gateway.engine.run import Run
from loaders.relation import Columns, by_id
from schema.edge import ById, Keyed

Arguments = Callable[[Run], dict[str, Any]]
"""The coerced arguments of a field, by their names in Python."""


class Loading(ABC):
    """A field that is more than a leaf of its source."""

    @abstractmethod
    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """Its completed value for each of the sources. Raises Anomaly, and whatever can go wrong."""


@dataclass
class ObjectPlan:
    """The objects of one type at one place of an operation."""

    loading: list[Loading]
    assemble: Assemble

    async def complete(self, run: Run, sources: Sequence[Any]) -> Sequence[dict[str, Any]]:
        """The object of each source."""
        if not sources:
            return []
        fields = await run.together([each.load(run, sources) for each in self.loading])
        return self.assemble(sources, *fields)

    async def complete_in_turn(self, run: Run, sources: Sequence[Any]) -> Sequence[dict[str, Any]]:
        """The same, one field after the other, as the fields of a mutation have to be."""
        return self.assemble(sources, *[await each.load(run, sources) for each in self.loading])


@dataclass
class KeyedField(Loading):
    """A field that is loaded by a key, as an edge to one row is. required: whether null is an anomaly."""

    required: bool
    edge: Keyed
    columns: Columns
    plan: ObjectPlan

    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """The objects: each row's is made once, however many sources lead to it."""
        (key_column,) = self.edge.columns
        keys = [source[key_column] for source in sources]
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        found = await self.edge.loader(run.context.loaders, self.columns).load_map(wanted)
        rows = {key: row for key in wanted if (row := found[key]) is not None}
        objects = dict(zip(rows, await self.plan.complete(run, list(rows.values())), strict=True))
        if self.required and len(objects) < len(set(keys)):
            raise Anomaly
        return [objects.get(key) for key in keys]


@dataclass
class ByIdField(Loading):
    """The root field that fetches one row."""

    edge: ById
    arguments: Arguments
    columns: Columns
    plan: ObjectPlan

    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """The object, or null where there is none that the viewer may see."""
        key = self.edge.key(run.context, self.arguments(run))
        if key is None:
            return [None]
        found = await run.context.loaders.one(by_id(self.edge.row), self.columns).load_map([key])
        row = found[key]
        return [None] if row is None else await self.plan.complete(run, [row])


class Value(ABC):
    """What a resolver gives, to be completed. required: whether null is an anomaly."""

    required: bool

    async def complete(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The completed values."""
        there = [value for value in values if value is not None]
        if len(there) == len(values):
            return await self.complete_all(run, there)
        if self.required:
            raise Anomaly
        completed = iter(await self.complete_all(run, there))
        return [None if value is None else next(completed) for value in values]

    @abstractmethod
    async def complete_all(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The completed values, none of which is null."""


@dataclass
class LeafValue(Value):
    """A leaf."""

    required: bool
    convert: Callable[[Any], Any]

    async def complete_all(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The values as they travel."""
        return [self.convert(value) for value in values]


@dataclass
class ListValue(Value):
    """A list, whose items are completed together with those of all other lists at this place."""

    required: bool
    item: Value

    async def complete_all(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The lists."""
        if not all(isinstance(value, list) for value in values):
            raise Anomaly
        items = iter(await self.item.complete(run, [item for value in values for item in value]))
        return [list(islice(items, len(value))) for value in values]


@dataclass
class ObjectValue(Value):
    """An object."""

    required: bool
    plan: ObjectPlan

    async def complete_all(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The objects."""
        return await self.plan.complete(run, values)


@dataclass
class AbstractValue(Value):
    """An object of an interface. The plan of a type is made when the first object of it turns up."""

    required: bool
    type_of: Callable[[Any], str]
    plan_of: Callable[[str], ObjectPlan]
    plans: dict[str, ObjectPlan] = field(default_factory=dict)

    async def complete_all(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        """The objects, completed type by type."""
        by_type: dict[str, list[Any]] = {}
        types = [self.type_of(value) for value in values]
        for name, value in zip(types, values, strict=True):
            by_type.setdefault(name, []).append(value)
        objects = await run.together([self._plan(name).complete(run, rows) for name, rows in by_type.items()])
        completed: Mapping[str, Any] = {name: iter(each) for name, each in zip(by_type, objects, strict=True)}
        return [next(completed[name]) for name in types]

    def _plan(self, name: str) -> ObjectPlan:
        if name not in self.plans:
            self.plans[name] = self.plan_of(name)
        return self.plans[name]


@dataclass
class ResolvedField(Loading):
    """A field with a resolver of its own, which is called for each source."""

    parent: GraphQLObjectType
    definition: GraphQLField
    nodes: list[FieldNode]
    key: str
    arguments: Arguments
    value: Value

    async def load(self, run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        """What the resolver gives, completed."""
        resolve, info = self.definition.resolve, run.info(self.parent, self.definition, self.nodes, self.key)
        assert resolve
        results = [resolve(source, info, **self.arguments(run)) for source in sources]
        waiting: list[Awaitable[Any]] = [each for each in results if isawaitable(each)]
        if waiting:
            came = iter(await run.together(waiting))
            results = [next(came) if isawaitable(each) else each for each in results]
        return await self.value.complete(run, results)
