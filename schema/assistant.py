"""Assistants, as the graph shows them."""

from datetime import datetime

import db
from resolvers.assistant import is_legacy
from schema.edge import edge, edges
from schema.entity import entity
from schema.field import computed
from schema.node import Node


@entity(db.Assistant)
class Assistant(Node):
    """What answers for an expert."""

    assistant_id: str
    memory_type: db.MemoryType
    client_name: str | None
    created_at: datetime | None
    updated_at: datetime | None

    is_legacy = computed(is_legacy, db.Assistant.assistant_id)

    expert = edge(db.Assistant.expert_name, db.Expert.name, "The expert that it answers for.")
    domain = edge(
        db.Assistant.expert_name,
        db.Domain.name,
        "The domain of its expert.",
        link=(db.Expert.name, db.Expert.domain_name),
    )
    vector_store = edge(db.Assistant.vector_id, db.VectorStore.vector_id, "The vector store that it searches.")
    owner = edge(db.Assistant.owner_id, db.User.id, "Who owns the assistant; null when it is the platform's.")
    config = edge(db.Assistant.config_id, db.AssistantConfig.id, "The configuration in force.")
    configs = edges(db.AssistantConfig.assistant_id, "All versions of the configuration, the newest first.")
    operations = edges(db.Operation.assistant_id, "What was done at the provider for the assistant.")
    clones = edges(db.Clone.rag_assistant_id, "The clones that it answers for.", key=db.Assistant.assistant_id)


@entity(db.AssistantConfig)
class AssistantConfig(Node):
    """One version of how an assistant is configured. A version never changes."""

    version: int
    model: str
    instructions: str
    vector_store_ids: list[str]
    temperature: float | None
    max_output_tokens: int | None
    created_at: datetime

    assistant = edge(db.AssistantConfig.assistant_id, db.Assistant.id, "The assistant.")
