"""The marketplace: the clones of the cast, and a crowd of others that lean on the same experts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from db import MemoryType, UserRole
from db.demo.cast import Person
from db.demo.chance import Dice, dice, stable_id
from db.demo.clock import CLOSED, DAY, HOUR, LATELY, VISITS_BEGIN
from db.demo.content import CloneText, Subject, names, story_clones
from db.demo.library import Domain, Expert
from db.demo.scale import Scale

PRICES = tuple(map(Decimal, ("0.25", "0.50", "0.50", "0.75", "1.00", "1.00", "1.20", "1.50", "2.00")))
"""What clones of the crowd cost a minute. Many cost the same."""

STATES = {"published": 79, "new": 6, "draft": 10, "inactive": 5}
ASSISTANTS = {"own": 65, "revised": 15, "legacy": 10, "none": 10}

NEUTRAL = 3
"""Who gives more stars was content, who gives fewer was not."""

STARS = ((0, 1, 4, 30, 65), (1, 3, 10, 40, 46), (3, 6, 20, 40, 31), (5, 10, 20, 35, 30))


@dataclass(frozen=True, slots=True, eq=False)
class Clone:
    """A clone, with everything it refers to."""

    id: UUID
    text: CloneText
    creator: Person
    subject: Subject
    domain: Domain | None
    experts: tuple[Expert, ...]
    created_at: datetime
    published_at: datetime | None
    stars: tuple[int, ...]
    """How likely people are to give it 1, 2, 3, 4 and 5 stars."""

    @property
    def is_active(self) -> bool:
        """Whether it takes sessions today."""
        return self.text.state != "inactive"

    @property
    def has_store(self) -> bool:
        """Whether it was provisioned: it then has an assistant and a store of its own."""
        return self.text.assistant != "none"

    def is_open(self, at: datetime) -> bool:
        """Whether it took sessions then."""
        return self.published_at is not None and self.published_at < at and (self.is_active or at < CLOSED)


def market(scale: Scale, crowd: Sequence[Person], domains: Sequence[Domain]) -> tuple[Clone, ...]:
    """Every clone, those of the cast first."""
    creators = {person.key: person for person in crowd if person.role is UserRole.CREATOR}
    story = {domain.subject.slug: domain for domain in reversed(domains)}
    told = [_clone(text, creators[text.creator], story[text.subject]) for text in story_clones()]
    strangers = [person for person in creators.values() if person.key.startswith(scale)]
    others = []
    for number in range(scale.size.clones - len(told)):
        chance = dice("place", scale, number)
        creator, domain = chance.choice(strangers), chance.choice(domains)
        others.append(_clone(_text(f"{scale}-{number}", creator, domain.subject), creator, domain))
    return (*told, *others)


def _clone(text: CloneText, creator: Person, domain: Domain) -> Clone:
    chance = dice("clone", text.key)
    created_at, published_at = _times(text.state, chance)
    return Clone(
        id=stable_id(created_at, "clone", text.key),
        text=text,
        creator=creator,
        subject=domain.subject,
        domain=domain if text.filed else None,
        experts=tuple(domain.expert(name) for name in text.experts),
        created_at=created_at,
        published_at=published_at,
        stars=chance.choice(STARS),
    )


def _times(state: str, chance: Dice) -> tuple[datetime, datetime | None]:
    """When a clone was created, and when it was published."""
    ready = chance.randint(2, 15) * DAY + chance.randrange(9) * HOUR
    if state == "draft":
        return LATELY - chance.randint(0, 60) * DAY, None
    if state == "new":
        published_at = LATELY + chance.randrange(10) * DAY
        return published_at - ready, published_at
    created_at = VISITS_BEGIN - chance.randint(20, 110) * DAY + chance.randrange(12) * HOUR
    return created_at, created_at + ready


def _text(key: str, creator: Person, subject: Subject) -> CloneText:
    """What a creator of the crowd says about a clone: mostly what its first expert would say."""
    chance = dice("text", key)
    experts = chance.sample(subject.experts, chance.choice((1, 1, 2)))
    name = f"{chance.choice(names().given)}, {experts[0].guide}"
    filed = chance.maybe(0.96)
    state = chance.weighed(STATES)
    return CloneText(
        key=key,
        creator=creator.key,
        subject=subject.slug,
        experts=tuple(expert.name for expert in experts),
        name=name,
        category=subject.category,
        bio=experts[0].bio,
        areas=tuple(chance.sample(subject.topics, 3)),
        price=chance.choice(PRICES),
        state=state,
        assistant=chance.weighed(ASSISTANTS) if filed and state != "draft" else "none",
        memory=chance.choice((MemoryType.EXPERT, MemoryType.EXPERT, MemoryType.DOMAIN, MemoryType.CLIENT)),
        temperature=chance.choice((0.2, 0.3, 0.5, 0.7, 0.9)),
        max_tokens=chance.choice((500, 800, 1024)),
        prompt=f"You are {name}. {experts[0].context}",
        personality={"warmth": chance.randint(3, 9) / 10, "directness": chance.randint(3, 9) / 10},
        style={"tone": chance.choice(("calm", "cheerful", "dry", "kind")), "answer_length": "short"},
        filed=filed,
    )
