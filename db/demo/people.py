"""People: the cast, a crowd behind it, and how they get into the database."""

import unicodedata
from datetime import datetime

import db
from db.demo.batch import Batch
from db.demo.cast import CAST, Habits, Person
from db.demo.chance import dice, stable_id
from db.demo.clock import DAY, MINUTE, NOW
from db.demo.content import names, slugged
from db.demo.ledger import Account
from db.demo.scale import Scale

EVERY_SIXTH = 6
"""One person of the crowd in so many is a creator."""

TIERS = {db.SubscriptionTier.FREE: 60, db.SubscriptionTier.PRO: 32, db.SubscriptionTier.ENTERPRISE: 8}
"""What people of the crowd subscribe to, and how many in a hundred."""

OPEN = {db.SessionStatus.ACTIVE: 2, db.SessionStatus.PAUSED: 1}
"""The state of a session that somebody of the crowd is having now."""


def people(scale: Scale) -> tuple[Person, ...]:
    """Everybody: the cast first."""
    return CAST + tuple(stranger(scale, number) for number in range(scale.size.people - len(CAST)))


def stranger(scale: Scale, number: int) -> Person:
    """Somebody from the crowd."""
    key = f"{scale}-{number}"
    chance = dice("person", key)
    is_creator = number % EVERY_SIXTH == 0
    given, family = chance.choice(names().given), chance.choice(names().family)
    timezone, language = chance.choice(names().homes)
    tier = chance.weighed(TIERS)
    days_ago = chance.randint(310, 360) if is_creator else chance.randint(4, 360)
    return Person(
        key=key,
        name=f"{given} {family}",
        email=f"{_ascii(given)}.{_ascii(family)}.{number}@example.com",
        role=db.UserRole.CREATOR if is_creator else db.UserRole.USER,
        about="Somebody from the crowd.",
        id=stable_id(NOW - days_ago * DAY, "person", key),
        tier=tier,
        timezone=timezone,
        language=language,
        habits=Habits(
            visits=min(60, round(chance.expovariate(1 / scale.size.visits))),
            tops_up=tier is db.SubscriptionTier.ENTERPRISE or chance.maybe(0.8),
            leaves_open=chance.weighed(OPEN) if chance.maybe(0.04) else None,
        ),
        joined_days_ago=days_ago,
        is_active=chance.maybe(0.97),
    )


def joined(person: Person) -> datetime:
    """When a person signed up."""
    return NOW - person.joined_days_ago * DAY - dice("joined", person.key).randrange(600) * MINUTE


def add_person(batch: Batch, account: Account) -> None:
    """Add the row of an account's person, with the balance that all entries led to."""
    person = account.person
    chance = dice("profile", person.key)
    since = joined(person)
    batch.add(
        db.User,
        id=person.id,
        email=person.email,
        full_name=person.name,
        avatar_url=f"storage://clones/avatars/{person.key}.webp" if chance.maybe(0.6) else None,
        role=person.role,
        subscription_tier=person.tier,
        credits_remaining=account.balance,
        total_spent=account.spent,
        preferences={"theme": chance.choice(("light", "dark")), "newsletter": chance.maybe(0.3)},
        timezone=person.timezone,
        language=person.language,
        last_login=account.last_entry_at if account.spent else since if chance.maybe(0.8) else None,
        is_active=person.is_active,
        is_verified=chance.maybe(0.9),
        created_at=since,
        updated_at=account.last_entry_at,
    )


def _ascii(name: str) -> str:
    """A name as it stands in an e-mail address."""
    return slugged(unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode())
