"""Figures by day, as the graph shows them."""

from datetime import date, datetime
from decimal import Decimal

import db
from schema.edge import edge
from schema.entity import entity
from schema.node import Node
from schema.scalars import BigInt


@entity(db.CreatorAnalytics)
class CreatorAnalytics(Node):
    """One clone's day, as its creator's figures."""

    day: date
    total_sessions: int
    total_minutes: Decimal
    total_messages: int
    unique_users: int
    total_revenue: Decimal
    average_rating: Decimal | None
    new_ratings: int
    created_at: datetime
    updated_at: datetime

    creator = edge(db.CreatorAnalytics.creator_id, db.User.id, "The creator.")
    clone = edge(db.CreatorAnalytics.clone_id, db.Clone.id, "The clone.")


@entity(db.MemoryUsage)
class MemoryUsage(Node):
    """How much a clone remembered on a day, and how well that served."""

    day: date
    items: int
    tokens: BigInt
    size_bytes: BigInt
    hits: int
    misses: int
    average_retrieval_ms: float | None
    created_at: datetime

    clone = edge(db.MemoryUsage.clone_id, db.Clone.id, "The clone.")
