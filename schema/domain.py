"""Domains, as the graph shows them."""

import db
from schema.edge import edge, edges
from schema.entity import entity
from schema.health import Health
from schema.node import Node


@entity(db.Domain)
class Domain(Node):
    """A field of knowledge, with the experts, documents and clones that belong to it."""

    name: str

    health = Health()

    owner = edge(db.Domain.owner_id, db.User.id, "Who owns the domain; null when it is the platform's.")
    clones = edges(db.Clone.domain_id, "The clones that work in the domain.")
    experts = edges(db.Expert.domain_name, "The experts of the domain.", key=db.Domain.name)
    documents = edges(db.Document.domain_name, "The documents of the domain.", key=db.Domain.name)
    vector_stores = edges(db.VectorStore.domain_name, "The vector stores of the domain.", key=db.Domain.name)
    assistants = edges(
        db.Assistant.expert_name,
        "The assistants of the domain's experts.",
        key=db.Domain.name,
        link=(db.Expert.domain_name, db.Expert.name),
    )
    knowledge = edges(db.Knowledge.domain_id, "What creators gave their clones to know in the domain.")
