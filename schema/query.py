"""The root of the graph: where queries begin."""

from asyncio import gather
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from graphql import GraphQLObjectType

import db
from loaders.columns import TYPENAME
from loaders.errors import BadInput
from schema.edge import many, one, viewing
from schema.field import Info
from schema.health import DomainHealth, domain_health
from schema.ids import parse
from schema.node import Node
from schema.provisioning import ProviderDifference, provider_drift
from schema.search import knowledge_search
from schema.selection import selected_columns

MOST_NODES = 100

Id = Annotated[strawberry.ID, strawberry.argument(description="The id, as `id` gives it.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description=f"The ids, {MOST_NODES} at most.")]


async def _node(info: Info, id: Id) -> Any:  # noqa: A002 (the name of the argument in the graph)
    return await _fetch(info, *parse(id))


async def _nodes(info: Info, ids: Ids) -> Any:
    if len(ids) > MOST_NODES:
        raise BadInput(f"Ask for {MOST_NODES} nodes at a time; these were {len(ids)}.")
    wanted = [parse(each) for each in ids]
    return await gather(*(_fetch(info, row, key) for row, key in wanted))


async def _fetch(info: Info, row: type[db.Row], key: UUID) -> Any:
    """The row, with the columns that are selected for its type, if the viewer may see it."""
    raw = info._raw_info
    columns = selected_columns(raw, raw.field_nodes, cast("GraphQLObjectType", raw.schema.get_type(row.__name__)))
    return await info.context.loaders.get(row, key, (*columns, TYPENAME))


@strawberry.type(description="Where queries begin.")
class Query:
    """Where queries begin."""

    viewer = viewing("Who you are; null without a token.")
    node: Node | None = strawberry.field(
        resolver=_node, description="Anything, by its id; null where there is nothing that you can see."
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=_nodes, description="Many things, by their ids, in the order of the ids."
    )

    domain_health: list[DomainHealth] = strawberry.field(
        resolver=domain_health, description="What each domain has, by the domain's name."
    )

    search_knowledge = knowledge_search
    provider_drift: list[ProviderDifference] = strawberry.field(
        resolver=provider_drift,
        description="What is at the AI provider and not in the database, and the other way round. For admins.",
    )

    user = one(db.User, "A person.")
    clone = one(db.Clone, "A clone.")
    domain = one(db.Domain, "A domain.")
    expert = one(db.Expert, "An expert.")
    document = one(db.Document, "A document.")
    vector_store = one(db.VectorStore, "A vector store.")
    assistant = one(db.Assistant, "An assistant.")
    knowledge = one(db.Knowledge, "A piece of knowledge.")
    session = one(db.Session, "A session.")
    message = one(db.Message, "A message.")
    credit_entry = one(db.CreditEntry, "A movement of a balance.")
    creator_entry = one(db.CreatorEntry, "A change of what a clone has earned.")
    qa_pair = one(db.QaPair, "A question-and-answer pair.")
    creator_analytics_day = one(db.CreatorAnalytics, "A clone's day, as its creator's figures.")
    memory_usage_day = one(db.MemoryUsage, "What a clone remembered on a day.")
    store_file = one(db.StoreFile, "A file in a vector store.")
    assistant_config = one(db.AssistantConfig, "A version of an assistant's configuration.")
    operation = one(db.Operation, "Something that is done at the AI provider.")
    operation_step = one(db.OperationStep, "A step of an operation.")
    reply = one(db.Reply, "A clone's answer while it is being written.")
    message_source = one(db.MessageSource, "A passage that an answer was drawn from.")

    users = many(db.User, "The people you can see.")
    clones = many(db.Clone, "The clones you can see.")
    domains = many(db.Domain, "All domains.")
    experts = many(db.Expert, "All experts.")
    documents = many(db.Document, "The documents you can see.")
    vector_stores = many(db.VectorStore, "The vector stores you can see.")
    assistants = many(db.Assistant, "The assistants you can see.")
    knowledge_items = many(db.Knowledge, "The knowledge you can see.")
    sessions = many(db.Session, "The sessions you can see, the latest first.")
    messages = many(db.Message, "The messages you can see, in the order they were written.")
    credit_entries = many(db.CreditEntry, "The movements of balances you can see, the newest first.")
    creator_entries = many(db.CreatorEntry, "What clones of yours earned, the newest first.")
    qa_pairs = many(db.QaPair, "The question-and-answer pairs you can see.")
    creator_analytics = many(db.CreatorAnalytics, "The days of creators you can see, the latest first.")
    store_files = many(db.StoreFile, "The files in vector stores you can see.")
    assistant_configs = many(db.AssistantConfig, "The versions of assistants' configurations you can see.")
    operations = many(db.Operation, "What is done at the AI provider that you can see, the newest first.")
    operation_steps = many(db.OperationStep, "The steps of operations you can see.")
    replies = many(db.Reply, "Answers of clones you can see, in the order they were asked for.")
    message_sources = many(db.MessageSource, "The passages of answers you can see.")
    memory_usage = many(db.MemoryUsage, "What clones remembered, day by day, the latest first.")
