"""How clones get into the database, with their stores, assistants, knowledge and everything that was counted."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time

import db
from db.demo.batch import Batch
from db.demo.chance import dice, stable_id
from db.demo.clock import CLOSED, DAY, HOUR, MINUTE, NOW
from db.demo.knowledge import Piece, add_knowledge, add_qa_pairs, pieces
from db.demo.library import files
from db.demo.market import Clone
from db.demo.provider import Behaviour, Origin, Store, add_assistant, add_store
from db.demo.scale import Size
from db.demo.totals import Totals

CLONES_IN_A_BATCH = 200
VERSIONS = {"own": 1, "revised": 2, "legacy": 0}


def clone_batches(clones: Sequence[Clone], size: Size, totals: Totals) -> Iterator[Batch]:
    """The rows of all clones and of what belongs to them."""
    for first in range(0, len(clones), CLONES_IN_A_BATCH):
        batch = Batch()
        for clone in clones[first : first + CLONES_IN_A_BATCH]:
            known = pieces(clone, size)
            store, assistant_id = _provision(batch, clone, known)
            _add_clone(batch, clone, totals, store, assistant_id)
            add_knowledge(batch, clone, known, store)
            add_qa_pairs(batch, clone)
            _add_days(batch, clone, totals)
            _add_memory(batch, clone, size)
        yield batch


def _provision(batch: Batch, clone: Clone, known: Sequence[Piece]) -> tuple[Store | None, str | None]:
    """The clone's own store, holding some documents of its domain and what it knows, and its assistant."""
    if not (clone.has_store and clone.domain):
        return None, None
    expert = clone.experts[0]
    origin = Origin(
        f"clone:{clone.id}",
        clone.domain.name,
        expert.name,
        clone.creator,
        clone.created_at + HOUR,
        clone.text.key,
        clone.text.name,
    )
    documents = [clone.domain.documents[slug][0] for slug in expert.text.documents]
    own = [piece.file for piece in known if piece.file]
    store = add_store(batch, origin, db.StoreOwner.CLIENT, [*files(origin, documents), *own])
    text = clone.text
    behaviour = Behaviour(text.memory, text.prompt, text.temperature, text.max_tokens)
    return store, add_assistant(batch, origin, store, behaviour, VERSIONS[text.assistant])


def _add_clone(batch: Batch, clone: Clone, totals: Totals, store: Store | None, assistant_id: str | None) -> None:
    text, tally = clone.text, totals.clones[clone.id]
    batch.add(
        db.Clone,
        id=clone.id,
        creator_id=clone.creator.id,
        name=text.name,
        bio=text.bio,
        category=text.category,
        expertise_areas=list(text.areas),
        base_price=text.price,
        personality_traits=text.personality,
        communication_style=text.style,
        system_prompt=text.prompt,
        temperature=text.temperature,
        max_tokens=text.max_tokens,
        is_published=clone.published_at is not None,
        is_active=clone.is_active,
        total_sessions=tally.sessions,
        total_earnings=tally.earned,
        average_rating=tally.average,
        total_ratings=tally.ratings,
        created_at=clone.created_at,
        updated_at=clone.published_at or clone.created_at + HOUR if clone.is_active else CLOSED,
        published_at=clone.published_at,
        domain_id=clone.domain and clone.domain.id,
        rag_assistant_id=assistant_id,
        vector_store_id=store and store.vector_id,
        expert_context=clone.experts[0].text.context if clone.experts else None,
        memory_type=text.memory,
        openai_file_ids=store.file_ids if store else [],
    )
    for expert in clone.experts:
        batch.add(db.CloneExpert, clone_id=clone.id, expert_name=expert.name)


def _add_days(batch: Batch, clone: Clone, totals: Totals) -> None:
    """The creator's figures, for each day on which somebody came. They are counted the night after, today's so far."""
    for day, tally in sorted(totals.days[clone.id].items()):
        counted_at = min(datetime.combine(day, time(0, 10), UTC) + DAY, NOW)
        batch.add(
            db.CreatorAnalytics,
            id=stable_id(counted_at, "day", clone.id),
            creator_id=clone.creator.id,
            clone_id=clone.id,
            day=day,
            total_sessions=tally.sessions,
            total_minutes=tally.minutes,
            total_messages=tally.messages,
            unique_users=len(tally.people),
            total_revenue=tally.earned,
            average_rating=tally.average,
            new_ratings=tally.ratings,
            created_at=counted_at,
            updated_at=counted_at,
        )


def _add_memory(batch: Batch, clone: Clone, size: Size) -> None:
    """What an open clone remembered on each of the last days: a little more every day."""
    if not clone.is_open(NOW):
        return
    chance = dice("memory", clone.id)
    items = chance.randint(20, 400)
    for days_ago in range(size.memory_days, 0, -1):
        measured_at = NOW - days_ago * DAY + 11 * HOUR + 30 * MINUTE
        items += chance.randint(0, 12)
        tokens = items * chance.randint(80, 120)
        searches = chance.randint(0, 60)
        misses = chance.randint(0, searches // 4)
        batch.add(
            db.MemoryUsage,
            id=stable_id(measured_at, "memory", clone.id),
            clone_id=clone.id,
            day=measured_at.date(),
            items=items,
            tokens=tokens,
            size_bytes=tokens * 4,
            hits=searches - misses,
            misses=misses,
            average_retrieval_ms=chance.randint(200, 900) / 10 if searches else None,
            created_at=measured_at,
        )
