"""Errors as a client sees them: a closed list of codes, and nothing of our insides.

Whatever is not foreseen here is `INTERNAL`; its cause stands in the log under the error's id.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import uuid4

import structlog
from graphql import GraphQLError

from db.errors import DatabaseBusy, DatabaseUnavailable, ValueRefused
from db.storage import StorageUnavailable
from loaders.errors import BadInput
from resolvers.cursor import CursorExpired
from resolvers.permissions import Forbidden
from resolvers.provisioning.account import Parked
from resolvers.provisioning.provider import ProviderError

log = structlog.get_logger()


class Code(StrEnum):
    """What kind of error it is. The list is closed: a client can switch over it."""

    BAD_REQUEST = "BAD_REQUEST"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    PREFLIGHT_REQUIRED = "PREFLIGHT_REQUIRED"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_UNDETERMINED = "OPERATION_UNDETERMINED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RESPONSE_TOO_LARGE = "RESPONSE_TOO_LARGE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    INTERNAL = "INTERNAL"


class RequestError(Exception):
    """A request that is not executed at all, with the HTTP status that says so."""

    def __init__(self, status: int, code: Code, *messages: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(*messages)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.errors = [GraphQLError(message) for message in messages]


class DocumentError(RequestError):
    """A well-formed request for a document that cannot be executed, with the places in it that say why."""

    def __init__(self, status: int, code: Code, errors: list[GraphQLError]) -> None:
        super().__init__(status, code)
        self.errors = errors


LONGEST_MESSAGE = 500
"""Messages repeat what was sent, which may be long."""

RETRYABLE = {Code.DATABASE_UNAVAILABLE, Code.UNAVAILABLE, Code.TIMEOUT, Code.REQUEST_TIMEOUT, Code.RATE_LIMITED}

CODES: tuple[tuple[type[Exception], Code, str | None], ...] = (
    (CursorExpired, Code.CURSOR_EXPIRED, None),
    (BadInput, Code.BAD_USER_INPUT, None),
    (ValueRefused, Code.BAD_USER_INPUT, "The database cannot hold one of these values."),
    (Forbidden, Code.FORBIDDEN, None),
    (DatabaseUnavailable, Code.DATABASE_UNAVAILABLE, "The database cannot be reached just now. Try again in a moment."),
    (StorageUnavailable, Code.UNAVAILABLE, None),
    (ProviderError, Code.UNAVAILABLE, None),
    (Parked, Code.UNAVAILABLE, None),
    (DatabaseBusy, Code.TIMEOUT, "The database took too long. Ask for less at a time, or try again in a moment."),
)
"""What each exception is to a client: its code, and a message other than its own."""


def formatted(error: GraphQLError) -> dict[str, Any]:
    """An error of an operation, as the answer holds it."""
    if error.path is None and isinstance(error.original_error, GraphQLError | None):
        return _with_code(error, Code.BAD_USER_INPUT, error.message)
    cause = error.original_error or error
    for kind, code, message in CODES:
        if isinstance(cause, kind):
            return _with_code(error, code, message or str(cause))
    entry = _with_code(
        error, Code.INTERNAL, "Something went wrong on our side. It is in our log under the error id given here."
    )
    log.error("internal_error", error_id=entry["extensions"]["errorId"], path=error.path, exc_info=cause)
    return entry


def unforeseen(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the answer for what went wrong outside of any field."""
    entry = formatted(GraphQLError(str(error), original_error=error))
    return 503 if entry["extensions"]["retryable"] else 500, {"errors": [entry]}


def request_errors(error: RequestError) -> list[dict[str, Any]]:
    """What kept a request from being executed, as the answer holds it."""
    return [_with_code(each, error.code, each.message) for each in error.errors]


def _with_code(error: GraphQLError, code: Code, message: str) -> dict[str, Any]:
    shown = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."
    entry: dict[str, Any] = {**error.formatted, "message": shown}
    entry["extensions"] = {"code": code, "errorId": uuid4().hex, "retryable": code in RETRYABLE}
    return entry
