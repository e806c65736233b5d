"""The library: domains with their experts and documents, and the stores and assistants the platform made of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import db
from db.demo.batch import Batch
from db.demo.cast import CAST, Person
from db.demo.chance import dice, stable_id
from db.demo.clock import DAY, OPENED
from db.demo.content import ExpertText, Subject, Text, names, subjects
from db.demo.local import add_file, file_id_of, sha256_of
from db.demo.provider import Behaviour, File, Origin, add_assistant, add_operation, add_store
from db.demo.scale import Size


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document of a domain: one edition of a text."""

    id: UUID
    name: str
    text: Text
    file_id: str | None
    """Its file at the provider; None if it was never sent there."""
    is_default: bool
    written_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Expert:
    """An expert of a domain."""

    id: UUID
    name: str
    text: ExpertText


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """A subject as it is taught in one place: the story's own, or a branch."""

    id: UUID
    name: str
    subject: Subject
    owner: Person | None
    experts: tuple[Expert, ...]
    documents: Mapping[str, tuple[Document, ...]]
    """The editions of each text, by its slug."""

    def expert(self, name: str) -> Expert:
        """The expert who is called so in the subject."""
        return next(expert for expert in self.experts if expert.text.name == name)


def library(size: Size) -> tuple[Domain, ...]:
    """Every domain, those of the story first."""
    branches = [None, *names().branches][: size.branches]
    return tuple(_domain(subject, branch, size.editions) for branch in branches for subject in subjects().values())


def _domain(subject: Subject, branch: str | None, editions: int) -> Domain:
    name = _placed(subject.name, branch)
    return Domain(
        id=stable_id(OPENED, "domain", name),
        name=name,
        subject=subject,
        owner=None if branch else next((person for person in CAST if person.key == subject.owner), None),
        experts=tuple(
            Expert(stable_id(OPENED, "expert", name, expert.name), _placed(expert.name, branch), expert)
            for expert in subject.experts
        ),
        documents={
            slug: tuple(_document(text, branch, edition) for edition in range(1, editions + 1))
            for slug, text in subject.texts.items()
        },
    )


def _document(text: Text, branch: str | None, edition: int) -> Document:
    name = _placed(text.title if edition == 1 else f"{text.title}, edition {edition}", branch)
    chance = dice("document", name)
    written_at = OPENED + edition * DAY
    return Document(
        id=stable_id(written_at, "document", name),
        name=name,
        text=text,
        file_id=file_id_of(name) if chance.maybe(0.94) else None,
        is_default=edition == 1 and chance.maybe(0.8),
        written_at=written_at,
    )


def _placed(name: str, branch: str | None) -> str:
    return f"{name}, {branch}" if branch else name


def library_batches(domains: tuple[Domain, ...]) -> Iterator[Batch]:
    """The rows of the library, a domain at a time."""
    for domain in domains:
        batch = Batch()
        owner_id = domain.owner and domain.owner.id
        batch.add(db.Domain, id=domain.id, name=domain.name, owner_id=owner_id)
        for expert in domain.experts:
            batch.add(
                db.Expert,
                id=expert.id,
                name=expert.name,
                domain_name=domain.name,
                context=expert.text.context,
                owner_id=owner_id,
            )
        for editions in domain.documents.values():
            for document in editions:
                _add_document(batch, domain, document)
        _add_stores_and_assistants(batch, domain)
        if domain.owner:
            _add_second_thoughts(batch, domain)
        yield batch


def _add_document(batch: Batch, domain: Domain, document: Document) -> None:
    """A document is the owner's like its domain, except for some that the owner shares with everybody."""
    owner = domain.owner if dice("shared", document.name).maybe(0.7) else None
    batch.add(
        db.Document,
        id=document.id,
        name=document.name,
        document_link=document.text.link,
        created_by=owner.email if owner else "librarian@example.com",
        domain_name=domain.name,
        included_in_default=document.is_default,
        client_name=owner and owner.name,
        openai_file_id=document.file_id,
        owner_id=owner and owner.id,
        sha256=sha256_of(document.text.markdown),
        size_bytes=document.text.size_bytes,
        media_type="text/markdown",
    )
    if document.file_id:
        source = f"document:{document.id}"
        add_file(batch, document.file_id, source, f"{document.name}.md", document.text.markdown, document.written_at)


def _add_second_thoughts(batch: Batch, domain: Domain) -> None:
    """The owner wanted to delete a document, and then did not."""
    (document, *_), *_ = domain.documents.values()
    origin = Origin(
        f"document:{document.id}", domain.name, None, domain.owner, OPENED + 40 * DAY, name_of=document.name
    )
    add_operation(batch, origin, db.OperationKind.DELETE, db.OperationStatus.CANCELLED)


def _add_stores_and_assistants(batch: Batch, domain: Domain) -> None:
    """A store of the domain's default documents, and for each expert a store and an assistant or two.

    The last expert of a domain also has an assistant from the days of the Assistants API.
    """
    origin = Origin(f"domain:{domain.id}", domain.name, None, domain.owner, OPENED + 10 * DAY)
    defaults = [one for editions in domain.documents.values() for one in editions if one.is_default]
    shared = add_store(batch, origin, db.StoreOwner.DOMAIN, files(origin, defaults))
    for place, expert in enumerate(domain.experts):
        origin = Origin(f"expert:{expert.id}", domain.name, expert.name, domain.owner, OPENED + (20 + place) * DAY)
        known = [document for slug in expert.text.documents for document in domain.documents[slug]]
        own = add_store(batch, origin, db.StoreOwner.EXPERT, files(origin, known))
        is_first, is_last = place == 0, expert is domain.experts[-1]
        alone = Behaviour(db.MemoryType.EXPERT, expert.text.context)
        add_assistant(batch, origin, own, alone, versions=2 if is_first else 1)
        if is_last:
            add_assistant(batch, origin, own, replace(alone, memory=db.MemoryType.CLIENT), versions=0)
        else:
            add_assistant(batch, origin, shared, replace(alone, memory=db.MemoryType.DOMAIN), versions=1)


def files(origin: Origin, documents: Iterable[Document]) -> list[File]:
    """The files of documents in a store."""
    return [File.of_document(origin, one.id, one.name, one.file_id, one.text.markdown) for one in documents]
