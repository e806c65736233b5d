"""What can be done with clones."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Uuid, any_, delete, func, insert, literal, select, update

from db import Clone, CloneExpert, Expert, MemoryType, User, UserRole
from db.transaction import Transaction
from db.viewer import VIEWER_ID
from resolvers.context import Context
from resolvers.idempotency import Request, once
from resolvers.permissions import editable, require_person
from resolvers.problems import InvalidInput, NotFound, Problem, Problems
from resolvers.provisioning.assistant import reconfigure
from resolvers.texts import faults

LONGEST = {"name": 200, "category": 200, "bio": 10_000, "system_prompt": 100_000}
MOST_AREAS, LONGEST_AREA = 50, 200
HIGHEST_PRICE, MOST_DECIMALS = Decimal(1_000_000), 8
HIGHEST_TEMPERATURE = 2
MOST_TOKENS = 128_000
MOST_EXPERTS = 50

MOVE_STORE = """
    UPDATE vector_stores AS store SET domain_name = domains.domain_name
    FROM clones JOIN domains ON domains.id = domain_id
    WHERE clones.id = $1 AND vector_store_id = vector_id AND owner = 'client'
"""
CONFIGURED = {
    "name",
    "bio",
    "system_prompt",
    "personality_traits",
    "communication_style",
    "temperature",
    "max_tokens",
    "memory_type",
}
"""What the assistant of a clone is configured by."""


async def create_clone(context: Context, request: Request, values: Mapping[str, Any]) -> UUID:
    """Make a clone of the viewer's own, which nobody else sees yet. The first one makes its creator a creator."""
    creator_id = require_person(context.viewer)
    Problems.check(list(_faults(values)))
    clone_id = uuid4()

    async def act(tx: Transaction) -> None:
        await tx.execute(insert(Clone).values({**values, "id": clone_id, "creator_id": creator_id}))
        promoted = update(User).where(User.id == creator_id, User.role == UserRole.USER)
        await tx.execute(promoted.values(role=UserRole.CREATOR))

    key = await once(context, request, clone_id, act)
    context.has_created()
    return key


async def update_clone(context: Context, id_: UUID, changes: Mapping[str, Any]) -> UUID:
    """Change a clone that the viewer may change; published, it keeps the time when it first was."""
    Problems.check(list(_faults(changes)))
    values = dict(changes)
    if values.get("is_published"):
        values["published_at"] = func.coalesce(Clone.published_at, func.now())
    return await _change(context, id_, values)


async def publish(context: Context, id_: UUID) -> UUID:
    """Bring a clone to the marketplace, and have it take sessions."""
    return await update_clone(context, id_, {"is_published": True, "is_active": True})


async def unpublish(context: Context, id_: UUID) -> UUID:
    """Take a clone out of the marketplace. Sessions that are open go on."""
    return await _change(context, id_, {"is_published": False})


async def archive(context: Context, id_: UUID) -> UUID:
    """Take a clone out of the marketplace, and have it take no more sessions."""
    return await _change(context, id_, {"is_published": False, "is_active": False})


async def assign_experts(context: Context, id_: UUID, expert_ids: Sequence[UUID]) -> UUID:
    """Have exactly these experts stand behind a clone."""
    if len(expert_ids) > MOST_EXPERTS:
        raise InvalidInput(f"There may be {MOST_EXPERTS} experts at most.", "expert_ids")
    mine = (Clone.id == id_) & editable(Clone, context.viewer)
    names = select(literal(id_, Uuid), Expert.name).where(Expert.id == any_(literal([*expert_ids], ARRAY(Uuid))))
    async with context.database.write() as tx:
        if await tx.scalar(select(Clone.id).where(mine).with_for_update(), {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("clone", "id")
        await tx.execute(delete(CloneExpert).where(CloneExpert.clone_id == id_))
        assigned = (
            insert(CloneExpert).from_select(["clone_id", "expert_name"], names).returning(CloneExpert.expert_name)
        )
        if len(await tx.execute(assigned)) != len(set(expert_ids)):
            raise NotFound("expert", "expert_ids")
        await reconfigure(tx, id_)
    context.has_created()
    return id_


async def _change(context: Context, id_: UUID, values: Mapping[str, Any]) -> UUID:
    mine = (Clone.id == id_) & editable(Clone, context.viewer)
    action = update(Clone).where(mine).values(values).returning(Clone.id) if values else select(Clone.id).where(mine)
    async with context.database.write() as tx:
        if await tx.scalar(action, {VIEWER_ID.key: context.viewer.id}) is None:
            raise NotFound("clone", "id")
        if values.get("domain_id"):
            await tx.fetch(MOVE_STORE, id_)
        if CONFIGURED & values.keys():
            await reconfigure(tx, id_)
    context.has_created()
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
            case (("memory_type" | "personality_traits" | "communication_style"), _):
                yield from _faults_of_form(name, value)


def _faults_of_form(name: str, value: Any) -> Iterator[Problem]:
    if value is MemoryType.UNKNOWN:
        yield InvalidInput("Choose EXPERT, DOMAIN or CLIENT.", name)
    elif name != "memory_type" and not isinstance(value, dict):
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
