"""Documents are brought, changed and kept apart; what stores hold of them follows."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from db import Scope
from tests.library import (
    AI_EDUCATION,
    DOCX,
    HTML,
    MARKDOWN,
    PDF,
    PNG,
    done,
    end_operations,
    kept,
    library,
    open_operations,
    refused,
    rows,
    send,
)
from tests.money import key_of, service_headers
from tests.serving import Gateway

DOMAIN_SUBJECT = f"domain:{key_of(AI_EDUCATION)}"
HOLD = """
    INSERT INTO store_files (vector_store_id, document_id, status)
    SELECT id, $1, 'completed' FROM vector_stores WHERE vector_id = ANY ($2)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def shared(server_url: str, template: str, folder: Path) -> Iterator[Gateway]:
    with library(server_url, template, folder) as gateway:
        yield gateway


@pytest.fixture
def texts(shared: Gateway) -> Gateway:
    """A gateway where nothing is on its way to the provider."""
    end_operations(shared)
    return shared


def bring(gateway: Gateway, file: tuple[str, bytes] = ("notes.md", MARKDOWN), as_: str = "maya", **given: Any) -> Any:
    """A new document."""
    given = {"domainId": AI_EDUCATION, "name": str(uuid4()), "file": file, **given}
    return done(gateway, "uploadDocument", as_, **given)["row"]


def content(folder: Path, document: Any) -> bytes:
    return (folder / str(document["documentLink"]).removeprefix("storage://")).read_bytes()


@pytest.mark.parametrize(
    ("file", "media_type", "ending"),
    [
        (("a.pdf", PDF), "application/pdf", ".pdf"),
        (("a.docx", DOCX), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
        (("a.md", MARKDOWN), "text/markdown", ".md"),
        (("a.htm", HTML), "text/html", ".html"),
        (("a.txt", b"Words."), "text/plain", ".txt"),
        (("really a pdf.txt", PDF), "application/pdf", ".pdf"),
    ],
)
def test_a_document_is_what_is_in_it(
    texts: Gateway, folder: Path, file: tuple[str, bytes], media_type: str, ending: str
) -> None:
    document = bring(texts, file)
    data = file[1]

    assert (document["mediaType"], document["sizeBytes"]) == (media_type, len(data))
    assert document["documentLink"].endswith(ending)
    assert content(folder, document) == data
    ((sha256,),) = rows(texts, "SELECT sha256 FROM documents WHERE id = $1", key_of(document["id"]))
    assert sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("picture.png", PNG),
        ("picture.pdf", PNG),
        ("sheet.xlsx", b"PK\x03\x04" + b"\0" * 26 + b"xl/workbook.xml"),
        ("archive.zip", b"PK\x03\x04" + b"\0" * 40),
        ("program.txt", b"\x7fELF\x02\x01\x01\0\0\0"),
        ("words", b"Words of which nobody knows what they are."),
    ],
)
def test_a_file_of_another_kind_is_refused_and_told_what_is_not(
    texts: Gateway, folder: Path, name: str, data: bytes
) -> None:
    before = kept(folder)

    error = refused(texts, "uploadDocument", domainId=AI_EDUCATION, name=str(uuid4()), file=(name, data))

    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "file"])
    assert "PDF, Word (.docx), Markdown (.md), HTML (.html) and plain text (.txt)" in error["message"]
    assert kept(folder) == before


def test_the_owner_of_a_domain_decides_what_its_default_store_holds(texts: Gateway, folder: Path) -> None:
    mine = bring(texts, includedInDefault=True)
    synced = open_operations(texts)
    end_operations(texts)
    before = kept(folder)
    given = {"domainId": AI_EDUCATION, "name": "Jonas brings it", "file": ("a.md", MARKDOWN)}

    error = refused(texts, "uploadDocument", "jonas", **given, includedInDefault=True)
    theirs = done(texts, "uploadDocument", "jonas", **given)["row"]
    change = refused(texts, "updateDocument", "jonas", id=theirs["id"], includedInDefault=True)

    assert mine["includedInDefault"]
    assert synced == [("sync", DOMAIN_SUBJECT)]
    assert [each["path"] for each in (error, change)] == [["input", "includedInDefault"]] * 2
    assert not theirs["includedInDefault"]
    assert open_operations(texts) == []
    assert len(kept(folder) - before) == 1


def test_another_name_changes_the_name_alone(texts: Gateway) -> None:
    document = bring(texts)

    changed = done(texts, "updateDocument", id=document["id"], name="  Another name ")["row"]

    assert changed == {**document, "name": "Another name"}
    assert open_operations(texts) == []


def test_another_file_takes_the_place_of_the_text_in_every_store_that_holds_it(texts: Gateway, folder: Path) -> None:
    document = bring(texts)
    stores = rows(
        texts,
        """SELECT vector_id, expert_name, experts.id AS expert FROM vector_stores JOIN experts ON name = expert_name
           WHERE domain_name = 'AI education' AND owner = 'expert' ORDER BY vector_id LIMIT 2""",
    )
    rows(texts, HOLD, key_of(document["id"]), [each["vector_id"] for each in stores])
    before = kept(folder)

    changed = done(texts, "updateDocument", id=document["id"], file=("new.html", HTML))["row"]

    assert changed["documentLink"] != document["documentLink"]
    assert (changed["mediaType"], changed["sizeBytes"]) == ("text/html", len(HTML))
    assert content(folder, changed) == HTML
    assert len(kept(folder)) == len(before)
    assert sorted(open_operations(texts)) == sorted(("sync", f"expert:{each['expert']}") for each in stores)


def test_a_document_that_leaves_the_default_leaves_the_store_of_the_domain_only(texts: Gateway) -> None:
    document = bring(texts, includedInDefault=True)
    end_operations(texts)
    key = key_of(document["id"])
    stores = rows(texts, "SELECT vector_id FROM vector_stores WHERE domain_name = 'AI education' AND owner <> 'client'")
    rows(texts, HOLD, key, [each["vector_id"] for each in stores])

    changed = done(texts, "updateDocument", id=document["id"], includedInDefault=False)["row"]

    left = rows(
        texts,
        """SELECT DISTINCT owner FROM store_files JOIN vector_stores store ON store.id = vector_store_id
           WHERE document_id = $1 AND removed_at IS NOT NULL""",
        key,
    )
    assert not changed["includedInDefault"]
    assert [each["owner"] for each in left] == ["domain"]
    assert ("sync", DOMAIN_SUBJECT) in open_operations(texts)


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"name": " "}, "INVALID_INPUT", "name"),
        ({"name": "x" * 301}, "INVALID_INPUT", "name"),
        ({"name": "a\0b"}, "INVALID_INPUT", "name"),
        ({"name": "Somebody else's"}, "NAME_TAKEN", "name"),
        ({"file": ("a.md", b"")}, "INVALID_INPUT", "file"),
        ({"file": ("a.png", PNG)}, "INVALID_INPUT", "file"),
    ],
    ids=str,
)
def test_what_cannot_be_changes_nothing(
    texts: Gateway, folder: Path, given: dict[str, Any], code: str, path: str
) -> None:
    rows(
        texts,
        """INSERT INTO documents (name, document_link, domain) VALUES ('Somebody else''s', 'x', 'AI education')
           ON CONFLICT DO NOTHING""",
    )
    document, before = bring(texts), kept(folder)

    error = refused(texts, "updateDocument", id=document["id"], **given)

    assert (error["code"], error["path"]) == (code, ["input", path])
    assert done(texts, "updateDocument", id=document["id"])["row"] == document
    assert kept(folder) >= before
    assert len(kept(folder)) == len(before)


def test_a_change_that_cannot_be_written_keeps_the_old_file_and_no_new_one(texts: Gateway, folder: Path) -> None:
    document, before = bring(texts), None
    before = kept(folder)
    rows(texts, "ALTER TABLE documents ADD CONSTRAINT no_html CHECK (media_type <> 'text/html') NOT VALID")

    answer = send(texts, "updateDocument", id=document["id"], file=("a.html", HTML))

    rows(texts, "ALTER TABLE documents DROP CONSTRAINT no_html")
    assert answer.codes == ["INTERNAL"]
    assert kept(folder) == before
    assert content(folder, document) == MARKDOWN


@pytest.mark.parametrize("person", ["jonas", "aiko"])
def test_documents_of_others_cannot_be_found_to_be_changed(texts: Gateway, folder: Path, person: str) -> None:
    document, before = bring(texts), None
    before = kept(folder)

    for given in ({"name": "Mine"}, {"file": ("a.md", b"# Mine")}, {}):
        error = refused(texts, "updateDocument", person, id=document["id"], **given)
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["input", "id"])
    assert kept(folder) == before


def test_strangers_and_services_change_no_documents_and_admins_all(texts: Gateway) -> None:
    document = bring(texts)
    service = service_headers(texts.database_url, *Scope)

    refusals = [send(texts, "updateDocument", who, id=document["id"], name="Mine") for who in (None, service)]
    changed = done(texts, "updateDocument", "grace", id=document["id"], name="Looked at")["row"]

    assert [each.codes for each in refusals] == [["FORBIDDEN"]] * 2
    assert changed["name"] == "Looked at"


def test_a_document_that_is_being_deleted_is_not_changed(texts: Gateway) -> None:
    document = bring(texts)
    rows(texts, "UPDATE documents SET deleted_at = now() WHERE id = $1", key_of(document["id"]))

    error = refused(texts, "updateDocument", id=document["id"], name="Too late")

    assert error["code"] == "NOT_FOUND"
