"""What is deprovisioned leaves nothing at the provider but what others hold, and can be provisioned again."""

import math
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.money import sql
from tests.provider_fake import FakeProvider
from tests.provisioning import (
    ask,
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
    refused,
    release,
    until,
)
from tests.serving import Gateway

FAST = "Tortoises are fast."
CLONE = """query($id: ID!) { clone(id: $id) {
    vectorStore { id } assistant { id } openaiFileIds
    knowledge(first: 9) { nodes { title processingStatus } } } }"""


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


def client(domain: str) -> dict[str, Any]:
    return {"client": {"domainId": domain, "name": "Ada"}}


def test_nothing_is_left_of_a_clone_at_the_provider_and_it_says_so(gateway: Gateway, fake: FakeProvider) -> None:
    before = fake.live()
    clone = new_clone(gateway, FAST, "Hares are slow.")
    ask(gateway, "addQaPair", cloneId=clone, question="Do tortoises sleep?", answer="In winter.")
    provisioned = provision(gateway, clone)

    gone = done(gateway, "deprovisionVectorStore", owner={"clone": clone})

    found = gateway.ask(CLONE, as_="maya", id=clone).data["clone"]
    assert (gone["kind"], gone["status"], gone["progress"]) == ("DEPROVISION", "DELETED", 1)
    assert {step["status"] for step in gone["steps"]["nodes"]} == {"DONE"}
    assert fake.live() == before
    assert (found["vectorStore"], found["assistant"], found["openaiFileIds"]) == (None, None, [])
    assert [each["processingStatus"] for each in found["knowledge"]["nodes"]] == ["PENDING", "PENDING"]
    for id_ in (provisioned["vectorStore"]["id"], provisioned["assistant"]["id"]):
        node = gateway.ask("query($id: ID!) { node(id: $id) { id } }", as_="grace", id=id_)
        assert node.data["node"] is None


def test_what_is_gone_cannot_be_removed_again_but_made_anew(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    owner: dict[str, Any] = {"owner": {"clone": clone}}
    first = provision(gateway, clone)
    done(gateway, "deprovisionVectorStore", **owner)

    again = refused(gateway, "deprovisionVectorStore", **owner)
    anew = provision(gateway, clone)

    assert again == ("NOT_FOUND", ["input", "owner", "clone"])
    assert anew["status"] == "READY"
    assert anew["vectorStore"]["vectorId"] != first["vectorStore"]["vectorId"]
    assert [hit["passage"] for hit in hits(gateway, {"cloneId": clone}, "tortoises")] == [FAST]


@pytest.mark.parametrize("kind", ["domain", "expert", "client"])
def test_each_owner_has_its_store_removed(gateway: Gateway, fake: FakeProvider, kind: str) -> None:
    before = fake.live()
    domain = new_domain(gateway, f"Basics {uuid4().hex}")
    expert = new_expert(gateway, domain)
    owner = {"domain": {"domain": domain}, "expert": {"expert": expert}, "client": client(domain)}[kind]
    made = done(gateway, "provisionVectorStore", owner=owner)

    gone = done(gateway, "deprovisionVectorStore", owner=owner)

    assert (made["status"], gone["status"]) == ("READY", "DELETED")
    assert fake.live() == before


def test_the_assistant_of_an_expert_goes_with_its_store(gateway: Gateway) -> None:
    expert = new_expert(gateway, new_domain(gateway))
    made = done(gateway, "provisionAssistant", expertId=expert)

    done(gateway, "deprovisionVectorStore", owner={"expert": expert})
    query = "query($id: ID!) { expert(id: $id) { id assistants(first: 9) { nodes { id } } } }"
    found = gateway.ask(query, as_="maya", id=expert).data["expert"]

    assert made["assistant"]
    assert found == {"id": expert, "assistants": {"nodes": []}}


def test_what_is_being_provisioned_has_to_be_given_up_before_it_is_removed(
    gateway: Gateway, fake: FakeProvider
) -> None:
    before = fake.live()
    clone = new_clone(gateway, FAST)
    owner: dict[str, Any] = {"owner": {"clone": clone}}
    fake.indexing_polls = math.inf
    id_ = begin(gateway, "provisionClone", cloneId=clone)
    until(gateway, id_, lambda found: found["status"] == "INDEXING")

    too_early = refused(gateway, "deprovisionVectorStore", **owner)
    ask(gateway, "cancelOperation", id=id_)
    ended(gateway, id_)
    gone = done(gateway, "deprovisionVectorStore", **owner)

    assert too_early == ("OPERATION_IN_PROGRESS", ["input"])
    assert gone["status"] == "DELETED"
    assert fake.live() == before


def test_knowledge_that_is_added_while_the_store_goes_waits_for_the_next_one(
    gateway: Gateway, fake: FakeProvider
) -> None:
    before = fake.live()
    clone = new_clone(gateway, FAST)
    provision(gateway, clone)
    fake.delay = 0.2

    id_ = begin(gateway, "deprovisionVectorStore", owner={"clone": clone})
    added = know(gateway, clone, "Late", "Snails are late.")
    fake.delay = 0
    gone = ended(gateway, id_)
    quiet(gateway)
    left = fake.live()
    anew = provision(gateway, clone)

    assert added["userErrors"] == []
    assert gone["status"] == "DELETED"
    assert left == before
    assert sorted(step["title"] for step in anew["steps"]["nodes"] if step["kind"] == "FILE") == ["Late", "Note 0"]


def test_a_store_that_is_gone_already_is_removed_without_a_fault(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, FAST)
    store = provision(gateway, clone)["vectorStore"]["vectorId"]
    for file in list(fake.stores[store].members):
        fake.delete_file(file)
    fake.delete_store(store)

    gone = done(gateway, "deprovisionVectorStore", owner={"clone": clone})

    assert (gone["status"], gone["error"]) == ("DELETED", None)


def test_a_store_at_another_provider_is_not_taken_for_ones_own(gateway: Gateway) -> None:
    (row,) = sql(
        gateway.database_url,
        """SELECT clones.id FROM clones JOIN vector_stores ON vector_id = vector_store_id
        WHERE provider = 'local' AND creator_id = (SELECT id FROM user_profiles WHERE email = 'maya@example.com')
        LIMIT 1""",
    )
    owner = {"clone": f"clone_{row['id'].hex}"}

    assert refused(gateway, "deprovisionVectorStore", owner=owner) == ("NOT_FOUND", ["input", "owner", "clone"])
    assert hits(gateway, {"cloneId": owner["clone"]}, "tortoises") == []
