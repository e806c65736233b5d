"""User errors: why a mutation did nothing, as the graph shows it."""

from enum import Enum
from typing import Any, NamedTuple

import strawberry
from strawberry.utils.str_converters import to_camel_case


class Told(NamedTuple):
    """A problem to be shown: an exception among the results of a field would be raised by graphql-core."""

    problem: Any


@strawberry.enum(description="What is in the way of a mutation.")
class UserErrorCode(Enum):
    """The codes of user errors, each that of one class of problems."""

    INVALID_INPUT = strawberry.enum_value("InvalidInput", description="A value cannot be.")
    NOT_FOUND = strawberry.enum_value("NotFound", description="There is nothing with an id that you may use so.")
    NAME_TAKEN = strawberry.enum_value("NameTaken", description="Another one has the name already.")


def _code(root: strawberry.Parent[Told]) -> UserErrorCode:
    return UserErrorCode(type(root.problem).__name__)


def _message(root: strawberry.Parent[Told]) -> str:
    return str(root.problem)


def _path(root: strawberry.Parent[Told]) -> list[str]:
    return ["input", *map(to_camel_case, root.problem.path)]


def _suggestion(root: strawberry.Parent[Told]) -> str | None:
    suggestion: str | None = root.problem.suggestion
    return suggestion


@strawberry.interface(description="Why a mutation did nothing. The message is fit to be shown to a person.")
class UserError:
    """A problem that an action raised. It is shown by the type that is called like its class."""

    code: UserErrorCode = strawberry.field(
        resolver=_code, description="What is in the way: the same for all errors of a type."
    )
    message: str = strawberry.field(resolver=_message, description="What is wrong, and what to do about it.")
    path: list[str] = strawberry.field(resolver=_path, description='Where it is wrong: `["input", "basePrice"]`.')

    @classmethod
    def resolve_type(cls, value: Told, info: Any, type_: Any) -> str:
        """The type that is called like the problem's class."""
        return type(value.problem).__name__

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:
        """Problems are no instances of the types that show them; `resolve_type` tells them apart."""
        return True


@strawberry.type(description="A value cannot be.")
class InvalidInput(UserError):
    """A value that cannot be."""


@strawberry.type(
    description="There is nothing with an id that you may use so. Whether there is one at all is not told."
)
class NotFound(UserError):
    """An id of nothing, or of nothing that the viewer may change."""


@strawberry.type(description="Another one has the name already, perhaps one that you cannot see.")
class NameTaken(UserError):
    """A name that is not free."""

    suggestion: str | None = strawberry.field(resolver=_suggestion, description="A name that was free a moment ago.")


CONCRETE = (InvalidInput, NotFound, NameTaken)
"""Types that only an interface leads to, and that the graph must be told of."""
