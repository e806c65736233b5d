"""The people of the demo: whom the story is about, what is special about each, and how they behave."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from db import SessionStatus, SubscriptionTier, UserRole


@dataclass(frozen=True, slots=True)
class Habits:
    """How a person uses the marketplace."""

    visits: int = 0
    """How many sessions the person has, money permitting."""
    favourites: tuple[str, ...] = ()
    """The clones talked to most often, by their keys in clones.toml."""
    tops_up: bool = True
    """Whether the person buys new credits when they run low."""
    leaves_open: SessionStatus | None = None
    """The state of the session that is open now, if one is."""
    was_refunded: bool = False
    """Whether the person's last session was refunded."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    key: str
    name: str
    email: str
    role: UserRole
    about: str
    id: UUID
    tier: SubscriptionTier
    timezone: str
    language: str
    habits: Habits
    joined_days_ago: int = 330
    is_active: bool = True


def _id(number: int) -> UUID:
    """Ids that people recognise: they end in the number of the person."""
    return UUID(f"019a0000-0000-7000-8000-{number:012d}")


CAST: Final = (
    Person(
        "maya", "Maya Lindqvist", "maya@example.com", UserRole.CREATOR,
        "Creator with four published clones, a draft and a retired one; owns two domains with all they contain.",
        _id(1), SubscriptionTier.PRO, "Europe/Stockholm", "sv",
        Habits(visits=6, favourites=("owl", "baker")),
    ),
    Person(
        "jonas", "Jonas Okafor", "jonas@example.com", UserRole.CREATOR,
        "Pediatrician and creator; one of his clones is so new that nobody has rated it, another is a draft.",
        _id(2), SubscriptionTier.PRO, "Europe/London", "en",
        Habits(visits=4, favourites=("numbers",)),
    ),
    Person(
        "helena", "Helena Brandt", "helena@example.com", UserRole.CREATOR,
        "Runs an energy cooperative; has a clone with a legacy assistant and one that belongs to no domain.",
        _id(3), SubscriptionTier.ENTERPRISE, "Europe/Berlin", "de",
        Habits(visits=3, favourites=("privacy",)),
    ),
    Person(
        "aiko", "Aiko Tanaka", "aiko@example.com", UserRole.USER,
        "The most faithful user: many sessions of every kind, with ratings and shared transcripts.",
        _id(4), SubscriptionTier.PRO, "Asia/Tokyo", "ja",
        Habits(visits=40, favourites=("lasting", "why", "numbers", "fever")),
    ),
    Person(
        "luca", "Luca Moretti", "luca@example.com", UserRole.USER,
        "Out of credits: his last session ended when they ran out, and another one cannot start.",
        _id(5), SubscriptionTier.FREE, "Europe/Rome", "it",
        Habits(visits=16, favourites=("baker", "lasting"), tops_up=False), joined_days_ago=75,
    ),
    Person(
        "samuel", "Samuel Adeyemi", "samuel@example.com", UserRole.USER,
        "Has a company account with a large balance, and a session that is going on right now.",
        _id(6), SubscriptionTier.ENTERPRISE, "Africa/Lagos", "en",
        Habits(visits=18, favourites=("heatpump", "numbers"), leaves_open=SessionStatus.ACTIVE),
    ),
    Person(
        "grace", "Grace Kim", "grace@example.com", UserRole.ADMIN,
        "Administrator: sees every row, tops up, refunds and verifies.",
        _id(7), SubscriptionTier.ENTERPRISE, "America/New_York", "en",
        Habits(),
    ),
    Person(
        "ines", "Inês Carvalho", "ines@example.com", UserRole.CREATOR,
        "Bakes and gardens in her spare time; her two clones are the cheapest of the story.",
        _id(8), SubscriptionTier.FREE, "Europe/Lisbon", "pt",
        Habits(visits=3, favourites=("damp",)),
    ),
    Person(
        "rosa", "Rosa Delgado", "rosa@example.com", UserRole.CREATOR,
        "Sleep physician whose clones work in a domain that the platform owns.",
        _id(9), SubscriptionTier.PRO, "Europe/Madrid", "es",
        Habits(visits=2),
    ),
    Person(
        "petra", "Petra Novotná", "petra@example.com", UserRole.USER,
        "Got the credits of one session back, and has paused another one.",
        _id(10), SubscriptionTier.PRO, "Europe/Prague", "cs",
        Habits(visits=9, favourites=("fever",), leaves_open=SessionStatus.PAUSED, was_refunded=True),
    ),
    Person(
        "tariq", "Tariq Mansour", "tariq@example.com", UserRole.CREATOR,
        "A creator who has not created anything yet: every list of his is empty.",
        _id(11), SubscriptionTier.FREE, "Africa/Cairo", "ar",
        Habits(), joined_days_ago=12,
    ),
    Person(
        "noor", "Noor Haddad", "noor@example.com", UserRole.USER,
        "Signed up two days ago and has not talked to anybody.",
        _id(12), SubscriptionTier.FREE, "Asia/Amman", "ar",
        Habits(), joined_days_ago=2,
    ),
    Person(
        "viktor", "Viktor Petrov", "viktor@example.com", UserRole.USER,
        "Closed his account: he may not log in, but his sessions and payments remain.",
        _id(13), SubscriptionTier.PRO, "Europe/Sofia", "bg",
        Habits(visits=5), is_active=False,
    ),
)  # fmt: skip
"""Everybody with a name in the story."""

ACTIVE: Final = tuple(person for person in CAST if person.is_active)
"""Those who may log in; the very first is a creator with a rich graph behind her."""
