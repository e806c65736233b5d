"""A file that cannot be read fails alone, and its step says why, and what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resolvers.provisioning import provision as provision_turn
from resolvers.provisioning.openai_errors import MEMBER_ERRORS
from tests.money import key_of, sql
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    begin,
    done,
    ended,
    errors,
    hits,
    know,
    new_clone,
    provision,
    quick_provisioning,
    quiet,
    release,
)
from tests.serving import Gateway

FAST, SLOW = "Tortoises are fast.", "Hares are slow."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def shared(server_url: str, template: str, folder: Path, fake: FakeProvider) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, folder, fake) as running:
        yield running


@pytest.fixture
def gateway(shared: Gateway, fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway whose provider reads everything, at the beginning and at the end."""
    yield shared
    fake.heal()
    release(fake)
    quiet(shared)


def statuses(gateway: Gateway, clone: str) -> dict[str, str]:
    """How far each piece of knowledge of a clone is, by its title."""
    query = "query($id: ID!) { clone(id: $id) { knowledge(first: 9) { nodes { title processingStatus } } } }"
    nodes = gateway.ask(query, as_="maya", id=clone).data["clone"]["knowledge"]["nodes"]
    return {each["title"]: each["processingStatus"] for each in nodes}


def lose(gateway: Gateway, folder: Path, clone: str, title: str) -> Path:
    """Move the file of a piece of knowledge away, and return where it is by then."""
    (row,) = sql(
        gateway.database_url,
        "SELECT file_url FROM knowledge WHERE clone_id = $1 AND title = $2",
        key_of(clone),
        title,
    )
    path = next(each for each in folder.rglob("*") if each.is_file() and row["file_url"].endswith(each.name))
    return path.rename(path.with_suffix(".away"))


@pytest.mark.parametrize("code", [*MEMBER_ERRORS, "something_new"])
def test_a_file_that_the_provider_cannot_read_says_why_and_what_to_do(
    gateway: Gateway, fake: FakeProvider, code: str
) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    fake.unreadable("*Note-0*", code)

    found = provision(gateway, clone)

    told = MEMBER_ERRORS.get(code, "The AI provider could not read the file. Try again, or upload it as plain text.")
    assert (found["status"], found["progress"], found["error"]) == ("READY_PARTIAL", 1, None)
    assert errors(found) == {"Note 0": told}
    assert statuses(gateway, clone) == {"Note 0": "FAILED", "Note 1": "COMPLETED"}
    assert hits(gateway, {"cloneId": clone}, "tortoises") == []
    assert [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, "hares")] == [SLOW]
    assert found["assistant"]


def test_a_failed_file_is_replaced_by_one_that_can_be_read(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    fake.unreadable("*Note-0*")
    partial = provision(gateway, clone)
    fake.readable()
    before = fake.live()
    (failed,) = (step["knowledge"]["id"] for step in partial["steps"]["nodes"] if step["status"] == "FAILED")

    mended = done(gateway, "updateKnowledge", id=failed, content={"text": "Tortoises are mended."})

    assert (mended["status"], errors(mended)) == ("READY", {})
    assert statuses(gateway, clone) == {"Note 0": "COMPLETED", "Note 1": "COMPLETED"}
    assert len(fake.live()) == len(before)


def test_a_file_that_cannot_be_read_is_told_again_until_it_is_mended_or_gone(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    fake.unreadable("*Note-0*")
    partial = provision(gateway, clone)
    (failed,) = (step["knowledge"]["id"] for step in partial["steps"]["nodes"] if step["status"] == "FAILED")
    sent = fake.count("POST /v1/files")

    added = ended(gateway, know(gateway, clone, "Another", "Snails are late.")["operation"]["id"])
    sent_again = fake.count("POST /v1/files") - sent
    gone = done(gateway, "deleteKnowledge", id=failed)

    assert (added["status"], errors(added)) == ("READY_PARTIAL", errors(partial))
    assert sent_again == 1
    assert (gone["status"], errors(gone)) == ("READY", {})


def test_where_no_file_can_be_read_the_operation_fails_and_can_be_tried_again(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    fake.unreadable("*")

    failed = provision(gateway, clone)
    fake.readable()
    begin(gateway, "retryOperation", id=failed["id"])
    found = ended(gateway, failed["id"])

    assert (failed["status"], failed["error"]["code"], failed["error"]["retryable"]) == (
        "FAILED",
        "NOTHING_READ",
        True,
    )
    assert set(errors(failed)) == {"Note 0", "Note 1"}
    assert failed["assistant"] is None
    assert (found["status"], errors(found)) == ("READY", {})


def test_a_file_that_is_never_read_is_given_up_and_the_rest_is_done(
    gateway: Gateway, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision_turn, "PATIENCE", 0.3)
    monkeypatch.setattr(provision_turn, "PATIENCE_PER_FILE", 0)
    clone = new_clone(gateway, FAST, SLOW)
    fake.never_read("*Note-0*")

    found = provision(gateway, clone)

    assert found["status"] == "READY_PARTIAL"
    assert errors(found) == {"Note 0": "The provider did not read it in time. Try again later: retryOperation."}
    assert statuses(gateway, clone) == {"Note 0": "FAILED", "Note 1": "COMPLETED"}


def test_a_file_that_was_given_up_is_read_after_all_when_it_is_tried_again(
    gateway: Gateway, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    fake.never_read("*Note-0*")
    with monkeypatch.context() as patch:
        patch.setattr(provision_turn, "PATIENCE", 0.3)
        patch.setattr(provision_turn, "PATIENCE_PER_FILE", 0)
        partial = provision(gateway, clone)
    fake.readable()
    before = fake.live()

    begin(gateway, "retryOperation", id=partial["id"])
    found = ended(gateway, partial["id"])

    assert (found["status"], errors(found)) == ("READY", {})
    assert len(fake.live()) == len(before)
    assert [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, "tortoises")] == [FAST]


def test_a_file_that_is_not_in_the_storage_any_more_is_asked_for(gateway: Gateway, folder: Path) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    away = lose(gateway, folder, clone, "Note 0")

    partial = provision(gateway, clone)
    away.rename(away.with_suffix(".txt"))
    begin(gateway, "retryOperation", id=partial["id"])

    assert partial["status"] == "READY_PARTIAL"
    assert errors(partial) == {"Note 0": "The file is not in the storage any more. Upload it again."}
    assert ended(gateway, partial["id"])["status"] == "READY"


@pytest.mark.parametrize("link", ["https://example.com/a.pdf", None], ids=str)
def test_a_file_that_another_program_keeps_is_asked_for(gateway: Gateway, link: Any) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    sql(
        gateway.database_url,
        "UPDATE knowledge SET file_url = $2 WHERE clone_id = $1 AND title = 'Note 0'",
        key_of(clone),
        link,
    )

    found = provision(gateway, clone)

    assert found["status"] == "READY_PARTIAL"
    assert errors(found) == {
        "Note 0": f"The file is not kept here ({link or 'there is no link to it'}). Upload it again, and it is read."
    }


def test_a_change_whose_file_is_lost_keeps_what_was_there(gateway: Gateway, folder: Path, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    provision(gateway, clone)
    sql(
        gateway.database_url,
        "UPDATE knowledge SET sha256 = repeat('0', 64), file_url = 'https://example.com/b.md' WHERE clone_id = $1"
        " AND title = 'Note 0'",
        key_of(clone),
    )

    found = done(gateway, "syncKnowledge", owner={"clone": clone})

    assert found["status"] == "READY_PARTIAL"
    assert errors(found)["Note 0"].endswith(" What was there before is still found.")
    assert [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, "tortoises")] == [FAST]
