"""What can go wrong between us and PostgreSQL, in words of our own.

DatabaseError
├── DatabaseUnavailable   nobody answers: down, starting, or gone in mid-sentence
├── DatabaseBusy          it answers, but not in time
├── ValueRefused          a value that no column of this type can hold
└── ConstraintViolated    a row that another row, or a rule, stands in the way of
"""

import asyncpg

LOST_CONNECTION = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InternalClientError,  # it has read that the server ends, and not yet that the connection has ended
)
"""What asyncpg raises when the connection, and not the statement, is at fault."""


class DatabaseError(Exception):
    """The database could not do it."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached. Check DATABASE_URL, and that the server runs."""


class DatabaseBusy(DatabaseError):
    """The database did not answer in time."""


class ValueRefused(DatabaseError):
    """The database cannot hold this value."""


class ConstraintViolated(DatabaseError):
    """The database refuses a row. constraint: why, by a name that is no client's business."""

    def __init__(self, constraint: str | None) -> None:
        super().__init__(f"violates {constraint}")
        self.constraint = constraint
