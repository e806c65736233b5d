"""Provisioning, as the graph shows it: what is done at the AI provider, and how it and the database differ."""

from typing import Annotated
from uuid import UUID

import strawberry

import db
from resolvers.provisioning import requests
from resolvers.provisioning.owner import Subject
from schema.action import action
from schema.field import Info
from schema.ids import key_of

DOCUMENTS = "Exactly these documents are to be in the store. If null, it keeps what it has; a new one gets the default."
MODEL = "The provider's model; the operator's choice, or what it was, if null."


@strawberry.input(description="A client of a domain.")
class ClientInput:
    """A client of a domain."""

    domain_id: strawberry.ID = strawberry.field(description="The domain.")
    name: str = strawberry.field(description="The client, as its documents have it.")


@strawberry.input(one_of=True, description="Whose vector store it is.")
class StoreOwnerInput:
    """The owner of a vector store."""

    domain: strawberry.ID | None = strawberry.field(
        description="A domain's, with its default documents.", default=strawberry.UNSET
    )
    expert: strawberry.ID | None = strawberry.field(description="An expert's.", default=strawberry.UNSET)
    client: ClientInput | None = strawberry.field(description="A client's.", default=strawberry.UNSET)
    clone: strawberry.ID | None = strawberry.field(
        description="A clone's, with what it knows.", default=strawberry.UNSET
    )

    def subject(self) -> tuple[Subject, list[str]]:
        """What operations are for it, and where it is in the input."""
        if self.domain is not strawberry.UNSET:
            return Subject("domain", key_of(db.Domain, self.domain or "")), ["owner", "domain"]
        if self.expert is not strawberry.UNSET:
            return Subject("expert", key_of(db.Expert, self.expert or "")), ["owner", "expert"]
        if self.clone is not strawberry.UNSET:
            return Subject("clone", key_of(db.Clone, self.clone or "")), ["owner", "clone"]
        assert self.client
        return Subject("client", key_of(db.Domain, self.client.domain_id), self.client.name.strip()), [
            "owner",
            "client",
        ]


@strawberry.input(description="A vector store to be made, or filled.")
class ProvisionVectorStoreInput:
    """A vector store to be."""

    owner: StoreOwnerInput = strawberry.field(description="Whose it is.")
    document_ids: list[strawberry.ID] | None = strawberry.field(description=DOCUMENTS, default=None)


@action(db.Operation)
async def provision_vector_store(
    info: Info,
    input: Annotated[ProvisionVectorStoreInput, strawberry.argument(description="What to make.")],  # noqa: A002
) -> UUID:
    """Make a vector store at the AI provider, or bring one to what it should hold. The operation says how far it is."""
    subject, path = input.owner.subject()
    return await requests.provision_store(info.context, subject, path, _documents(input.document_ids))


@strawberry.input(description="An assistant to be made for an expert.")
class ProvisionAssistantInput:
    """An assistant to be."""

    expert_id: strawberry.ID = strawberry.field(description="The expert that it answers for.")
    document_ids: list[strawberry.ID] | None = strawberry.field(description=DOCUMENTS, default=None)
    model: str | None = strawberry.field(description=MODEL, default=None)
    temperature: float | None = strawberry.field(description="How freely it may word, from 0 to 2.", default=None)
    max_output_tokens: int | None = strawberry.field(description="The longest answer, in tokens.", default=None)


@action(db.Operation)
async def provision_assistant(
    info: Info,
    input: Annotated[ProvisionAssistantInput, strawberry.argument(description="What to make.")],  # noqa: A002
) -> UUID:
    """Make an expert's vector store and assistant, or bring them to what they should be."""
    settings = {
        "model": input.model,
        "temperature": input.temperature,
        "max_output_tokens": input.max_output_tokens,
    }
    key = key_of(db.Expert, input.expert_id)
    return await requests.provision_assistant(info.context, key, _documents(input.document_ids), settings)


@strawberry.input(description="A clone that is to be able to answer.")
class ProvisionCloneInput:
    """A clone to be provisioned."""

    clone_id: strawberry.ID = strawberry.field(description="The clone. It needs a domain, and an expert.")
    document_ids: list[strawberry.ID] | None = strawberry.field(
        description="Documents that it is to know beside its own knowledge. If null, those that it has.", default=None
    )
    model: str | None = strawberry.field(description=MODEL, default=None)


@action(db.Operation)
async def provision_clone(
    info: Info,
    input: Annotated[ProvisionCloneInput, strawberry.argument(description="Which clone.")],  # noqa: A002
) -> UUID:
    """Make all that a clone needs to answer: its files, its vector store, its assistant."""
    key = key_of(db.Clone, input.clone_id)
    return await requests.provision_clone(info.context, key, _documents(input.document_ids), input.model)


@strawberry.input(description="A vector store that there is.")
class VectorStoreOfInput:
    """A vector store, by its owner."""

    owner: StoreOwnerInput = strawberry.field(description="Whose it is.")


@action(db.Operation)
async def sync_knowledge(
    info: Info,
    input: Annotated[VectorStoreOfInput, strawberry.argument(description="Which vector store.")],  # noqa: A002
) -> UUID:
    """Bring a vector store to what it should hold. What has changed is found as before until it is read anew."""
    subject, path = input.owner.subject()
    return await requests.sync(info.context, subject, path)


@action(db.Operation)
async def deprovision_vector_store(
    info: Info,
    input: Annotated[VectorStoreOfInput, strawberry.argument(description="Which vector store.")],  # noqa: A002
) -> UUID:
    """Delete a vector store at the AI provider, with its assistant, and the files that no other one holds."""
    subject, path = input.owner.subject()
    return await requests.deprovision(info.context, subject, path)


@strawberry.input(description="An operation.")
class OperationInput:
    """An operation."""

    id: strawberry.ID = strawberry.field(description="The operation.")


@action(db.Operation)
async def cancel_operation(
    info: Info,
    input: Annotated[OperationInput, strawberry.argument(description="Which operation.")],  # noqa: A002
) -> UUID:
    """Give an operation up. What was made by then stays, and can be gone on with or removed."""
    return await requests.cancel(info.context, key_of(db.Operation, input.id))


@action(db.Operation)
async def retry_operation(
    info: Info,
    input: Annotated[OperationInput, strawberry.argument(description="Which operation.")],  # noqa: A002
) -> UUID:
    """Try an operation again that failed, in part or as a whole, or that was given up."""
    return await requests.retry(info.context, key_of(db.Operation, input.id))


@strawberry.input(description="An assistant from the provider's retired Assistants API.")
class MigrateAssistantInput:
    """An assistant to be migrated."""

    id: strawberry.ID = strawberry.field(description="The assistant.")
    model: str | None = strawberry.field(description="The model that it is to use.", default=None)
    instructions: str | None = strawberry.field(
        description="What it is told before every answer: by default what its clone, or else its expert, is.",
        default=None,
    )
    temperature: float | None = strawberry.field(description="How freely it may word, from 0 to 2.", default=None)
    max_output_tokens: int | None = strawberry.field(description="The longest answer, in tokens.", default=None)


@action(db.Assistant)
async def migrate_assistant(
    info: Info,
    input: Annotated[MigrateAssistantInput, strawberry.argument(description="Which assistant.")],  # noqa: A002
) -> UUID:
    """Put an assistant in the place of a retired one: same expert, same vector store, and its clones go with it."""
    given = {
        name: value
        for name in ("model", "instructions", "temperature", "max_output_tokens")
        if (value := getattr(input, name)) is not None
    }
    return await requests.migrate_assistant(info.context, key_of(db.Assistant, input.id), given)


@strawberry.type(description="Something in which the AI provider and the database differ.")
class ProviderDifference:
    """Something in which the provider and the database differ."""

    is_orphan: bool = strawberry.field(
        description="Whether only the provider has it, under this gateway's name; else only the database has."
    )
    kind: str = strawberry.field(description="What it is: `file` or `store`.")
    remote_id: str = strawberry.field(description="Its id at the provider.")
    name: str = strawberry.field(description="What it is called there.")
    subject: str | None = strawberry.field(description="What it was made for, if that is known.")


async def provider_drift(info: Info) -> list[ProviderDifference]:
    """What is at the AI provider and not in the database, and the other way round. For admins."""
    differences = await info.context.done_once(info.path.key, lambda: requests.drift(info.context))
    return [ProviderDifference(**each._asdict()) for each in differences]


@action(db.Operation)
async def repair_drift(info: Info) -> UUID:
    """Delete at the AI provider what `providerDrift` shows as orphans, and make anew what is missing. For admins."""
    return await requests.repair(info.context)


def _documents(ids: list[strawberry.ID] | None) -> list[UUID] | None:
    return None if ids is None else [key_of(db.Document, id_) for id_ in ids]
