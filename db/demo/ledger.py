"""Accounts: a person's credits, entry by entry, so that the sums are right because they were added up."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

import db
from db import CreditEntryKind
from db.demo.batch import Batch
from db.demo.cast import Person
from db.demo.chance import stable_id

CENT_OF_A_CENT = Decimal("0.0001")


def rounded(amount: Decimal) -> Decimal:
    """An amount as we compute it: half to even, to four places."""
    return amount.quantize(CENT_OF_A_CENT, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of the balance."""

    at: datetime
    kind: CreditEntryKind
    amount: Decimal
    balance_after: Decimal
    spent_after: Decimal
    session_id: UUID | None
    message_id: UUID | None


class Account:
    """A person's balance. Entries come in the order of their times."""

    def __init__(self, person: Person, at: datetime, kind: CreditEntryKind, amount: Decimal) -> None:
        self.person = person
        self.balance = Decimal(0)
        self.spent = Decimal(0)
        self.entries: list[Entry] = []
        self.move(at, kind, amount)

    @property
    def last_entry_at(self) -> datetime:
        """When the balance last moved."""
        return self.entries[-1].at

    def move(
        self,
        at: datetime,
        kind: CreditEntryKind,
        amount: Decimal,
        session_id: UUID | None = None,
        message_id: UUID | None = None,
    ) -> None:
        """Add an amount to the balance. What belongs to a session counts as spent; a refund takes it back."""
        self.balance += amount
        if session_id:
            self.spent -= amount
        if self.balance < 0 or (self.entries and at <= self.last_entry_at):
            message = f"{self.person.key} cannot move {amount} at {at}."
            raise ValueError(message)
        self.entries.append(Entry(at, kind, amount, self.balance, self.spent, session_id, message_id))

    def add_to(self, batch: Batch) -> None:
        """Add the entries' rows."""
        for number, entry in enumerate(self.entries):
            name = self.person.key, number
            batch.add(
                db.CreditEntry,
                id=stable_id(entry.at, "entry", *name),
                user_id=self.person.id,
                amount=entry.amount,
                kind=entry.kind,
                session_id=entry.session_id,
                message_id=entry.message_id,
                balance_after=entry.balance_after,
                spent_after=entry.spent_after,
                idempotency_key=None if entry.kind is CreditEntryKind.OPENING else stable_id(entry.at, "key", *name),
                created_at=entry.at,
            )
