"""What can be done with clones."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from db import Clone
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.permissions import editable
from resolvers.problems import InvalidInput, NotFound, Problem, Problems
from resolvers.texts import faults

LONGEST = {"name": 200, "category": 200, "bio": 10_000, "system_prompt": 100_000}
MOST_AREAS, LONGEST_AREA = 50, 200
HIGHEST_PRICE, MOST_DECIMALS = Decimal(1_000_000), 8
HIGHEST_TEMPERATURE = 2
MOST_TOKENS = 128_000


async def update_clone(context: Context, id_: UUID, changes: Mapping[str, Any]) -> UUID:
    """Change a clone that the viewer may change; published, it keeps the time when it first was."""
    mine = (Clone.id == id_) & editable(Clone, context.viewer)
    Problems.check(list(_faults(changes)))
    values = dict(changes)
    if values.get("is_published"):
        values["published_at"] = func.coalesce(Clone.published_at, func.now())
    action = update(Clone).where(mine).values(values).returning(Clone.id) if values else select(Clone.id).where(mine)
    async with context.database.write() as tx:
        found = await tx.scalar(action, {VIEWER_ID.key: context.viewer.id})
    if found is None:
        raise NotFound("clone", "id")
    return id_


def _faults(changes: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in changes.items():
        match name, value:
            case _, None if not Clone.__mapper__.columns[name].nullable:
                yield InvalidInput("This cannot be null. Leave it out, and it stays as it is.", name)
            case _, None:
                pass
            case (("name" | "category" | "bio" | "system_prompt"), _):
                yield from faults(value, name, most=LONGEST[name], blank=name != "name")
            case "expertise_areas", _:
                yield from _faults_of_areas(value)
            case "base_price", _:
                yield from _faults_of_price(value)
            case "temperature", _ if not 0 <= value <= HIGHEST_TEMPERATURE:
                yield InvalidInput(f"This must be from 0 to {HIGHEST_TEMPERATURE}.", name)
            case "max_tokens", _ if not 1 <= value <= MOST_TOKENS:
                yield InvalidInput(f"This must be from 1 to {MOST_TOKENS}.", name)
            case (("personality_traits" | "communication_style"), _) if not isinstance(value, dict):
                yield InvalidInput('This must be a JSON object, like {"warm": true}.', name)


def _faults_of_areas(areas: list[str]) -> Iterator[Problem]:
    if len(areas) > MOST_AREAS:
        yield InvalidInput(f"There may be {MOST_AREAS} areas at most, and these are {len(areas)}.", "expertise_areas")
    for number, area in enumerate(areas[:MOST_AREAS]):
        yield from faults(area, "expertise_areas", str(number), most=LONGEST_AREA)


def _faults_of_price(price: Decimal) -> Iterator[Problem]:
    if not price.is_finite() or not 0 <= price <= HIGHEST_PRICE:
        yield InvalidInput(f"This must be from 0 to {HIGHEST_PRICE} credits.", "base_price")
    elif -int(price.as_tuple().exponent) > MOST_DECIMALS:
        yield InvalidInput(f"This may have {MOST_DECIMALS} decimals at most.", "base_price")
