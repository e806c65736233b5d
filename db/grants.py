"""What the gateway's role in the database may do: what it needs, and no more."""

from collections.abc import Iterator, Mapping
from typing import Final

from db import (
    Assistant,
    AssistantConfig,
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
    Knowledge,
    LocalChunk,
    LocalFile,
    LocalStore,
    LocalStoreFile,
    Message,
    MessageSource,
    Operation,
    OperationStep,
    ProviderAccount,
    QaPair,
    RemoteObject,
    Reply,
    ServiceToken,
    Session,
    StoreFile,
    User,
    VectorStore,
)
from db.migrate import OPTIONS

WRITES: Final[Mapping[type[Base], str]] = {
    Assistant: "INSERT, UPDATE, DELETE",
    AssistantConfig: "INSERT, UPDATE",
    Clone: "INSERT, UPDATE",
    CloneExpert: "INSERT, DELETE",
    CreatorEntry: "INSERT",
    CreditEntry: "INSERT",
    Document: "INSERT, UPDATE, DELETE",
    Domain: "INSERT, UPDATE, DELETE",
    Event: "DELETE",
    Expert: "INSERT, UPDATE, DELETE",
    IdempotencyKey: "INSERT, DELETE",
    Knowledge: "INSERT, UPDATE, DELETE",
    LocalChunk: "INSERT",
    LocalFile: "INSERT, DELETE",
    LocalStore: "INSERT, DELETE",
    LocalStoreFile: "INSERT, DELETE",
    Message: "INSERT",
    MessageSource: "INSERT",
    Operation: "INSERT, UPDATE",
    OperationStep: "INSERT, UPDATE",
    ProviderAccount: "INSERT, UPDATE",
    QaPair: "INSERT, UPDATE, DELETE",
    RemoteObject: "INSERT, UPDATE",
    Reply: "INSERT, UPDATE",
    ServiceToken: "UPDATE",
    Session: "INSERT, UPDATE",
    StoreFile: "INSERT, UPDATE, DELETE",
    User: "UPDATE",
    VectorStore: "INSERT, UPDATE, DELETE",
}
"""What `serve` and its worker do beside reading.

Migrations, and the commands that bring tokens and documents, need the owner.
"""


def grants(role: str) -> Iterator[str]:
    """The statements that give a role its rights, for a role that was made with LOGIN and nothing else."""
    name = '"' + role.replace('"', '""') + '"'
    tables = ", ".join([*sorted(Base.metadata.tables), OPTIONS["version_table"]])
    yield f"GRANT SELECT ON {tables} TO {name};"
    for model, rights in WRITES.items():
        yield f"GRANT {rights} ON {model.__tablename__} TO {name};"
