"""Actions: the fields of mutations. What is written for one is a function that acts; the rest follows from it.

From `update_clone` come the field's name, its arguments, its description, the type `UpdateClonePayload`, and that a
problem which the function raises becomes a user error.

`@action(db.Clone)` gives the clone. With `operation=True` the payload has what goes on at the AI provider beside it,
and with `deletes=True` also `deletedId`, since the row may be gone. What is done at the provider and nowhere else is an
`@action(db.Operation)`.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import cleandoc
from typing import Any, Optional
from uuid import UUID

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry.utils.str_converters import capitalize_first, to_camel_case

import db
from db.errors import ConstraintViolated
from loaders.relation import Relation, by_id
from resolvers.done import Done
from resolvers.problems import Problem, Problems, problems_in
from schema import ids
from schema.edge import ToOne
from schema.field import Computed, RowField
from schema.user_error import Told, UserError

Act = Callable[..., Awaitable[UUID | Done]]
"""Does something for its first argument, `info`, and gives the key of the row that it did it to, or more than that."""


class Action(RowField):
    """The field of a mutation."""

    def __init__(self, act: Act, fields: Mapping[str, RowField]) -> None:
        super().__init__(
            base_resolver=StrawberryResolver(act),
            type_annotation=StrawberryAnnotation(Optional[_payload(act, fields)]),
            description=cleandoc(act.__doc__ or ""),
        )

    async def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What came of it: the row's key, or the problems. It is done once, however often its answer is made."""
        act = super().get_result
        return await info.context.done_once(info.path.key, lambda: self._act(act(source, info, args, kwargs), info))

    async def _act(self, acting: Awaitable[UUID | Done], info: Any) -> dict[str, Any]:
        try:
            done = await acting
        except (Problem, Problems, ConstraintViolated) as error:
            return {"id": None, "operation_id": None, "problems": [Told(each) for each in problems_in(error)]}
        info.context.changed()
        key, operation_id = done if isinstance(done, Done) else Done(done)
        return {"id": key, "operation_id": operation_id, "problems": []}


def action(
    row: type[db.Row], *, operation: bool = False, deletes: bool = False, **edges: RowField
) -> Callable[[Act], Any]:
    """Make a function a mutation of rows of this class.

    operation: whether something at the AI provider can come of it. deletes: whether the row can be gone after it.
    edges: where else its payload leads to, from the row's id.
    """
    gone = ", and if it is gone" if deletes else ""
    fields: dict[str, RowField] = {ids.prefix(row): ToOne(by_id(row), f"As it is now; null if nothing was done{gone}.")}
    if deletes:
        fields["deleted_id"] = Computed(partial(_deleted_id, row), ("id",), strawberry.ID | None, DELETED)
    if operation:
        fields["operation"] = ToOne(OPERATION, "What is done at the AI provider because of it; null if nothing is.")
    return lambda act: Action(act, {**fields, **edges})


OPERATION = Relation("operation_id", db.Operation.id, many=False)
DELETED = "The id of what is gone, or goes once the AI provider has let go of it; null if nothing was done."


def _payload(act: Act, own: Mapping[str, RowField]) -> type:
    """The type of what an action gives."""
    name = f"{capitalize_first(to_camel_case(act.__name__))}Payload"
    fields = {**own, "user_errors": Computed(_user_errors, ("problems",), list[UserError])}
    made = type(name, (), {"__module__": __name__, **fields})
    setattr(sys.modules[__name__], name, made)
    payload: type = strawberry.type(made, description=f"What came of `{to_camel_case(act.__name__)}`.")
    return payload


def _deleted_id(row: type[db.Row], key: UUID | None) -> strawberry.ID | None:
    return strawberry.ID(ids.global_id(row, key)) if key else None


def _user_errors(problems: list[Told]) -> list[Told]:
    """Why nothing was done; empty if it was."""
    return problems
