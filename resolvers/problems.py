"""Problems: why an action was not done, in words for whoever wanted it.

Problem
├── InvalidInput            a value that cannot be
├── NotFound                an id that leads to nothing, or to nothing that one may change
├── NameTaken               a name that belongs to another already
├── InUse                   something that other things need
├── InsufficientCredits     a balance that does not reach
├── CloneUnavailable        a clone that takes no sessions
├── SessionAlreadyOpen      a second session with a clone
├── WrongSessionStatus      a session that is not in the state for it
├── ReplyInProgress         a question while the one before it is being answered
├── SessionElsewhere        a session that another program keeps
├── DemoUsedUp              a free demonstration too many
├── AlreadyRated            a second rating
├── RefundTooLarge          more than the session cost
├── OperationInProgress     something else is done for the same thing
├── NeedsInput              something that only a person can say
├── IdempotencyKeyReused    one key for two different requests
└── IdempotencyInProgress   the same request, being done at this moment
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from db.errors import ConstraintViolated


class Problem(Exception):
    """Something about the input is in the way. path: where in it, from its fields on."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


class InvalidInput(Problem):
    """A value that cannot be."""


class NotFound(Problem):
    """An id of nothing, or of nothing that you may change. Nobody is told which."""

    def __init__(self, what: str, *path: str) -> None:
        super().__init__(f"There is no {what} with this id that you may use so.", *path)


class NameTaken(Problem):
    """A name that another one has already. suggestion: a name that is free."""

    def __init__(self, suggestion: str | None, *path: str) -> None:
        super().__init__("This name is taken. Choose another one.", *path)
        self.suggestion = suggestion


class InUse(Problem):
    """Something that cannot be deleted because of other things. obstacles: how many there are of each kind."""

    def __init__(self, obstacles: Mapping[str, int], *path: str) -> None:
        self.obstacles = {what: count for what, count in obstacles.items() if count}
        listed = ", ".join(f"{what}: {count}" for what, count in self.obstacles.items())
        super().__init__(f"Others need this ({listed}). It can be deleted once nothing of that is left.", *path)


class InsufficientCredits(Problem):
    """A balance that does not reach. required, available: in credits."""

    def __init__(self, required: Decimal, available: Decimal, *path: str) -> None:
        super().__init__(f"This takes {required:f} credits, and there are {available:f}. Top up, and try again.", *path)
        self.required = required
        self.available = available


class CloneUnavailable(Problem):
    """This clone takes no sessions at the moment. Choose another one."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__), "clone_id")


class SessionAlreadyOpen(Problem):
    """A second session with the same clone. session_id: the first one."""

    def __init__(self, session_id: UUID | None = None) -> None:
        super().__init__("There is an open session with this clone. Go on with it, or end it first.", "clone_id")
        self.session_id = session_id


class WrongSessionStatus(Problem):
    """A session that is not in the state for what was wanted. status: the one it is in."""

    def __init__(self, status: str, *path: str) -> None:
        super().__init__(WRONG_STATUS.get(status, f"The session is {status}."), *path)
        self.status = status


WRONG_STATUS = {
    "active": "The session is going on. End it first, or pause it.",
    "paused": "The session is paused. Resume it first.",
    "ended": "The session is over, for good. Start another one.",
}


class ReplyInProgress(Problem):
    """The answer to your last question is being written. Wait for it, and ask again then."""

    def __init__(self, reply_id: UUID) -> None:
        super().__init__(str(self.__doc__), "session_id")
        self.reply_id = reply_id


class SessionElsewhere(Problem):
    """Another program opened this session, and bills it. Go on with it there."""

    def __init__(self, *path: str) -> None:
        super().__init__(str(self.__doc__), *path)


class DemoUsedUp(Problem):
    """There are no free demonstrations left. Start a session that is paid."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__), "demo")


class AlreadyRated(Problem):
    """The session was rated already, and that stays."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__), "id")


class RefundTooLarge(Problem):
    """More than the session cost. refundable: what can be given back, in credits."""

    def __init__(self, refundable: Decimal) -> None:
        super().__init__(f"At most {refundable:f} credits of this session can be given back.", "amount")
        self.refundable = refundable


class OperationInProgress(Problem):
    """Something else is being done for this at the moment. Wait for it, or cancel it. operation_id: which."""

    def __init__(self, operation_id: UUID) -> None:
        super().__init__("Something else is being done for this at the moment. Wait for it, or cancel it.")
        self.operation_id = operation_id


class NeedsInput(Problem):
    """Something that nobody here can know. fields: what is to be said."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message, *path)
        self.fields = path[-1:]


class IdempotencyKeyReused(Problem):
    """This key was sent with another request. Make a new key for each thing that is to be done once."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__), "idempotency_key")


class IdempotencyInProgress(Problem):
    """The same request is being done at this moment. Send it again, with the same key, to learn what came of it."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__), "idempotency_key")


class Problems(Exception):
    """Several problems at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(*problems)
        self.problems = problems

    @classmethod
    def check(cls, problems: list[Problem]) -> None:
        """Raise them, if there are any."""
        if problems:
            raise cls(problems)


CONSTRAINTS: Final[Mapping[str, Problem]] = {
    "documents_name_key": NameTaken(None, "name"),
    "documents_domain_fkey": NotFound("domain", "domain_id"),
    "clones_domain_id_fkey": NotFound("domain", "domain_id"),
    "knowledge_domain_id_fkey": NotFound("domain", "domain_id"),
    "domains_domain_name_key": NameTaken(None, "name"),
    "experts_name_key": NameTaken(None, "name"),
    "message_sources_document_id_fkey": NotFound("document", "sources"),
    "idx_sessions_open": SessionAlreadyOpen(),
    "credit_entries_idempotency_key": IdempotencyKeyReused(),
    "idx_operations_open": InvalidInput("Something else is done for the same thing by now. See its operations.", "id"),
}
"""What it means that the database refuses a row, where it was not foreseen: somebody else was faster."""


def problems_in(error: Problem | Problems | ConstraintViolated) -> list[Problem]:
    """The problems that an error stands for. Raises it again when it stands for none."""
    match error:
        case Problems():
            return error.problems
        case Problem():
            return [error]
        case ConstraintViolated(constraint=str(constraint)) if constraint in CONSTRAINTS:
            return [CONSTRAINTS[constraint]]
    raise error
