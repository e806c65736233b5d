"""Problems: why an action was not done, in words for whoever wanted it.

Problem
├── InvalidInput   a value that cannot be
├── NotFound       an id that leads to nothing, or to nothing that one may change
└── NameTaken      a name that belongs to another already
"""

from collections.abc import Mapping
from typing import Final

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
