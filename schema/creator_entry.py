"""What clones earned, as the graph shows it."""

from datetime import datetime
from decimal import Decimal

import db
from schema.edge import edge
from schema.entity import entity
from schema.node import Node


@entity(db.CreatorEntry)
class CreatorEntry(Node):
    """One change of what a clone has earned. Entries are never changed."""

    amount: Decimal
    kind: db.CreatorEntryKind
    earned_after: Decimal
    created_at: datetime

    creator = edge(db.CreatorEntry.creator_id, db.User.id, "Who earned it.")
    clone = edge(db.CreatorEntry.clone_id, db.Clone.id, "The clone that earned it.")
    session = edge(db.CreatorEntry.session_id, db.Session.id, "The session it was earned in.")
    credit_entry = edge(db.CreatorEntry.credit_entry_id, db.CreditEntry.id, "The entry by which it was paid.")
