"""What the gateway's role in the database may do: what it needs, and no more."""

from collections.abc import Iterator, Mapping
from typing import Final

from db import (
    Base,
    Clone,
    CloneExpert,
    CreatorEntry,
    CreditEntry,
    Document,
    Domain,
    Event,
    Expert,
    IdempotencyKey,
    Message,
    MessageSource,
    ServiceToken,
    Session,
    User,
)
from db.migrate import OPTIONS

WRITES: Final[Mapping[type[Base], str]] = {
    Clone: "INSERT, UPDATE",
    CloneExpert: "INSERT, DELETE",
    CreatorEntry: "INSERT",
    CreditEntry: "INSERT",
    Document: "INSERT",
    Domain: "INSERT, UPDATE",
    Event: "DELETE",
    Expert: "INSERT, UPDATE",
    IdempotencyKey: "INSERT, DELETE",
    Message: "INSERT",
    MessageSource: "INSERT",
    ServiceToken: "UPDATE",
    Session: "INSERT, UPDATE",
    User: "UPDATE",
}
"""What `serve` does beside reading. Migrations, and the commands that bring tokens and documents, need the owner."""


def grants(role: str) -> Iterator[str]:
    """The statements that give a role its rights, for a role that was made with LOGIN and nothing else."""
    name = '"' + role.replace('"', '""') + '"'
    tables = ", ".join([*sorted(Base.metadata.tables), OPTIONS["version_table"]])
    yield f"GRANT SELECT ON {tables} TO {name};"
    for model, rights in WRITES.items():
        yield f"GRANT {rights} ON {model.__tablename__} TO {name};"
