"""Actions: the fields of mutations. What is written for one is a function that acts; the rest follows from it.

From `update_clone` come the field's name, its arguments, its description, the type `UpdateClonePayload`, and that a
problem which the function raises becomes a user error.
"""

import sys
from collections.abc import Awaitable, Callable
from inspect import cleandoc
from typing import Any, Optional
from uuid import UUID

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry.utils.str_converters import capitalize_first, to_camel_case

import db
from db.errors import ConstraintViolated
from loaders.relation import by_id
from resolvers.problems import Problem, Problems, problems_in
from schema import ids
from schema.edge import ToOne
from schema.field import Computed, RowField
from schema.user_error import Told, UserError

Act = Callable[..., Awaitable[UUID]]
"""Does something for its first argument, `info`, and gives the key of the row that it did it to."""


class Action(RowField):
    """The field of a mutation."""

    def __init__(self, act: Act, row: type[db.Row]) -> None:
        super().__init__(
            base_resolver=StrawberryResolver(act),
            type_annotation=StrawberryAnnotation(Optional[_payload(act, row)]),
            description=cleandoc(act.__doc__ or ""),
        )

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What came of it: the row's key, or the problems."""
        try:
            key = await super().get_result(source, info, args, kwargs)
        except (Problem, Problems, ConstraintViolated) as error:
            return {"id": None, "problems": [Told(each) for each in problems_in(error)]}
        info.context.changed()
        return {"id": key, "problems": []}


def action(row: type[db.Row]) -> Callable[[Act], Any]:
    """Make a function a mutation of rows of this class."""
    return lambda act: Action(act, row)


def _payload(act: Act, row: type[db.Row]) -> type:
    """The type of what an action gives."""
    name = f"{capitalize_first(to_camel_case(act.__name__))}Payload"
    fields = {
        ids.prefix(row): ToOne(by_id(row), "As it is now; null if nothing was done."),
        "user_errors": Computed(_user_errors, ("problems",), list[UserError]),
    }
    made = type(name, (), {"__module__": __name__, **fields})
    setattr(sys.modules[__name__], name, made)
    payload: type = strawberry.type(made, description=f"What came of `{to_camel_case(act.__name__)}`.")
    return payload


def _user_errors(problems: list[Told]) -> list[Told]:
    """Why nothing was done; empty if it was."""
    return problems
