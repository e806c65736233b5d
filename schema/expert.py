"""Experts, as the graph shows them."""

import db
from schema.edge import edge, edges
from schema.entity import entity
from schema.node import Node


@entity(db.Expert)
class Expert(Node):
    """A voice inside a domain, which clones and assistants speak with."""

    name: str
    context: str | None

    domain = edge(db.Expert.domain_name, db.Domain.name, "The expert's domain.")
    owner = edge(db.Expert.owner_id, db.User.id, "Who owns the expert; null when it is the platform's.")
    assistants = edges(db.Assistant.expert_name, "The assistants that answer for the expert.", key=db.Expert.name)
    vector_stores = edges(db.VectorStore.expert_name, "The expert's own vector stores.", key=db.Expert.name)
    documents = edges(db.Document.domain_name, "The documents that the expert can draw on.", key=db.Expert.domain_name)
    clones = edges(
        db.Clone.id,
        "The clones that the expert stands behind.",
        key=db.Expert.name,
        link=(db.CloneExpert.expert_name, db.CloneExpert.clone_id),
    )
