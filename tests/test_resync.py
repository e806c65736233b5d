"""What has changed arrives in the stores by itself, and readers always find the old or the new."""

import math
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.library import send
from tests.provider_fake import FakeProvider, Status
from tests.provisioning import (
    ask,
    done,
    ended,
    errors,
    hits,
    know,
    new_clone,
    new_document,
    new_domain,
    new_expert,
    operation,
    provision,
    quick_provisioning,
    quiet,
    release,
    until,
)
from tests.serving import Gateway
from tests.test_operation_leases import wait_until

FAST, SLOW = "Tortoises are fast.", "Tortoises are slow."


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def shared(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, tmp_path_factory.mktemp("storage"), fake) as running:
        yield running


@pytest.fixture
def gateway(shared: Gateway, fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway where nothing is on its way to the provider, which reads at once, at the beginning and at the end."""
    yield shared
    fake.heal()
    release(fake)
    quiet(shared)


def notes(gateway: Gateway, clone: str) -> dict[str, Any]:
    """What a clone knows, by title."""
    query = "query($id: ID!) { clone(id: $id) { knowledge(first: 9) { nodes { id title processingStatus } } } }"
    nodes = gateway.ask(query, as_="maya", id=clone).data["clone"]["knowledge"]["nodes"]
    return {each["title"]: each for each in nodes}


def passages(gateway: Gateway, clone: str, query: str) -> list[str]:
    """The words that searching in a clone finds."""
    return [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, query)]


def configs(gateway: Gateway, clone: str) -> list[Any]:
    """The versions of the configuration of a clone's assistant, the newest first."""
    query = """query($id: ID!) { clone(id: $id) { assistant { configs(first: 9) { nodes {
        version model instructions temperature maxOutputTokens vectorStoreIds } } } } }"""
    found: list[Any] = gateway.ask(query, as_="maya", id=clone).data["clone"]["assistant"]["configs"]["nodes"]
    return found


def test_while_a_change_is_read_searching_finds_the_old_or_the_new(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST, "Hares are fast.")
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    before = fake.live()
    at_the_provider: list[set[str]] = []
    fake.on_call = lambda call, moment: at_the_provider.append(
        {each["text"] for each in fake.passages([store], "tortoises", 9)}
    )

    fake.indexing_polls = math.inf
    changed = ask(gateway, "updateKnowledge", id=notes(gateway, clone)["Note 0"]["id"], content={"text": SLOW})
    id_ = changed["operation"]["id"]
    until(gateway, id_, lambda found: any(each.polls for each in fake.stores[store].members.values()))
    unread = passages(gateway, clone, "tortoises")
    found_meanwhile = []
    fake.indexing_polls = 0
    for member in fake.stores[store].members.values():
        member.polls = min(member.polls, 5)
    while not operation(gateway, id_)["endedAt"]:
        found_meanwhile += [tuple(passages(gateway, clone, "tortoises"))]
    fake.on_call = None

    assert unread == [FAST]
    assert ended(gateway, id_)["status"] == "READY"
    assert passages(gateway, clone, "tortoises") == [SLOW]
    assert all(found and set(found) <= {FAST, SLOW} for found in found_meanwhile)
    assert all(at_the_provider)
    assert len(fake.live() - before) == len(before - fake.live()) == 1


def test_while_a_change_is_read_the_knowledge_says_so(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    provision(gateway, clone)
    fake.indexing_polls = math.inf

    changed = ask(gateway, "updateKnowledge", id=notes(gateway, clone)["Note 0"]["id"], content={"text": SLOW})
    until(gateway, changed["operation"]["id"], lambda found: found["status"] == "INDEXING")
    wait_until(lambda: notes(gateway, clone)["Note 0"]["processingStatus"] != "PENDING")
    meanwhile = notes(gateway, clone)["Note 0"]["processingStatus"]
    release(fake)
    ended(gateway, changed["operation"]["id"])

    assert (meanwhile, notes(gateway, clone)["Note 0"]["processingStatus"]) == ("PROCESSING", "COMPLETED")


def test_a_new_version_that_cannot_be_read_keeps_the_old_until_a_good_one_comes(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, FAST, "Hares are fast.")
    provision(gateway, clone)
    before = fake.live()
    note = notes(gateway, clone)["Note 0"]["id"]

    fake.unreadable("*Note-0*", "invalid_file")
    failed = done(gateway, "updateKnowledge", id=note, content={"text": "Tortoises are broken."})
    kept = passages(gateway, clone, "tortoises")
    status = notes(gateway, clone)["Note 0"]["processingStatus"]
    fake.readable()
    mended = done(gateway, "updateKnowledge", id=note, content={"text": SLOW})

    assert failed["status"] == "READY_PARTIAL"
    assert errors(failed) == {
        "Note 0": "The file is broken, empty or locked. Open it, save it again, and upload the new one."
        " What was there before is still found."
    }
    assert (kept, status) == ([FAST], "FAILED")
    assert (mended["status"], passages(gateway, clone, "tortoises")) == ("READY", [SLOW])
    assert len(fake.live()) == len(before)


def test_a_new_version_that_the_provider_does_not_take_keeps_the_old(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST, "Hares are fast.")
    provision(gateway, clone)
    before = fake.live()
    fake.fail("POST /v1/files", Status(400, message="No such thing."))

    failed = done(gateway, "updateKnowledge", id=notes(gateway, clone)["Note 0"]["id"], content={"text": SLOW})

    assert failed["status"] == "READY_PARTIAL"
    assert errors(failed) == {
        "Note 0": "The AI provider refuses this. It says: No such thing. What was there before is still found."
    }
    assert passages(gateway, clone, "tortoises") == [FAST]
    assert fake.live() == before


def test_a_change_that_is_taken_back_ends_with_the_first(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    provision(gateway, clone)
    before = fake.live()
    note = notes(gateway, clone)["Note 0"]["id"]

    done(gateway, "updateKnowledge", id=note, content={"text": SLOW})
    done(gateway, "updateKnowledge", id=note, content={"text": FAST})

    assert passages(gateway, clone, "tortoises") == [FAST]
    assert len(fake.live()) == len(before)


def test_what_changes_again_while_it_is_read_ends_with_the_last(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    provision(gateway, clone)
    before = fake.live()
    note = notes(gateway, clone)["Note 0"]["id"]
    fake.indexing_polls = math.inf
    first = ask(gateway, "updateKnowledge", id=note, content={"text": "Tortoises are late."})["operation"]["id"]
    until(gateway, first, lambda found: found["status"] == "INDEXING")

    second = ask(gateway, "updateKnowledge", id=note, content={"text": SLOW})["operation"]["id"]
    release(fake)

    assert second == first
    assert ended(gateway, first)["status"] == "READY"
    assert passages(gateway, clone, "tortoises") == [SLOW]
    assert len(fake.live()) == len(before)


def test_knowledge_and_answers_arrive_and_go_by_themselves(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Hares are fast.")
    provision(gateway, clone)
    before = fake.live()

    note = know(gateway, clone, "Note 1", FAST)
    pair = ask(gateway, "addQaPair", cloneId=clone, question="Do tortoises sleep?", answer="In winter.")
    quiet(gateway)
    arrived = {hit["fileName"].partition(".")[2][33:] for hit in hits(gateway, {"cloneId": clone}, "tortoises")}
    changed = done(gateway, "updateQaPair", id=pair["qaPair"]["id"], answer="Always.")
    answers = passages(gateway, clone, "tortoises sleep always")
    ask(gateway, "updateQaPair", id=pair["qaPair"]["id"], isActive=False)
    ask(gateway, "deleteKnowledge", id=note["knowledge"]["id"])
    quiet(gateway)

    assert arrived == {"Note-1.txt", "Questions-and-answers.md"}
    assert changed["kind"] == "SYNC"
    assert "Always." in answers
    assert passages(gateway, clone, "tortoises") == []
    assert fake.live() == before


def test_a_default_document_arrives_in_the_store_of_its_domain_and_leaves_it(
    gateway: Gateway, fake: FakeProvider
) -> None:
    domain = new_domain(gateway, f"Basics {uuid4().hex}")
    store = done(gateway, "provisionVectorStore", owner={"domain": domain})["vectorStore"]["vectorId"]

    document = new_document(gateway, domain, f"More {uuid4().hex}", FAST)
    quiet(gateway)
    arrived = [hit["document"]["id"] for hit in hits(gateway, {"domainId": domain}, "tortoises")]
    send(gateway, "updateDocument", id=document, file=("more.md", SLOW.encode()))
    quiet(gateway)
    changed = [hit["passage"] for hit in hits(gateway, {"domainId": domain}, "tortoises")]
    send(gateway, "updateDocument", id=document, includedInDefault=False)
    quiet(gateway)

    assert arrived == [document]
    assert changed == [SLOW]
    assert hits(gateway, {"domainId": domain}, "tortoises") == []
    assert len(fake.stores[store].members) == 1


def test_a_changed_clone_is_configured_anew_and_nothing_is_asked_of_the_provider(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, "Hares are fast.")
    ask(gateway, "updateClone", id=clone, systemPrompt="You are brief.")
    provision(gateway, clone)
    quiet(gateway)
    calls = len(fake.calls)
    expert = new_expert(gateway, new_domain(gateway), "You know tortoises.")

    ask(gateway, "updateClone", id=clone, systemPrompt="You are kind.", temperature=0.5)
    ask(gateway, "updateClone", id=clone, systemPrompt="You are kind.")
    ask(gateway, "updateClone", id=clone, bio="Somebody else.", category="Animals")
    ask(gateway, "assignExperts", id=clone, expertIds=[expert])
    quiet(gateway)

    newest, second, first = configs(gateway, clone)
    assert len(fake.calls) == calls
    assert [each["version"] for each in (newest, second, first)] == [3, 2, 1]
    assert first["instructions"].startswith("You are brief.")
    assert second["instructions"].startswith("You are kind.")
    assert (first["temperature"], second["temperature"]) != (0.5, 0.5)
    assert newest == {**second, "version": 3, "instructions": "You are kind.\n\nYou know tortoises."}
