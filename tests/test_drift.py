"""What is made or deleted at the provider behind our back is found and mended, and things of others are left alone."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.money import sql
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    begin,
    done,
    ended,
    hits,
    kept,
    know,
    new_clone,
    new_domain,
    new_expert,
    provision,
    quick_provisioning,
    quiet,
    referred,
    release,
)
from tests.serving import Gateway

FAST, SLOW = "Tortoises are fast.", "Hares are slow."
DRIFT = "{ providerDrift { isOrphan kind remoteId name subject } }"
INSTANCE = "clonegraph"
OLD = 3_600


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


def age(gateway: Gateway, fake: FakeProvider) -> None:
    """Let all that is at the provider be older."""
    kept_there: list[Any] = [*fake.files.values(), *fake.stores.values()]
    for each in kept_there:
        each.created_at = int(time.time()) - OLD
    sql(gateway.database_url, "UPDATE remote_objects SET updated_at = updated_at - interval '1 hour'")


def drift(gateway: Gateway) -> list[tuple[bool, str, str]]:
    """In what the provider and the database differ."""
    found = gateway.ask(DRIFT, as_="grace").data["providerDrift"]
    return sorted((each["isOrphan"], each["kind"], each["remoteId"]) for each in found)


def orphan_file(fake: FakeProvider, instance: str = INSTANCE) -> str:
    """The id of a file that bears the name of a gateway that does not know it."""
    id_: str = fake.put_file(f"{instance}.{'0' * 32}.Lost.txt", 4, "", b"Lost")["id"]
    return id_


def orphan_store(fake: FakeProvider, instance: str = INSTANCE) -> str:
    """The id of such a store."""
    metadata = {"instance": instance, "name": f"{instance}.{'0' * 32}.Lost", "owner": "clone:nobody:store"}
    id_: str = fake.make_store({"name": "Lost", "metadata": metadata})["id"]
    return id_


def repaired(gateway: Gateway) -> Any:
    """The operation that mended the differences, once all that came of it is done."""
    found = ended(gateway, begin(gateway, "repairDrift", "grace"))
    quiet(gateway)
    return found


def passages(gateway: Gateway, clone: str) -> list[str]:
    """The words about tortoises that searching in a clone finds."""
    return [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, "tortoises")]


def test_where_nothing_differs_there_is_nothing_to_mend(gateway: Gateway, fake: FakeProvider) -> None:
    provision(gateway, new_clone(gateway, FAST))
    age(gateway, fake)
    before, changes = fake.live(), len([call for call in fake.calls if call.method != "GET"])

    found = repaired(gateway)

    assert drift(gateway) == []
    assert (found["status"], found["steps"]["nodes"]) == ("READY", [])
    assert (fake.live(), len([call for call in fake.calls if call.method != "GET"])) == (before, changes)


def test_what_nobody_knows_is_shown_and_deleted_and_a_second_repair_finds_nothing(
    gateway: Gateway, fake: FakeProvider
) -> None:
    provision(gateway, new_clone(gateway, FAST))
    before = fake.live()
    orphans = {("file", orphan_file(fake)), ("store", orphan_store(fake))}
    age(gateway, fake)

    shown = drift(gateway)
    found = repaired(gateway)

    assert shown == sorted((True, *each) for each in orphans)
    assert (found["status"], len(found["steps"]["nodes"])) == ("READY", 2)
    assert fake.live() == before
    assert drift(gateway) == []
    assert repaired(gateway)["steps"]["nodes"] == []


def test_things_of_others_on_the_account_are_left_alone(gateway: Gateway, fake: FakeProvider) -> None:
    theirs = {
        ("file", orphan_file(fake, "other")),
        ("file", orphan_file(fake, "clonegraph2")),
        ("file", fake.put_file("clonegraph notes.txt", 4, "", b"Mine")["id"]),
        ("store", orphan_store(fake, "other")),
        ("store", fake.make_store({"name": "clonegraph"})["id"]),
    }
    age(gateway, fake)

    shown = drift(gateway)
    repaired(gateway)
    left = theirs & fake.live()
    for kind, id_ in theirs:
        fake.delete_file(id_) if kind == "file" else fake.delete_store(id_)

    assert shown == []
    assert left == theirs


def test_what_is_being_made_is_no_difference(gateway: Gateway, fake: FakeProvider) -> None:
    young = [("file", orphan_file(fake)), ("store", orphan_store(fake))]

    shown = drift(gateway)
    for kind, id_ in young:
        fake.delete_file(id_) if kind == "file" else fake.delete_store(id_)
    lost = provision(gateway, (clone := new_clone(gateway, FAST)))["vectorStore"]["vectorId"]
    fake.delete_store(lost)
    shown_young = drift(gateway)
    done(gateway, "syncKnowledge", owner={"clone": clone})

    assert shown == shown_young == []


@pytest.mark.parametrize("what", ["file", "store"])
def test_what_is_missing_is_shown_and_made_anew(gateway: Gateway, fake: FakeProvider, what: str) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    before = fake.live()
    lost = {"store": store, "file": next(each for each in fake.stores[store].members if "Note-0" in name(fake, each))}
    fake.delete_store(store) if what == "store" else fake.delete_file(lost["file"])
    age(gateway, fake)

    shown = drift(gateway)
    found = repaired(gateway)

    assert shown == [(False, what, lost[what])]
    assert found["status"] == "READY"
    assert passages(gateway, clone) == [FAST]
    assert len(fake.live()) == len(before)
    assert (what, lost[what]) not in fake.live()
    assert drift(gateway) == []


def test_a_missing_thing_says_what_it_was_made_for(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    fake.delete_store(store)
    age(gateway, fake)

    (found,) = gateway.ask(DRIFT, as_="grace").data["providerDrift"]
    repaired(gateway)

    assert found["name"].startswith(f"{INSTANCE}.")
    assert found["subject"].startswith("clone:")


def test_a_shared_file_that_is_missing_comes_back_to_every_store(gateway: Gateway, fake: FakeProvider) -> None:
    domain = new_domain(gateway, f"Basics {uuid4().hex}")
    owners = [{"domain": domain}, {"expert": new_expert(gateway, domain)}]
    stores = [done(gateway, "provisionVectorStore", owner=owner)["vectorStore"]["vectorId"] for owner in owners]
    (lost,) = fake.stores[stores[0]].members
    fake.delete_file(lost)
    age(gateway, fake)
    sent = fake.count("POST /v1/files")

    repaired(gateway)

    (one,), (other,) = (fake.held(store) for store in stores)
    assert one == other
    assert fake.count("POST /v1/files") - sent == 1


def test_admins_who_repair_at_once_do_it_once(gateway: Gateway, fake: FakeProvider) -> None:
    orphan_file(fake)
    age(gateway, fake)
    fake.delay = 0.2

    begun = {begin(gateway, "repairDrift", "grace") for _ in range(2)}

    assert len(begun) == 1
    assert ended(gateway, begun.pop())["status"] == "READY"


@pytest.mark.parametrize("person", [None, "aiko", "maya"])
def test_only_admins_see_the_account_and_repair_it(gateway: Gateway, person: str | None) -> None:
    answers = [gateway.ask(query, as_=person) for query in (DRIFT, "mutation { repairDrift { operation { id } } }")]

    assert [answer.codes for answer in answers] == [["FORBIDDEN"], ["FORBIDDEN"]]


def test_a_store_that_lost_a_file_gets_it_again(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    before = fake.live()
    lost = next(each for each in fake.stores[store].members if "Note-0" in name(fake, each))
    fake.detach(store, lost)
    missed = passages(gateway, clone)

    again = done(gateway, "syncKnowledge", owner={"clone": clone})

    assert (missed, again["status"]) == ([], "READY")
    assert passages(gateway, clone) == [FAST]
    assert fake.live() == before
    assert lost in fake.stores[store].members


@pytest.mark.parametrize("what", ["file", "store"])
def test_what_was_deleted_is_made_anew_when_the_store_is_looked_at(
    gateway: Gateway, fake: FakeProvider, what: str
) -> None:
    clone = new_clone(gateway, FAST, SLOW)
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    if what == "file":
        fake.delete_file(next(each for each in fake.stores[store].members if "Note-0" in name(fake, each)))
    else:
        fake.delete_store(store)

    again = done(gateway, "syncKnowledge", owner={"clone": clone})
    know(gateway, clone, "Note 2", "Nobody is fast.")
    quiet(gateway)
    query = "query($id: ID!) { clone(id: $id) { vectorStore { vectorId } assistant { config { vectorStoreIds } } } }"
    found = gateway.ask(query, as_="maya", id=clone).data["clone"]

    assert (again["status"], again["error"]) == ("READY", None)
    assert passages(gateway, clone) == [FAST]
    assert [found["vectorStore"]["vectorId"]] == found["assistant"]["config"]["vectorStoreIds"]
    assert len(fake.held(found["vectorStore"]["vectorId"])) == 3


def name(fake: FakeProvider, file_id: str) -> str:
    """What a file is called at the provider."""
    return fake.files[file_id].name
