"""Operations tell how far they are; they can be asked for again, given up, and tried once more."""

import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.provider_fake import Call, FakeProvider, Moment
from tests.provisioning import (
    begin,
    done,
    ended,
    in_the_way,
    know,
    new_clone,
    new_domain,
    new_expert,
    operation,
    provision,
    quick_provisioning,
    release,
    under_way,
)
from tests.serving import Gateway
from tests.sockets import open_socket

UPDATED = """subscription($id: ID!) { operationUpdated(id: $id) { cursor operation {
    status progress endedAt steps(first: 100) { nodes { status } } } } }"""
ORDER = ["QUEUED", "UPLOADING", "CREATING_STORE", "ATTACHING", "INDEXING", "CONFIGURING", "READY"]
TOLD_BEFORE = {
    "POST /v1/files": "UPLOADING",
    "POST /v1/vector_stores": "CREATING_STORE",
    "POST /v1/vector_stores/*/file_batches": "ATTACHING",
}
PATIENCE = 15


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def shared(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("storage")
    with quick_provisioning(server_url, template, folder, fake, provider_timeout=PATIENCE) as running:
        yield running


@pytest.fixture
def gateway(shared: Gateway, fake: FakeProvider) -> Iterator[Gateway]:
    """A gateway whose provider reads at once, at the beginning and at the end."""
    yield shared
    fake.heal()
    fake.on_call = None
    release(fake)


def test_who_subscribes_is_told_of_each_stage_before_it_is_over(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.")
    told = {status: threading.Event() for status in ORDER}
    missed: list[str] = []

    def wait(call: Call, moment: Moment) -> None:
        for match, status in TOLD_BEFORE.items():
            if moment == "before" and call.matches(match) and not told[status].wait(PATIENCE / 2):
                missed.append(status)

    fake.on_call = wait
    fake.indexing_polls = math.inf
    seen: list[Any] = []
    with open_socket(gateway, "maya") as socket:
        socket.subscribe("1", UPDATED, id=begin(gateway, "provisionClone", cloneId=clone))
        while not seen or not seen[-1]["endedAt"]:
            seen.append(socket.data()["operationUpdated"]["operation"])
            told[seen[-1]["status"]].set()
            if seen[-1]["status"] == "INDEXING":
                release(fake)

    places = [ORDER.index(each["status"]) for each in seen]
    assert missed == []
    assert {"UPLOADING", "CREATING_STORE", "ATTACHING", "INDEXING"} <= {each["status"] for each in seen}
    assert places == sorted(places)
    assert [each["progress"] for each in seen] == sorted(each["progress"] for each in seen)
    assert (seen[-1]["status"], seen[-1]["progress"]) == ("READY", 1)
    assert {step["status"] for step in seen[-1]["steps"]["nodes"]} == {"DONE"}


@pytest.mark.parametrize("person", [None, "aiko", "jonas"])
def test_operations_of_others_cannot_be_seen_and_nobody_is_told_of_them(gateway: Gateway, person: str | None) -> None:
    id_ = begin(gateway, "provisionClone", cloneId=new_clone(gateway, "Recall."))

    with open_socket(gateway, person) as socket:
        socket.subscribe("1", UPDATED, id=id_)
        codes = socket.codes()

    assert codes == ["BAD_USER_INPUT"]
    assert operation(gateway, id_, as_=person) is None
    assert ended(gateway, id_, as_="maya")["status"] == "READY"


def test_who_asks_again_while_it_is_being_done_gets_the_same_operation(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    first = under_way(gateway, fake, clone)

    again = [begin(gateway, "provisionClone", as_, cloneId=clone) for as_ in ("maya", "grace")]
    release(fake)
    found = ended(gateway, first)

    assert again == [first, first]
    assert (found["status"], found["attempts"]) == ("READY", 1)


def test_what_is_asked_for_meanwhile_is_done_too(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    first = under_way(gateway, fake, clone)

    again = begin(gateway, "provisionClone", cloneId=clone, model="another-model")
    added = know(gateway, clone, "Another", "Sleep helps.")["operation"]["id"]
    release(fake)
    found = ended(gateway, first)
    config = gateway.ask(
        "query($id: ID!) { clone(id: $id) { assistant { config { version model } } } }", as_="maya", id=clone
    ).data["clone"]["assistant"]["config"]

    assert again == added == first
    assert len(fake.held(found["vectorStore"]["vectorId"])) == 2
    assert config == {"version": 1, "model": "another-model"}


def test_what_is_asked_for_at_the_last_moment_is_done_too(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    again: list[str] = []

    def ask_again(call: Call, moment: Moment) -> None:
        """Ask once more when all is in the store, and is looked at for the last time."""
        if moment == "after" and call.matches("GET /v1/vector_stores/*/files"):
            looks.append(call)
            if len(looks) == 3:
                again.append(begin(gateway, "provisionClone", cloneId=clone, model="a-late-model"))

    looks: list[Call] = []
    fake.on_call = ask_again
    found = provision(gateway, clone)
    config = gateway.ask(
        "query($id: ID!) { clone(id: $id) { assistant { config { version model } } } }", as_="maya", id=clone
    ).data["clone"]["assistant"]["config"]

    assert again == [found["id"]]
    assert config == {"version": 1, "model": "a-late-model"}


def test_another_thing_has_to_wait_and_is_told_what_for(gateway: Gateway, fake: FakeProvider) -> None:
    clone, other = new_clone(gateway, "Recall makes learning last."), new_clone(gateway, "Spacing does, too.")
    first = under_way(gateway, fake, clone)
    owner: dict[str, Any] = {"owner": {"clone": clone}}

    refusals = [
        in_the_way(gateway, mutation, **owner)
        for mutation in ("provisionVectorStore", "syncKnowledge", "deprovisionVectorStore")
    ]
    release(fake)

    assert refusals == [first] * 3
    assert provision(gateway, other)["status"] == "READY"
    assert ended(gateway, first)["status"] == "READY"
    assert done(gateway, "syncKnowledge", **owner)["status"] == "READY"


def test_many_who_ask_at_once_have_it_done_once(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    before = fake.live()
    begun: list[str] = []
    people = [
        threading.Thread(target=lambda: begun.append(begin(gateway, "provisionClone", cloneId=clone))) for _ in range(8)
    ]

    for person in people:
        person.start()
    for person in people:
        person.join()

    assert len(begun) == 8
    assert {ended(gateway, id_)["status"] for id_ in begun} == {"READY"}
    assert len(fake.live() - before) == 2


def test_operations_of_an_owner_are_found_from_it(gateway: Gateway) -> None:
    domain = new_domain(gateway)
    expert = new_expert(gateway, domain)
    begun = {
        "domain": done(gateway, "provisionVectorStore", owner={"domain": domain})["id"],
        "expert": done(gateway, "provisionAssistant", expertId=expert)["id"],
        "clone": provision(gateway, (clone := new_clone(gateway, "Recall.")))["id"],
    }

    query = "query($id: ID!) {{ {0}(id: $id) {{ operations(first: 9) {{ nodes {{ id }} }} }} }}"
    found = {
        name: gateway.ask(query.format(name), as_="maya", id=id_).data[name]["operations"]["nodes"]
        for name, id_ in {"domain": domain, "expert": expert, "clone": clone}.items()
    }

    assert found == {name: [{"id": id_}] for name, id_ in begun.items()}
