"""Creators tell their clones what to know and what to answer, and their stores follow."""

import hashlib
import threading
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
    JONAS_DRAFT,
    MARKDOWN,
    MAYAS,
    MAYAS_DRAFT,
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

SUBJECT = f"clone:{key_of(MAYAS)}"
PAIR = {"question": "What if I forget?", "answer": "Then you learn it twice, which is better."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def shared(server_url: str, template: str, folder: Path) -> Iterator[Gateway]:
    with library(server_url, template, folder) as gateway:
        yield gateway


@pytest.fixture
def teaching(shared: Gateway) -> Gateway:
    """A gateway where nothing is on its way to the provider, which is the one that made the demo's stores."""
    end_operations(shared)
    return shared


def add(gateway: Gateway, content: dict[str, Any], as_: str = "maya", **given: Any) -> Any:
    given = {"cloneId": MAYAS_DRAFT, "title": "Notes", "content": content, **given}
    return done(gateway, "addKnowledge", as_, **given)["row"]


def content_of(folder: Path, knowledge: Any) -> bytes:
    return (folder / str(knowledge["fileUrl"]).removeprefix("storage://")).read_bytes()


def test_a_text_is_kept_as_a_file_of_the_clone_and_shown_at_once(teaching: Gateway, folder: Path) -> None:
    text = "Recall  beats\nrereading. " * 20

    knowledge = add(
        teaching,
        {"text": text},
        title="On recall",
        description="From my notes.",
        tags=["recall", "memory"],
        domainId=AI_EDUCATION,
    )

    key = knowledge["fileUrl"].removeprefix("storage://")
    assert key.startswith(f"clones/{key_of(MAYAS_DRAFT).hex}/")
    assert key.endswith(".txt")
    assert content_of(folder, knowledge) == text.encode()
    assert knowledge["contentPreview"].startswith("Recall beats rereading. Recall")
    assert len(knowledge["contentPreview"]) <= 200
    assert {name: knowledge[name] for name in ("title", "description", "tags", "contentType", "fileType")} == {
        "title": "On recall",
        "description": "From my notes.",
        "tags": ["recall", "memory"],
        "contentType": "text",
        "fileType": "text/plain",
    }
    assert (knowledge["fileName"], knowledge["originalUrl"]) == (None, None)
    assert knowledge["fileSizeBytes"] == len(text.encode())
    assert knowledge["processingStatus"] == "PENDING"
    assert knowledge["domain"] == {"name": "AI education"}
    ((sha256,),) = rows(teaching, "SELECT sha256 FROM knowledge WHERE id = $1", key_of(knowledge["id"]))
    assert sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("file", "content_type", "preview"),
    [
        (("a.pdf", PDF), "pdf", None),
        (("a.docx", DOCX), "docx", None),
        (("a.md", MARKDOWN), "markdown", "# Recall Ask before you tell."),
        (("a.html", HTML), "html", None),
        (("a.txt", b"Words."), "text", "Words."),
    ],
)
def test_a_file_is_what_is_in_it(
    teaching: Gateway, folder: Path, file: tuple[str, bytes], content_type: str, preview: str | None
) -> None:
    knowledge = add(teaching, {"file": file})

    assert (knowledge["contentType"], knowledge["fileName"]) == (content_type, file[0])
    assert knowledge["contentPreview"] == preview
    assert content_of(folder, knowledge) == file[1]


def test_a_text_about_files_is_no_file(teaching: Gateway) -> None:
    for text in ("%PDF-1.7 is what a PDF begins with.", "<html> is what a page begins with."):
        assert add(teaching, {"text": text})["fileType"] == "text/plain"


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"title": " "}, "INVALID_INPUT", ["title"]),
        ({"title": "x" * 301}, "INVALID_INPUT", ["title"]),
        ({"tags": ["x"] * 51}, "INVALID_INPUT", ["tags"]),
        ({"tags": ["ok", ""]}, "INVALID_INPUT", ["tags", "1"]),
        ({"content": {"text": " \n"}}, "INVALID_INPUT", ["content", "text"]),
        ({"content": {"text": "a\0b"}}, "INVALID_INPUT", ["content", "text"]),
        ({"content": {"file": ("a.md", b"")}}, "INVALID_INPUT", ["content", "file"]),
        ({"content": {"file": ("a.md", PNG)}}, "INVALID_INPUT", ["content", "file"]),
        ({"content": {"url": "https://127.0.0.1/"}}, "INVALID_INPUT", ["content", "url"]),
        ({"cloneId": JONAS_DRAFT}, "NOT_FOUND", ["cloneId"]),
        ({"domainId": f"domain_{'0' * 31}1"}, "NOT_FOUND", ["domainId"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_its_place_and_leaves_nothing(
    teaching: Gateway, folder: Path, given: dict[str, Any], code: str, path: list[str]
) -> None:
    before = kept(folder)
    usual = {"cloneId": MAYAS_DRAFT, "title": "Notes", "content": {"text": "Words."}}

    error = refused(teaching, "addKnowledge", **(usual | given))

    assert (error["code"], error["path"]) == (code, ["input", *path])
    assert kept(folder) == before


@pytest.mark.parametrize("content", [{}, {"text": "a", "url": "https://example.com"}, {"text": None}], ids=str)
def test_the_content_is_one_thing(teaching: Gateway, content: dict[str, Any]) -> None:
    answer = send(teaching, "addKnowledge", cloneId=MAYAS_DRAFT, title="Notes", content=content)

    assert answer.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("content", [{"text": "Once."}, {"file": ("once.md", b"# Once")}], ids=str)
def test_under_one_key_a_clone_learns_a_thing_once(teaching: Gateway, folder: Path, content: dict[str, Any]) -> None:
    key = str(uuid4())
    first = add(teaching, content, idempotencyKey=key)
    before = kept(folder)

    again = add(teaching, content, idempotencyKey=key)
    other = content | ({"text": "Twice."} if "text" in content else {"file": ("once.md", b"# More")})
    error = refused(teaching, "addKnowledge", cloneId=MAYAS_DRAFT, title="Notes", content=other, idempotencyKey=key)

    assert again == first
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert kept(folder) == before


def test_what_is_sent_twice_at_the_same_time_is_kept_once(teaching: Gateway, folder: Path) -> None:
    key, before, seen = str(uuid4()), kept(folder), []
    data = b"# Twice\n" * 100_000

    threads = [
        threading.Thread(target=lambda: seen.append(add(teaching, {"file": ("a.md", data)}, idempotencyKey=key)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({each["id"] for each in seen}) == 1
    assert len(kept(folder) - before) == 1


def test_the_store_of_a_clone_follows_and_a_clone_without_one_waits(teaching: Gateway) -> None:
    waiting = done(teaching, "addKnowledge", cloneId=MAYAS_DRAFT, title="a", content={"text": "a"})
    has_none = open_operations(teaching)
    followed = done(teaching, "addKnowledge", cloneId=MAYAS, title="a", content={"text": "a"})
    again = done(teaching, "addQaPair", cloneId=MAYAS, **PAIR)

    assert waiting["operation"] is None
    assert has_none == []
    assert (followed["operation"]["kind"], followed["operation"]["clone"]) == ("SYNC", {"id": MAYAS})
    assert again["operation"]["id"] == followed["operation"]["id"]
    assert open_operations(teaching) == [("sync", SUBJECT)]


def test_what_a_clone_knows_is_changed_in_part(teaching: Gateway, folder: Path) -> None:
    knowledge = add(teaching, {"text": "Old words."}, description="Old.", tags=["old"], cloneId=MAYAS)
    end_operations(teaching)
    before = kept(folder)

    renamed = done(teaching, "updateKnowledge", id=knowledge["id"], title="New title", tags=[], description=None)
    unsynced = open_operations(teaching)
    rewritten = done(teaching, "updateKnowledge", id=knowledge["id"], content={"file": ("new.html", HTML)})

    assert renamed["row"] == {**knowledge, "title": "New title", "tags": [], "description": None}
    assert (renamed["operation"], unsynced) == (None, [])
    assert content_of(folder, rewritten["row"]) == HTML
    assert rewritten["row"]["fileUrl"] != knowledge["fileUrl"]
    assert (rewritten["row"]["contentType"], rewritten["row"]["contentPreview"]) == ("html", None)
    assert rewritten["operation"]["clone"] == {"id": MAYAS}
    assert len(kept(folder)) == len(before)


@pytest.mark.parametrize(
    ("given", "path"),
    [({"title": ""}, ["title"]), ({"tags": [""]}, ["tags", "0"]), ({"content": {"text": ""}}, ["content", "text"])],
    ids=str,
)
def test_a_change_that_cannot_be_changes_nothing(teaching: Gateway, given: dict[str, Any], path: list[str]) -> None:
    knowledge = add(teaching, {"text": "Words."})

    error = refused(teaching, "updateKnowledge", id=knowledge["id"], **given)

    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", *path])
    assert done(teaching, "updateKnowledge", id=knowledge["id"])["row"] == knowledge


def test_a_change_that_cannot_be_written_keeps_the_old_file_and_no_new_one(teaching: Gateway, folder: Path) -> None:
    knowledge = add(teaching, {"text": "Words."})
    before = kept(folder)
    rows(teaching, "ALTER TABLE knowledge ADD CONSTRAINT no_html CHECK (file_type <> 'text/html') NOT VALID")

    answer = send(teaching, "updateKnowledge", id=knowledge["id"], content={"file": ("a.html", HTML)})

    rows(teaching, "ALTER TABLE knowledge DROP CONSTRAINT no_html")
    assert answer.codes == ["INTERNAL"]
    assert kept(folder) == before


def test_pairs_are_added_changed_and_put_aside(teaching: Gateway) -> None:
    pair = done(teaching, "addQaPair", cloneId=MAYAS, **PAIR, source="A talk", quality=0.5)["row"]
    end_operations(teaching)

    changed = done(teaching, "updateQaPair", id=pair["id"], answer="Ask again.", source=None, isActive=False)

    assert pair == {
        "id": pair["id"],
        **PAIR,
        "source": "A talk",
        "quality": 0.5,
        "isActive": True,
        "clone": {"id": MAYAS},
    }
    assert changed["row"] == {**pair, "answer": "Ask again.", "source": None, "isActive": False}
    assert changed["operation"]["clone"] == {"id": MAYAS}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"question": " "}, "question"),
        ({"answer": ""}, "answer"),
        ({"answer": "x" * 20_001}, "answer"),
        ({"quality": 1.01}, "quality"),
        ({"quality": -0.01}, "quality"),
    ],
    ids=str,
)
def test_a_pair_that_cannot_be_is_refused_when_added_and_when_changed(
    teaching: Gateway, given: dict[str, Any], path: str
) -> None:
    pair = done(teaching, "addQaPair", cloneId=MAYAS_DRAFT, **PAIR)["row"]

    errors = [
        refused(teaching, "addQaPair", cloneId=MAYAS_DRAFT, **(PAIR | given)),
        refused(teaching, "updateQaPair", id=pair["id"], **given),
    ]

    assert [(each["code"], each["path"]) for each in errors] == [("INVALID_INPUT", ["input", path])] * 2


def test_a_pair_is_added_once_under_one_key(teaching: Gateway) -> None:
    key = str(uuid4())

    first, second = (
        done(teaching, "addQaPair", cloneId=MAYAS_DRAFT, **PAIR, idempotencyKey=key)["row"] for _ in range(2)
    )

    assert first == second


CHANGES = [
    ("addKnowledge", {"cloneId": MAYAS_DRAFT, "title": "Mine", "content": {"text": "Mine."}}),
    ("addQaPair", {"cloneId": MAYAS_DRAFT, **PAIR}),
    ("updateKnowledge", {"title": "Mine"}),
    ("updateKnowledge", {"content": {"file": ("mine.md", b"# Mine")}}),
    ("updateKnowledge", {}),
    ("updateQaPair", {"answer": "Mine."}),
    ("updateQaPair", {}),
]


@pytest.mark.parametrize("person", ["jonas", "aiko"])
@pytest.mark.parametrize(("mutation", "given"), CHANGES, ids=str)
def test_nobody_teaches_the_clones_of_others(
    teaching: Gateway, folder: Path, mutation: str, given: dict[str, Any], person: str
) -> None:
    given = of_mayas(teaching, mutation) | given
    before = kept(folder)

    error = refused(teaching, mutation, person, **given)

    assert error["code"] == "NOT_FOUND"
    assert kept(folder) == before


@pytest.mark.parametrize(("mutation", "given"), CHANGES, ids=str)
def test_strangers_and_services_teach_nobody_and_admins_everybody(
    teaching: Gateway, mutation: str, given: dict[str, Any]
) -> None:
    given = of_mayas(teaching, mutation) | given
    service = service_headers(teaching.database_url, *Scope)

    refusals = [send(teaching, mutation, who, **given) for who in (None, service)]
    by_admin = done(teaching, mutation, "grace", **given)

    assert [each.codes for each in refusals] in ([["FORBIDDEN"]] * 2, [["UNAUTHENTICATED"], ["FORBIDDEN"]])
    assert by_admin["row"]


def of_mayas(gateway: Gateway, mutation: str) -> dict[str, Any]:
    """What is to be changed, if something is."""
    if mutation == "updateKnowledge":
        return {"id": add(gateway, {"text": "Maya's."})["id"]}
    if mutation == "updateQaPair":
        return {"id": done(gateway, "addQaPair", cloneId=MAYAS_DRAFT, **PAIR)["row"]["id"]}
    return {}
