"""Users, as the graph shows them."""

from datetime import datetime
from decimal import Decimal

import db
from schema.edge import edges
from schema.entity import entity
from schema.node import Node
from schema.scalars import JSON


@entity(db.User)
class User(Node):
    """A person. Strangers see the name and picture of creators; everything else is the person's own."""

    full_name: str
    avatar_url: str | None
    email: str | None
    role: db.UserRole | None
    subscription_tier: db.SubscriptionTier | None
    credits_remaining: Decimal | None
    total_spent: Decimal | None
    preferences: JSON | None
    timezone: str | None
    language: str | None
    last_login: datetime | None
    is_active: bool | None
    is_verified: bool | None
    created_at: datetime
    updated_at: datetime

    clones = edges(db.Clone.creator_id, "The clones that this person created.")
    sessions = edges(db.Session.user_id, "The sessions that this person paid for.")
    credit_entries = edges(db.CreditEntry.user_id, "The movements of this person's balance, the newest first.")
    creator_entries = edges(db.CreatorEntry.creator_id, "What this creator's clones earned, the newest first.")
    creator_analytics = edges(db.CreatorAnalytics.creator_id, "This creator's days, one row for each clone and day.")
    owned_domains = edges(db.Domain.owner_id, "The domains that this person owns.")
    owned_experts = edges(db.Expert.owner_id, "The experts that this person owns.")
    owned_documents = edges(db.Document.owner_id, "The documents that this person owns.")
    owned_vector_stores = edges(db.VectorStore.owner_id, "The vector stores that this person owns.")
    operations = edges(db.Operation.requested_by, "What this person asked of the AI provider, the newest first.")
    owned_assistants = edges(db.Assistant.owner_id, "The assistants that this person owns.")
