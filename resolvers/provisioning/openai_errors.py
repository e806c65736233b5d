"""What OpenAI's API says when something is wrong, as the port's errors, in words for a creator."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, Final

from resolvers.provisioning.provider import (
    Gone,
    KeyRefused,
    ProviderAway,
    ProviderError,
    ProviderRefused,
    QuotaExceeded,
    RateLimited,
)

UNPAID: Final = frozenset(
    {
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "insufficient_quota",
        "billing_not_active",
        "billing_hard_limit_reached",
    }
)
"""Codes, or types, of errors that last until somebody pays or raises a limit."""

FAILED_THERE: Final = frozenset({"server_error", "vector_store_timeout", "service_unavailable_error"})
"""Codes of a response that failed through no fault of the request."""

AWAY: Final = "The AI provider does not answer. Try again later."
STRANGE: Final = "The AI provider answered with something that cannot be read. Try again later."
UNFINISHED: Final = "The AI provider stopped in the middle of the answer. Ask again."
NO_CREDIT: Final = (
    "The account at the AI provider has no credit or allowance left. "
    "An operator has to add credit there, or to raise the limit."
)
NOT_THERE: Final = "It is not at the AI provider any more. Try again, and it is made anew."
NO_SUCH_MODEL: Final = "The AI provider has no such model. Choose another one for the assistant."

LONGEST_MESSAGE: Final = 300
SECRET: Final = re.compile(r"\b(sk|sess)-[\w*-]+")

MEMBER_ERRORS: Final[Mapping[str, str]] = {
    "unsupported_file": "The AI provider cannot read files of this kind. "
    "Upload it as PDF, DOCX, Markdown, HTML or plain text.",
    "invalid_file": "The file is broken, empty or locked. Open it, save it again, and upload the new one.",
    "server_error": "The AI provider failed while it was reading the file. Try again.",
}
UNREAD: Final = "The AI provider could not read the file. Try again, or upload it as plain text."


def refusal(status: int, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The error of an answer. body: what was in it, or what it had as `error`."""
    said = body if isinstance(body, Mapping) else {}
    code, message = said.get("code"), said.get("message") or said.get("detail")
    wait = retry_after(headers)
    error: ProviderError
    match status:
        case _ if status == HTTPStatus.PAYMENT_REQUIRED or {code, said.get("type")} & UNPAID:
            error = QuotaExceeded(NO_CREDIT)
        case HTTPStatus.TOO_MANY_REQUESTS:
            error = _limited(wait)
        case HTTPStatus.UNAUTHORIZED:
            error = KeyRefused("The AI provider does not accept the key. An operator has to set a valid one.")
        case HTTPStatus.FORBIDDEN:
            error = KeyRefused("The key may not do this at the AI provider. An operator has to allow it there.")
        case HTTPStatus.NOT_FOUND if code == "model_not_found":
            error = ProviderRefused(NO_SUCH_MODEL)
        case HTTPStatus.NOT_FOUND:
            error = Gone(f"{NOT_THERE} {_quoted(message)}".strip())
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.CONFLICT:
            error = _away(status, wait)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            error = _away(status, wait)
        case _:
            error = _refused(message)
    return error


def failure(code: str | None, message: str | None) -> ProviderError:
    """The error of an answer that failed while it was written."""
    if code in UNPAID:
        return QuotaExceeded(NO_CREDIT)
    if code and code.isdecimal():  # Gateways to other servers tell a status here.
        return refusal(int(code), {"message": message}, {})
    if code == "rate_limit_exceeded":
        return _limited(None)
    if code is None or code in FAILED_THERE:
        return ProviderAway(UNFINISHED)
    return _refused(message)


def member_error(code: str | None) -> str:
    """Why a file in a store could not be read, and what to do."""
    return MEMBER_ERRORS.get(code or "", UNREAD)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """For how many seconds the provider wishes to be left alone, by its headers."""
    value = headers.get("retry-after")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _away(status: int, wait: float | None) -> ProviderAway:
    return ProviderAway(f"Something is wrong at the AI provider (status {status}). Try again later.", wait)


def _limited(wait: float | None) -> RateLimited:
    when = "in a minute" if wait is None else f"in {wait:.0f} seconds"
    return RateLimited(f"The AI provider wants to be asked less often. Try again {when}.", wait)


def _refused(message: Any) -> ProviderRefused:
    return ProviderRefused(f"The AI provider refuses this. {_quoted(message)}".strip())


def _quoted(message: Any) -> str:
    """What the provider says, short and without keys."""
    if not isinstance(message, str) or not message.strip():
        return ""
    plain = SECRET.sub("(key)", " ".join(message.split()))
    return f"It says: {plain[:LONGEST_MESSAGE]}{'…' if len(plain) > LONGEST_MESSAGE else ''}"
