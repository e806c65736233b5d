"""The kinds of fields that a row has of its own: stored columns, and what is computed from them."""

from collections.abc import Callable
from typing import Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.field import StrawberryField

import db
from loaders.columns import never_readable
from loaders.relation import Attribute, Relation
from resolvers.context import Context
from resolvers.permissions import Forbidden
from schema.words import word_in

Info = strawberry.Info[Context, None]


class RowField(StrawberryField):
    """A field of a row, which says which columns it needs, and to which rows it leads."""

    columns: tuple[str, ...] = ()
    relation: Relation | None = None

    @property
    def is_basic_field(self) -> bool:
        """Never: these fields want to know who asks, and for what."""
        return False


class Stored(RowField):
    """A column of the row."""

    def __init__(self, row: type[db.Row], name: str) -> None:
        column = row.__mapper__.columns[name]
        super().__init__(python_name=name, description=column.doc)
        self.row = row
        self.columns = (name,)
        self.column = column
        self.private = bool(column.info.get("private"))
        self.words = column.type.words if isinstance(column.type, db.Vocabulary) else None

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value; an error, once for the field, where this kind of viewer never sees one."""
        if self.private and never_readable(self.row, self.python_name, info.context.viewer.kind):
            return self._refuse(info)
        value = source[self.python_name]
        return word_in(self.words, value) if self.words else value

    def _refuse(self, info: Info) -> None:
        refusals = info.context.once(("refused", *map(id, info._raw_info.field_nodes)), list[str])
        if not refusals:
            refusals.append(self.python_name)
            raise Forbidden


class Computed(RowField):
    """A field that is a function of columns."""

    def __init__(
        self, compute: Callable[..., Any], columns: tuple[str, ...], annotation: Any, description: str | None = None
    ) -> None:
        super().__init__(type_annotation=StrawberryAnnotation(annotation), description=description or compute.__doc__)
        self.compute = compute
        self.columns = columns

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function makes of the columns."""
        return self.compute(*(source[name] for name in self.columns))


def computed(compute: Callable[..., Any], *columns: Attribute | str) -> Any:
    """A field made of columns by a pure function, whose docstring is the field's description."""
    names = tuple(column if isinstance(column, str) else column.key for column in columns)
    return Computed(compute, names, compute.__annotations__["return"])
