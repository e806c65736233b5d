"""Workers are killed before and after each thing that they do at the provider: another one goes on.

What is there in the end is held against the database after each test: nothing is there twice, and nothing is forgotten.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.killing import ATTACH, MAKE, PUT, Doom, Late, Workers, beside_workers
from tests.money import sql
from tests.provider_audit import differences
from tests.provider_fake import FakeProvider, Moment
from tests.provisioning import (
    ask,
    done,
    ended,
    new_clone,
    new_document,
    new_domain,
    quiet,
    titles,
)
from tests.provisioning import provision as provisioned
from tests.serving import Gateway

ATTACH_ONE, STATUS = "POST /v1/vector_stores/*/files", "GET /v1/vector_stores/*/files"
DETACH, DELETE, DELETE_STORE = "DELETE /v1/vector_stores/*/files/*", "DELETE /v1/files/*", "DELETE /v1/vector_stores/*"
LOOKS = {PUT: "GET /v1/files", MAKE: "GET /v1/vector_stores"}
DELETIONS = {PUT: DELETE, MAKE: DELETE_STORE}
NOTES = "Recall makes learning last.", "Spacing does, too."
HOUR = 3600
DRIFT = "{ providerDrift { isOrphan kind remoteId } }"
KNOWLEDGE = "query($id: ID!) { clone(id: $id) { knowledge(first: 1) { nodes { id } } } }"

moments = pytest.mark.parametrize("moment", ["before", "after"])


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def both(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[tuple[Gateway, Workers]]:
    with beside_workers(server_url, template, tmp_path_factory.mktemp("workers"), fake) as both:
        yield both


@pytest.fixture
def gateway(both: tuple[Gateway, Workers], fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway that does nothing by itself. Each test ends with a provider that has what the database says."""
    gateway, _ = both
    yield gateway
    quiet(gateway)
    fake.on_call = None
    assert differences(fake, gateway.database_url) == []


@pytest.fixture
def workers(both: tuple[Gateway, Workers]) -> Workers:
    """Two workers beside it."""
    return both[1]


@pytest.mark.parametrize("act", [PUT, MAKE, ATTACH, STATUS])
@moments
def test_a_clone_is_provisioned_once_though_its_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    clone = new_clone(gateway, *NOTES)
    doom = Doom(fake, workers, (act, moment))

    found = provisioned(gateway, clone)

    assert (found["status"], found["error"], doom.fates) == ("READY", None, [])
    assert titles(fake, found["vectorStore"]["vectorId"]) == {"Note-0.txt", "Note-1.txt"}
    assert (doom.count(PUT), doom.count(MAKE), doom.count(ATTACH)) == (2, 1, 1)


@moments
def test_files_are_attached_once_though_the_server_takes_one_at_a_time_and_a_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, moment: Moment
) -> None:
    clone = new_clone(gateway, *NOTES)
    doom = Doom(fake, workers, (ATTACH_ONE, moment))
    fake.no_file_batches = True

    found = provisioned(gateway, clone)
    fake.no_file_batches = False
    for worker in list(workers.running):  # they would never try batches again
        workers.replace(worker)

    assert (found["status"], found["error"], doom.fates) == ("READY", None, [])
    assert len(titles(fake, found["vectorStore"]["vectorId"])) == doom.count(ATTACH_ONE) == 2


@pytest.mark.parametrize("act", [PUT, ATTACH, STATUS, DETACH, DELETE])
@moments
def test_a_store_is_brought_up_to_date_once_though_its_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    clone = new_clone(gateway, *NOTES)
    store = provisioned(gateway, clone)["vectorStore"]["vectorId"]
    before = set(fake.files)
    doom = Doom(fake, workers, (act, moment))

    found = done(gateway, "updateKnowledge", id=knowledge(gateway, clone), content={"text": "Sleep helps."})

    assert (found["status"], found["error"], doom.fates) == ("READY", None, [])
    assert {fake.files[each].text for each in fake.stores[store].members} == {"Sleep helps.", NOTES[1]}
    assert len(set(fake.files) - before) == len(before - set(fake.files)) == 1
    assert (doom.count(PUT), doom.count(ATTACH)) == (1, 1)


@pytest.mark.parametrize("act", [DELETE_STORE, DELETE])
@moments
def test_nothing_is_left_of_a_store_though_its_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    before = fake.live()
    clone = new_clone(gateway, *NOTES)
    provisioned(gateway, clone)
    doom = Doom(fake, workers, (act, moment))

    found = done(gateway, "deprovisionVectorStore", owner={"clone": clone})

    assert (found["status"], found["error"], doom.fates) == ("DELETED", None, [])
    assert fake.live() == before


@pytest.mark.parametrize("act", [DETACH, DELETE])
@moments
def test_a_document_is_deleted_everywhere_though_its_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    kept, deleted = uuid4().hex, uuid4().hex
    domain = new_domain(gateway, kept)
    document = new_document(gateway, domain, deleted)
    store = done(gateway, "provisionVectorStore", owner={"domain": domain})["vectorStore"]["vectorId"]
    doom = Doom(fake, workers, (act, moment))

    found = done(gateway, "deleteDocument", id=document)

    assert (found["status"], found["error"], doom.fates) == ("DELETED", None, [])
    assert titles(fake, store) == {f"{kept}.md"}
    assert is_gone(gateway, document)


@pytest.mark.parametrize("act", [DELETE_STORE, DELETE])
@moments
def test_a_domain_is_deleted_with_all_that_it_has_though_its_worker_is_killed(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    before = fake.live()
    domain = new_domain(gateway, uuid4().hex, uuid4().hex)
    done(gateway, "provisionVectorStore", owner={"domain": domain})
    doom = Doom(fake, workers, (act, moment))

    found = done(gateway, "deleteDomain", id=domain)

    assert (found["status"], found["error"], doom.fates) == ("DELETED", None, [])
    assert fake.live() == before
    assert is_gone(gateway, domain)


@pytest.mark.parametrize("act", LOOKS)
@moments
def test_what_was_made_is_found_though_the_worker_that_looks_for_it_is_killed_too(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, moment: Moment
) -> None:
    clone = new_clone(gateway, NOTES[0])
    doom = Doom(fake, workers, (act, "after"), (LOOKS[act], moment))

    found = provisioned(gateway, clone)

    assert (found["status"], doom.fates) == ("READY", [])
    assert (doom.count(PUT), doom.count(MAKE)) == (1, 1)


@pytest.mark.parametrize("act", DELETIONS)
@pytest.mark.parametrize(
    "killed", [None, "before", "after"], ids=lambda each: f"killed {each}" if each else "not killed"
)
def test_what_a_dead_worker_has_asked_for_and_comes_late_is_deleted_again(
    gateway: Gateway, fake: FakeProvider, workers: Workers, act: str, killed: Moment | None
) -> None:
    clone = new_clone(gateway, NOTES[0])
    doom = Late(fake, workers, act, *([(DELETIONS[act], killed)] if killed else []))

    found = provisioned(gateway, clone)

    assert (found["status"], doom.fates) == ("READY", [])
    assert (doom.count(act), doom.count(DELETIONS[act])) == (2, 1)


@pytest.mark.parametrize("change", ["updateKnowledge", "deleteKnowledge"])
def test_what_was_made_of_words_that_have_changed_since_does_not_stay(
    gateway: Gateway, fake: FakeProvider, workers: Workers, change: str
) -> None:
    clone = new_clone(gateway, *NOTES)
    given: dict[str, Any] = {"id": knowledge(gateway, clone)}
    if change == "updateKnowledge":
        given["content"] = {"text": "Sleep helps."}
    doom = Doom(fake, workers, (PUT, "after"), then=lambda: ask(gateway, change, **given))

    found = provisioned(gateway, clone)
    members = fake.stores[found["vectorStore"]["vectorId"]].members

    assert (found["status"], doom.fates) == ("READY", [])
    assert {fake.files[each].text for each in members} == {NOTES[1], *({"Sleep helps."} if "content" in given else ())}


def test_what_a_crash_and_then_a_cancellation_left_is_seen_and_a_retry_goes_on_with_it(
    gateway: Gateway, fake: FakeProvider, workers: Workers
) -> None:
    clone = new_clone(gateway, NOTES[0])
    before = set(fake.files)

    doom = Doom(fake, workers, (PUT, "after"), then=lambda: cancel(gateway))
    found = done(gateway, "provisionClone", cloneId=clone)
    (left,) = (file for id_, file in fake.files.items() if id_ not in before)
    left.created_at -= HOUR
    shown = gateway.ask(DRIFT, as_="grace").data["providerDrift"]
    left.created_at += HOUR
    ask(gateway, "retryOperation", id=found["id"])

    assert (found["status"], doom.fates) == ("CANCELLED", [])
    assert shown == [{"isOrphan": True, "kind": "file", "remoteId": left.id}]
    assert ended(gateway, found["id"])["status"] == "READY"
    assert doom.count(PUT) == 1


@pytest.mark.parametrize("mutation", ["deleteDocument", "deleteDomain"])
def test_a_file_that_was_sent_before_a_crash_and_a_cancellation_goes_with_its_document(
    gateway: Gateway, fake: FakeProvider, workers: Workers, mutation: str
) -> None:
    before = fake.live()
    domain = new_domain(gateway)
    document = new_document(gateway, domain, uuid4().hex)
    doom = Doom(fake, workers, (MAKE, "before"), then=lambda: cancel(gateway))
    found = done(gateway, "provisionVectorStore", owner={"domain": domain})
    sent = fake.live() - before

    done(gateway, mutation, id=document if mutation == "deleteDocument" else domain)

    assert (found["status"], doom.fates) == ("CANCELLED", [])
    assert (len(sent), fake.live()) == (1, before)
    assert is_gone(gateway, document)


def knowledge(gateway: Gateway, clone: str) -> str:
    """The id of the first thing that a clone knows."""
    id_: str = gateway.ask(KNOWLEDGE, as_="maya", id=clone).data["clone"]["knowledge"]["nodes"][0]["id"]
    return id_


def cancel(gateway: Gateway) -> None:
    """Have what is being done given up."""
    (row,) = sql(gateway.database_url, "SELECT id FROM operations WHERE ended_at IS NULL")
    ask(gateway, "cancelOperation", id=f"operation_{row['id'].hex}")


def is_gone(gateway: Gateway, id_: str) -> bool:
    found = gateway.ask("query($id: ID!) { node(id: $id) { id } }", as_="grace", id=id_).data["node"]
    return found is None
