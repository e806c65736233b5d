"""Operations can be given up and tried again; what was made by then stays, and is not made twice."""

import math
from collections.abc import Iterator

import pytest

from tests.money import sql
from tests.provider_fake import FakeProvider, Status
from tests.provisioning import (
    ask,
    begin,
    done,
    ended,
    errors,
    in_the_way,
    know,
    new_clone,
    operation,
    provision,
    quick_provisioning,
    release,
    under_way,
    until,
)
from tests.serving import Gateway


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def shared(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("storage")
    with quick_provisioning(server_url, template, folder, fake) as running:
        yield running


@pytest.fixture
def gateway(shared: Gateway, fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway whose provider reads at once, at the beginning and at the end."""
    yield shared
    fake.heal()
    release(fake)


def test_an_operation_that_is_given_up_leaves_what_is_known_and_is_gone_on_with(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    before = fake.live()
    id_ = under_way(gateway, fake, clone)

    ask(gateway, "cancelOperation", id=id_)
    given_up = ended(gateway, id_)
    made = fake.live() - before
    knowledge = "query($id: ID!) { clone(id: $id) { assistant { id } vectorStore { id } } }"
    left = gateway.ask(knowledge, as_="maya", id=clone).data["clone"]
    release(fake)
    again = provision(gateway, clone)

    assert (given_up["status"], given_up["error"]) == ("CANCELLED", None)
    assert {step["status"] for step in given_up["steps"]["nodes"]} == {"DONE", "SKIPPED"}
    assert left["assistant"] is None
    assert left["vectorStore"] == {"id": given_up["vectorStore"]["id"]}
    assert (again["status"], again["vectorStore"]["id"]) == ("READY", left["vectorStore"]["id"])
    assert fake.live() - before == made


def test_an_operation_that_is_given_up_can_be_tried_again(gateway: Gateway, fake: FakeProvider) -> None:
    id_ = under_way(gateway, fake, new_clone(gateway, "Recall makes learning last."))
    ask(gateway, "cancelOperation", id=id_)
    ended(gateway, id_)
    release(fake)

    retried = begin(gateway, "retryOperation", id=id_)
    found = ended(gateway, id_)

    assert retried == id_
    assert (found["status"], found["attempts"], found["progress"]) == ("READY", 2, 1)
    assert {step["status"] for step in found["steps"]["nodes"]} == {"DONE"}


def test_what_waits_for_a_provider_without_money_is_given_up_at_once(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    fake.fail("POST /v1/files", Status(429, "insufficient_quota"))
    id_ = begin(gateway, "provisionClone", cloneId=clone)
    until(gateway, id_, lambda found: found["error"])
    calls = len(fake.calls)

    ask(gateway, "cancelOperation", id=id_)
    found = ended(gateway, id_)
    (account,) = sql(gateway.database_url, "SELECT parked_until > now() AS is_parked FROM provider_accounts")
    sql(gateway.database_url, "UPDATE provider_accounts SET parked_until = NULL")

    assert account["is_parked"]
    assert (found["status"], found["error"], len(fake.calls)) == ("CANCELLED", None, calls)


def test_what_is_over_cannot_be_given_up(gateway: Gateway) -> None:
    found = provision(gateway, new_clone(gateway, "Recall makes learning last."))

    begin(gateway, "cancelOperation", id=found["id"])

    assert operation(gateway, found["id"]) == found


def test_to_try_again_does_only_the_files_that_failed(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.", "Sleep helps both.")
    before = fake.live()
    fake.unreadable("*Note-1*", "server_error")
    partial = provision(gateway, clone)
    fake.readable()
    calls = len(fake.calls)

    begin(gateway, "retryOperation", id=partial["id"])
    found = ended(gateway, partial["id"])

    since = fake.calls[calls:]
    sent = [call.body["file"].partition(".")[2] for call in since if call.matches("POST /v1/files")]
    batches = [call.body["file_ids"] for call in since if call.matches("POST /v1/vector_stores/*/file_batches")]
    assert (partial["status"], list(errors(partial))) == ("READY_PARTIAL", ["Note 1"])
    assert (found["status"], found["attempts"], errors(found)) == ("READY", 2, {})
    assert [each.partition(".")[2] for each in sent] == ["Note-1.txt"]
    assert [len(each) for each in batches] == [1]
    assert len(fake.live() - before) == 4


def test_a_clone_that_has_lost_its_experts_by_then_is_told_so(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    id_ = under_way(gateway, fake, clone)
    query = "query($id: ID!) { clone(id: $id) { experts { nodes { id } } } }"
    (expert,) = gateway.ask(query, as_="maya", id=clone).data["clone"]["experts"]["nodes"]
    ask(gateway, "assignExperts", id=clone, expertIds=[])
    release(fake)

    failed = ended(gateway, id_)
    ask(gateway, "assignExperts", id=clone, expertIds=[expert["id"]])
    begin(gateway, "retryOperation", id=id_)

    assert (failed["status"], failed["error"]["code"], failed["assistant"]) == ("FAILED", "NEEDS_INPUT", None)
    assert ended(gateway, id_)["status"] == "READY"


def test_what_goes_on_or_is_deleted_cannot_be_tried_again(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    id_ = under_way(gateway, fake, clone)
    of_open = ask(gateway, "retryOperation", id=id_)["userErrors"]
    release(fake)
    ended(gateway, id_)
    gone = done(gateway, "deprovisionVectorStore", owner={"clone": clone})

    of_gone = ask(gateway, "retryOperation", id=gone["id"])["userErrors"]

    assert [(each["code"], each["path"]) for each in (*of_open, *of_gone)] == [("INVALID_INPUT", ["input", "id"])] * 2


def test_an_older_operation_cannot_be_tried_again_while_another_one_goes_on(
    gateway: Gateway, fake: FakeProvider
) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    first = provision(gateway, clone)
    know(gateway, clone, "Another", "Sleep helps.")
    fake.indexing_polls = math.inf
    second = know(gateway, clone, "A third", "Spacing does, too.")["operation"]["id"]

    refusal = in_the_way(gateway, "retryOperation", id=first["id"])
    release(fake)

    assert refusal == second
    assert ended(gateway, second)["status"] == "READY"
