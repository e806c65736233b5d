"""Knowledge, as the graph shows it."""

from datetime import datetime

import db
from schema.edge import edge
from schema.entity import entity
from schema.node import Node
from schema.scalars import JSON, BigInt


@entity(db.Knowledge)
class Knowledge(Node):
    """A file, text or link that a clone knows. Its title and preview are public when the clone is."""

    title: str
    content_preview: str | None
    content_type: str | None
    description: str | None
    tags: list[str] | None
    file_name: str | None
    file_size_bytes: BigInt | None
    file_type: str | None
    file_url: str | None
    details: JSON | None
    original_url: str | None
    openai_file_id: str | None
    included_in_default: bool | None
    processing_status: db.ProcessingStatus | None
    created_at: datetime
    updated_at: datetime

    clone = edge(db.Knowledge.clone_id, db.Clone.id, "The clone that knows it.")
    domain = edge(db.Knowledge.domain_id, db.Domain.id, "The domain that it belongs to.")
    vector_store = edge(db.Knowledge.vector_store_id, db.VectorStore.vector_id, "The vector store that holds it.")
