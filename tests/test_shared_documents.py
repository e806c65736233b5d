"""A document that several stores hold is one file at the provider, which goes when the last store lets it go."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.library import send
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    done,
    hits,
    kept,
    new_document,
    new_domain,
    new_expert,
    quick_provisioning,
    quiet,
    referred,
    release,
)
from tests.serving import Gateway

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
    """A gateway that knows all that is at the provider, at the beginning and at the end."""
    yield shared
    fake.heal()
    release(fake)
    quiet(shared)
    assert fake.live() == kept(shared) == referred(shared)


def test_a_document_that_two_stores_hold_is_one_file_and_leaves_each_on_its_own(
    gateway: Gateway, fake: FakeProvider
) -> None:
    domain = new_domain(gateway)
    shared = new_document(gateway, domain, f"Both {uuid4().hex}", FAST)
    expert = new_expert(gateway, domain)
    owners = {"domain": {"domain": domain}, "expert": {"expert": expert}}
    stores = {
        name: done(gateway, "provisionVectorStore", owner=owner)["vectorStore"]["vectorId"]
        for name, owner in owners.items()
    }
    both = [set(fake.stores[store].members) for store in stores.values()]

    done(gateway, "provisionVectorStore", owner=owners["expert"], documentIds=[])
    found = [hit["passage"] for hit in hits(gateway, {"domainId": domain}, "tortoises")]
    one = [set(fake.stores[store].members) for store in stores.values()]
    send(gateway, "updateDocument", id=shared, includedInDefault=False)
    quiet(gateway)

    assert both[0] == both[1]
    assert len(both[0]) == 1
    assert (found, one) == ([FAST], [both[0], set()])
    assert not both[0] & set(fake.files)


def test_a_document_that_two_stores_hold_is_sent_once_when_it_changes(gateway: Gateway, fake: FakeProvider) -> None:
    domain = new_domain(gateway)
    shared = new_document(gateway, domain, f"Both {uuid4().hex}", FAST)
    expert = new_expert(gateway, domain)
    stores = [
        done(gateway, "provisionVectorStore", owner=owner)["vectorStore"]["vectorId"]
        for owner in ({"domain": domain}, {"expert": expert})
    ]
    before, sent = fake.live(), fake.count("POST /v1/files")

    send(gateway, "updateDocument", id=shared, file=("both.md", SLOW.encode()))
    quiet(gateway)

    members = [set(fake.stores[store].members) for store in stores]
    assert fake.count("POST /v1/files") - sent == 1
    assert {fake.files[each].text for each in members[0] | members[1]} == {SLOW}
    assert members[0] == members[1]
    assert len(fake.live()) == len(before)


@pytest.mark.parametrize("first", ["domain", "expert"])
def test_a_document_that_another_store_holds_stays_until_that_one_goes(
    gateway: Gateway, fake: FakeProvider, first: str
) -> None:
    before = fake.live()
    domain = new_domain(gateway)
    new_document(gateway, domain, f"Both {uuid4().hex}", FAST)
    owners = {"domain": {"domain": domain}, "expert": {"expert": new_expert(gateway, domain)}}
    stores = {name: done(gateway, "provisionVectorStore", owner=owners[name])["vectorStore"] for name in owners}
    second = next(name for name in owners if name != first)
    held = set(fake.stores[stores[second]["vectorId"]].members)

    done(gateway, "deprovisionVectorStore", owner=owners[first])
    left = set(fake.stores[stores[second]["vectorId"]].members)
    synced = done(gateway, "syncKnowledge", owner=owners[second])
    still_held = fake.held(stores[second]["vectorId"])
    done(gateway, "deprovisionVectorStore", owner=owners[second])

    assert left == held
    assert (synced["status"], len(still_held)) == ("READY", 1)
    assert fake.live() == before


def test_a_document_that_is_deleted_leaves_every_store_and_the_others_work_on(
    gateway: Gateway, fake: FakeProvider
) -> None:
    domain = new_domain(gateway)
    deleted = new_document(gateway, domain, f"Deleted {uuid4().hex}", FAST)
    new_document(gateway, domain, f"Kept {uuid4().hex}", "Hares are slow.")
    owners = [{"domain": domain}, {"expert": new_expert(gateway, domain)}]
    stores = [done(gateway, "provisionVectorStore", owner=owner)["vectorStore"]["vectorId"] for owner in owners]

    send(gateway, "deleteDocument", id=deleted)
    quiet(gateway)

    assert [len(fake.held(store)) for store in stores] == [1, 1]
    assert hits(gateway, {"domainId": domain}, "tortoises") == []
    assert [hit["passage"] for hit in hits(gateway, {"domainId": domain}, "hares")] == ["Hares are slow."]
    assert [done(gateway, "syncKnowledge", owner=owner)["status"] for owner in owners] == ["READY", "READY"]
