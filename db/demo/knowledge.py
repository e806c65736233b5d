"""What clones know: sections of their subject's texts, creators' own notes, and questions with answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import db
from db import FileStatus, ProcessingStatus
from db.demo.batch import Batch
from db.demo.chance import dice, stable_id
from db.demo.clock import DAY, HOUR, MINUTE
from db.demo.content import Text, names, slugged
from db.demo.local import add_file, file_id_of, sha256_of
from db.demo.market import Clone
from db.demo.provider import File, Store
from db.demo.scale import Size
from db.storage import SCHEME

PREVIEW = 200
"""How many characters a preview has at most."""

KINDS = {
    "markdown": ("text/markdown", ".md"),
    "text": ("text/plain", ".txt"),
    "html": ("text/html", ".html"),
    "url": ("text/markdown", ".md"),
}
"""The kinds of content, and the media type and ending of a file of each kind."""

PROGRESS = {
    ProcessingStatus.COMPLETED: 80,
    ProcessingStatus.PENDING: 7,
    ProcessingStatus.PROCESSING: 5,
    ProcessingStatus.FAILED: 8,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that a clone knows."""

    id: UUID
    clone: Clone
    number: int
    title: str
    words: str
    source: Text | None
    """The text it is a section of; None for a creator's own note."""
    kind: str
    status: ProcessingStatus
    file: File | None
    """Its file in the clone's store, once it is there."""

    @property
    def uploaded_at(self) -> datetime:
        """When the creator brought it."""
        return _uploaded_at(self.clone, self.number)

    @property
    def key(self) -> str:
        """Where the storage keeps it."""
        return f"clones/{self.clone.id.hex}/{self.id.hex}{KINDS[self.kind][1]}"


def pieces(clone: Clone, size: Size) -> list[Piece]:
    """Everything a clone knows: its creator's notes, then sections of texts on its subject."""
    chance = dice("knowledge", clone.id)
    passages = clone.subject.passages
    number = min(len(passages), chance.randint(size.knowledge - 3, size.knowledge + 3))
    known: list[tuple[str, str, Text | None]] = [(note.title, note.text, None) for note in clone.text.notes]
    known += [(cited.passage.heading, cited.passage.words, cited.text) for cited in chance.sample(passages, number)]
    return [_piece(clone, place, *each) for place, each in enumerate(known)]


def _piece(clone: Clone, number: int, title: str, words: str, source: Text | None) -> Piece:
    chance = dice("piece", clone.id, title, source and source.slug)
    kind = chance.choice(tuple(KINDS)) if source else "text"
    status = chance.weighed(PROGRESS) if clone.has_store else ProcessingStatus.PENDING
    id_ = stable_id(_uploaded_at(clone, number), "knowledge", clone.id, number)
    file = None
    if status is ProcessingStatus.COMPLETED:
        file_id = file_id_of(clone.id, title, source and source.slug)
        file = File(title, file_id, words, FileStatus.COMPLETED, knowledge_id=id_)
    return Piece(id_, clone, number, title, words, source, kind, status, file)


def _uploaded_at(clone: Clone, number: int) -> datetime:
    return clone.created_at + timedelta(minutes=7 * (number + 1))


def add_knowledge(batch: Batch, clone: Clone, known: Sequence[Piece], store: Store | None) -> None:
    """Add the rows of what a clone knows."""
    for number, piece in enumerate(known):
        chance = dice("upload", clone.id, number)
        uploaded_at = piece.uploaded_at
        is_link = piece.kind == "url"
        media_type, ending = KINDS[piece.kind]
        name = slugged(piece.title)
        failure = {"error": chance.choice(names().upload_errors)} if piece.status is ProcessingStatus.FAILED else {}
        batch.add(
            db.Knowledge,
            id=piece.id,
            clone_id=clone.id,
            title=piece.title,
            content_type=piece.kind,
            file_name=None if is_link else name + ending,
            file_size_bytes=len(piece.words.encode()),
            file_type=media_type,
            file_url=SCHEME + piece.key,
            content_preview=_preview(piece.words),
            description=f"From “{piece.source.title}”." if piece.source else "Written by the creator.",
            tags=chance.sample(clone.subject.topics, chance.randint(0, 3)),
            details={"words": len(piece.words.split()), **failure},
            original_url=f"https://library.example.com/{clone.subject.slug}#{name}" if is_link else None,
            created_at=uploaded_at,
            updated_at=uploaded_at + chance.randint(1, 6) * MINUTE,
            domain_id=clone.domain and clone.domain.id,
            openai_file_id=piece.file and piece.file.file_id,
            included_in_default=chance.maybe(0.2),
            processing_status=piece.status,
            vector_store_id=store.vector_id if store and piece.file else None,
            sha256=sha256_of(piece.words),
        )
        if piece.file and piece.file.file_id:
            source = f"knowledge:{piece.id}"
            add_file(batch, piece.file.file_id, source, piece.title + ending, piece.words, uploaded_at)


def add_qa_pairs(batch: Batch, clone: Clone) -> None:
    """Add some questions with the answers that the clone is to give."""
    chance = dice("questions", clone.id)
    for number, turn in enumerate(chance.sample(clone.subject.turns, chance.randint(2, 5))):
        source = chance.choice(("conversation", "conversation", "document", "creator"))
        asked_at = clone.created_at + DAY + number * HOUR
        batch.add(
            db.QaPair,
            id=stable_id(asked_at, "pair", clone.id, number),
            clone_id=clone.id,
            question=turn.ask,
            answer=turn.answer,
            source=source,
            quality=None if source == "creator" else chance.randint(55, 99) / 100,
            is_active=chance.maybe(0.9),
            created_at=asked_at,
            updated_at=asked_at,
        )


def _preview(words: str) -> str:
    """The beginning, cut between two words."""
    return words if len(words) <= PREVIEW else words[:PREVIEW].rsplit(" ", 1)[0] + " …"
