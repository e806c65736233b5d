"""User errors: why a mutation did nothing, as the graph shows it."""

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import strawberry
from strawberry.utils.str_converters import to_camel_case

import db
from schema import ids
from schema.words import word_in


class Told(NamedTuple):
    """A problem to be shown: an exception among the results of a field would be raised by graphql-core."""

    problem: Any


@strawberry.enum(description="What is in the way of a mutation.")
class UserErrorCode(Enum):
    """The codes of user errors, each that of one class of problems."""

    INVALID_INPUT = strawberry.enum_value("InvalidInput", description="A value cannot be.")
    NOT_FOUND = strawberry.enum_value("NotFound", description="There is nothing with an id that you may use so.")
    NAME_TAKEN = strawberry.enum_value("NameTaken", description="Another one has the name already.")
    IN_USE = strawberry.enum_value("InUse", description="Other things need it.")
    INSUFFICIENT_CREDITS = strawberry.enum_value("InsufficientCredits", description="The balance does not reach.")
    CLONE_UNAVAILABLE = strawberry.enum_value("CloneUnavailable", description="The clone takes no sessions.")
    SESSION_ALREADY_OPEN = strawberry.enum_value(
        "SessionAlreadyOpen", description="There is an open session with the clone."
    )
    WRONG_SESSION_STATUS = strawberry.enum_value(
        "WrongSessionStatus", description="The session is not in the state for it."
    )
    REPLY_IN_PROGRESS = strawberry.enum_value(
        "ReplyInProgress", description="The question before this one is being answered."
    )
    SESSION_ELSEWHERE = strawberry.enum_value("SessionElsewhere", description="Another program keeps the session.")
    DEMO_USED_UP = strawberry.enum_value("DemoUsedUp", description="There are no free demonstrations left.")
    ALREADY_RATED = strawberry.enum_value("AlreadyRated", description="The session was rated before.")
    REFUND_TOO_LARGE = strawberry.enum_value("RefundTooLarge", description="The session did not cost that much.")
    OPERATION_IN_PROGRESS = strawberry.enum_value(
        "OperationInProgress", description="Something else is being done for the same thing."
    )
    NEEDS_INPUT = strawberry.enum_value("NeedsInput", description="Something is to be said that nobody here can know.")
    IDEMPOTENCY_KEY_REUSED = strawberry.enum_value(
        "IdempotencyKeyReused", description="The key was sent with another request."
    )
    IDEMPOTENCY_IN_PROGRESS = strawberry.enum_value(
        "IdempotencyInProgress", description="The same request is being done at this moment."
    )


def _code(root: strawberry.Parent[Told]) -> UserErrorCode:
    return UserErrorCode(type(root.problem).__name__)


def _message(root: strawberry.Parent[Told]) -> str:
    return str(root.problem)


def _path(root: strawberry.Parent[Told]) -> list[str]:
    return ["input", *map(to_camel_case, root.problem.path)]


def _of_problem(name: str, description: str, shown: Callable[[Any], Any] = lambda value: value) -> Any:
    """A field that shows an attribute of the problem, by what `shown` makes of it."""

    def resolve(root: strawberry.Parent[Told]) -> Any:
        return shown(getattr(root.problem, name))

    return strawberry.field(resolver=resolve, description=description)


def _session_id(key: UUID | None) -> strawberry.ID | None:
    return strawberry.ID(ids.global_id(db.Session, key)) if key else None


def _reply_id(key: UUID) -> strawberry.ID:
    return strawberry.ID(ids.global_id(db.Reply, key))


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

    suggestion: str | None = _of_problem("suggestion", "A name that was free a moment ago.")


@strawberry.type(description="Things of one kind that are in the way of a deletion.")
class Obstacle:
    """Things that are in the way."""

    what: str = strawberry.field(description="What they are: `clones of others`.")
    count: int = strawberry.field(description="How many there are.")


def _obstacles(found: dict[str, int]) -> list[Obstacle]:
    return [Obstacle(what=what, count=count) for what, count in found.items()]


@strawberry.type(description="Others need it, so it cannot be deleted.")
class InUse(UserError):
    """Something that other things need."""

    obstacles: list[Obstacle] = _of_problem("obstacles", "What is in the way.", _obstacles)


@strawberry.type(description="The balance does not reach.")
class InsufficientCredits(UserError):
    """A balance that does not reach."""

    required: Decimal = _of_problem("required", "What it takes, in credits.")
    available: Decimal = _of_problem("available", "What there is, in credits.")


@strawberry.type(description="The clone takes no sessions at the moment.")
class CloneUnavailable(UserError):
    """A clone that takes no sessions."""


@strawberry.type(description="There is an open session with the clone already, and one at a time is enough.")
class SessionAlreadyOpen(UserError):
    """A second session with a clone."""

    session_id: strawberry.ID | None = _of_problem("session_id", "The open one.", _session_id)


@strawberry.type(description="The session is not in the state for it: paused, going on, or over.")
class WrongSessionStatus(UserError):
    """A session that is not in the state for what was wanted."""

    status: db.SessionStatus = _of_problem("status", "The state it is in.", partial(word_in, db.SessionStatus))


@strawberry.type(description="The question before this one is being answered, and one at a time is.")
class ReplyInProgress(UserError):
    """A question while the one before it is being answered."""

    reply_id: strawberry.ID = _of_problem("reply_id", "The answer that is being written.", _reply_id)


@strawberry.type(description="Another program opened the session, and bills it.")
class SessionElsewhere(UserError):
    """A session that another program keeps."""


@strawberry.type(description="There are no free demonstrations left.")
class DemoUsedUp(UserError):
    """A free demonstration too many."""


@strawberry.type(description="The session was rated before, and that stays.")
class AlreadyRated(UserError):
    """A second rating."""


@strawberry.type(description="The session did not cost that much.")
class RefundTooLarge(UserError):
    """More than a session cost."""

    refundable: Decimal = _of_problem("refundable", "What can be given back, in credits.")


@strawberry.type(description="Something else is being done for the same thing. Wait for it, or cancel it.")
class OperationInProgress(UserError):
    """An operation that is in the way."""

    operation_id: strawberry.ID = _of_problem(
        "operation_id", "What is being done.", lambda key: strawberry.ID(ids.global_id(db.Operation, key))
    )


@strawberry.type(description="Something is to be said that nobody here can know.")
class NeedsInput(UserError):
    """Something that only a person can say."""

    fields: list[str] = _of_problem(
        "fields", "What is to be said: fields of the input.", lambda names: [to_camel_case(name) for name in names]
    )


@strawberry.type(description="The key was sent with another request. Each thing to be done once has a key of its own.")
class IdempotencyKeyReused(UserError):
    """One key for two different requests."""


@strawberry.type(description="The same request is being done at this moment. Send it again to learn what came of it.")
class IdempotencyInProgress(UserError):
    """The same request, being done at this moment."""


CONCRETE = (
    InvalidInput,
    NotFound,
    NameTaken,
    InUse,
    InsufficientCredits,
    CloneUnavailable,
    SessionAlreadyOpen,
    WrongSessionStatus,
    ReplyInProgress,
    SessionElsewhere,
    DemoUsedUp,
    AlreadyRated,
    RefundTooLarge,
    OperationInProgress,
    NeedsInput,
    IdempotencyKeyReused,
    IdempotencyInProgress,
)
"""Types that only an interface leads to, and that the graph must be told of."""
