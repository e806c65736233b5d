"""Whatever the provider does or does not answer: what is there in the end is what the database says, and nothing twice.

Each fault meets each act of a provisioning, of bringing a changed store up to date, and of a removal.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from resolvers.provisioning import account, provision, provisioning
from tests.money import findings, sql
from tests.provider_fake import Cut, Drop, FakeProvider, Fault, Hang, Malformed, Moment, Status
from tests.provisioning import ask, ended, kept, know, new_clone, operation, quiet, referred
from tests.provisioning import provision as provisioned
from tests.provisioning import provisioning as gateway_with
from tests.serving import Gateway

PATIENCE = 0.7
"""How long the gateway waits for an answer, in seconds."""

PROVISIONING = (
    "POST /v1/files",
    "POST /v1/vector_stores",
    "POST /v1/vector_stores/*/file_batches",
    "GET /v1/vector_stores/*/files",
)
CHANGE = (
    "POST /v1/files",
    "POST /v1/vector_stores/*/file_batches",
    "DELETE /v1/vector_stores/*/files/*",
    "DELETE /v1/files/*",
)
REMOVAL = ("DELETE /v1/vector_stores/*", "DELETE /v1/files/*")
LOOKING = {"POST /v1/files": "GET /v1/files", "POST /v1/vector_stores": "GET /v1/vector_stores"}

FAULTS: dict[str, tuple[Fault, Moment]] = {
    "the connection is lost before it acts": (Drop(), "before"),
    "the connection is lost after it acted": (Drop(), "after"),
    "it hangs, and acts": (Hang(PATIENCE + 0.3), "after"),
    "it says 500 before it acts": (Status(500), "before"),
    "it says 500 after it acted": (Status(500), "after"),
    "it says 503": (Status(503, retry_after=0), "before"),
    "it is asked too often": (Status(429, "rate_limit_exceeded", retry_after=0), "before"),
    "half an answer comes": (Malformed(), "after"),
    "the answer is cut": (Cut(), "after"),
}


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def gateway(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    """A gateway whose worker does not rest for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provisioning, "FIRST_PAUSE", 0.05)
        patch.setattr(provisioning, "LONGEST_PAUSE", 0.2)
        patch.setattr(provisioning.Provisioning, "pause", 0.05)
        patch.setattr(provision, "FIRST_LOOK", 0.05)
        patch.setattr(provision, "LAST_LOOK", 0.1)
        patch.setattr(account, "ACTS_PER_SECOND", 1000.0)
        folder = tmp_path_factory.mktemp("storage")
        with gateway_with(server_url, template, folder, fake, provider_timeout=PATIENCE) as running:
            yield running


@pytest.fixture(autouse=True)
def healed(gateway: Gateway, fake: FakeProvider) -> Iterator[None]:
    """Each test begins with a provider that is well, and ends with nothing that differs from the database."""
    fake.heal()
    yield
    fake.heal()
    quiet(gateway)
    assert fake.live() == kept(gateway) == referred(gateway)
    assert findings(gateway.database_url) == []


def changed(gateway: Gateway, clone: str) -> Any:
    """The operation that brought a clone's store up to date, after one piece of knowledge had changed."""
    (first,) = gateway.ask(
        "query($id: ID!) { clone(id: $id) { knowledge(first: 1) { nodes { id } } } }", as_="maya", id=clone
    ).data["clone"]["knowledge"]["nodes"]
    done = ask(gateway, "updateKnowledge", id=first["id"], content={"text": f"Something else, at {time.time()}."})
    return ended(gateway, done["operation"]["id"])


def removed(gateway: Gateway, clone: str) -> Any:
    """The operation that removed a clone's store."""
    done = ask(gateway, "deprovisionVectorStore", owner={"clone": clone})
    return ended(gateway, done["operation"]["id"])


@pytest.mark.parametrize("act", PROVISIONING)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_clone_is_provisioned_once_although(gateway: Gateway, fake: FakeProvider, act: str, fault: str) -> None:
    how, when = FAULTS[fault]
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.", "Sleep helps both.")
    before = fake.live()
    fake.fail(act, how, when=when)

    done = provisioned(gateway, clone)

    assert (done["status"], done["error"]) == ("READY", None)
    assert fake.faults_met
    assert len(fake.live() - before) == 4


@pytest.mark.parametrize("act", CHANGE)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_is_brought_up_to_date_although(gateway: Gateway, fake: FakeProvider, act: str, fault: str) -> None:
    how, when = FAULTS[fault]
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.")
    provisioned(gateway, clone)
    before = fake.live()
    fake.fail(act, how, when=when)

    done = changed(gateway, clone)

    assert (done["status"], done["error"]) == ("READY", None)
    assert len(fake.live()) == len(before)
    assert len(fake.live() - before) == 1


@pytest.mark.parametrize("act", REMOVAL)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_left_of_a_store_although(gateway: Gateway, fake: FakeProvider, act: str, fault: str) -> None:
    how, when = FAULTS[fault]
    before = fake.live()
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.")
    provisioned(gateway, clone)
    fake.fail(act, how, when=when)

    done = removed(gateway, clone)

    assert (done["status"], done["error"]) == ("DELETED", None)
    assert fake.live() == before


@pytest.mark.parametrize("act", LOOKING)
def test_what_was_made_is_looked_for_until_it_is_found(gateway: Gateway, fake: FakeProvider, act: str) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    before, made = fake.live(), fake.count(act)
    fake.fail(act, Drop(), when="after")
    fake.fail(LOOKING[act], Status(503, retry_after=0), times=3)

    done = provisioned(gateway, clone)

    assert done["status"] == "READY"
    assert len(fake.live() - before) == 2
    assert fake.count(act) - made == 1


def test_the_provider_is_left_alone_for_as_long_as_it_says(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    fake.fail("POST /v1/files", Status(429, "rate_limit_exceeded", retry_after=2))
    asked: list[float] = []
    fake.on_call = lambda call, moment: asked.append(time.monotonic())
    before = time.monotonic()

    done = provisioned(gateway, clone)
    fake.on_call = None

    assert done["status"] == "READY"
    assert min(asked) - before > 2


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "project_spend_limit_exceeded"])
def test_an_account_without_money_is_told_of_and_left_alone(gateway: Gateway, fake: FakeProvider, code: str) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    fake.fail("POST /v1/files", Status(429, code), times=100)
    made = fake.count("POST /v1/files")

    id_ = ask(gateway, "provisionClone", cloneId=clone)["operation"]["id"]
    deadline = time.monotonic() + 20
    while not (shown := operation(gateway, id_))["error"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    calls = fake.count("POST /v1/files") - made
    fake.heal()
    sql(gateway.database_url, "UPDATE provider_accounts SET parked_until = now()")
    sql(gateway.database_url, "UPDATE operations SET due_at = now() WHERE ended_at IS NULL")

    assert (shown["error"]["code"], shown["endedAt"]) == ("PROVIDER_QUOTA_EXCEEDED", None)
    assert calls == 1
    assert ended(gateway, id_)["status"] == "READY"


@pytest.mark.parametrize(
    ("how", "code"), [(Status(401), "PROVIDER_KEY_REFUSED"), (Status(403), "PROVIDER_KEY_REFUSED")]
)
def test_a_key_that_is_refused_takes_one_call_and_a_retry_goes_on(
    gateway: Gateway, fake: FakeProvider, how: Status, code: str
) -> None:
    clone = new_clone(gateway, "Recall makes learning last.")
    fake.fail("POST /v1/vector_stores", how, times=100)
    made = fake.count("POST /v1/vector_stores")

    failed = provisioned(gateway, clone)
    calls = fake.count("POST /v1/vector_stores") - made
    fake.heal()
    ask(gateway, "retryOperation", id=failed["id"])
    retried = ended(gateway, failed["id"])

    assert (failed["status"], failed["error"]["code"], calls) == ("FAILED", code, 1)
    assert (retried["status"], retried["attempts"], retried["error"]) == ("READY", 2, None)


def test_a_file_that_the_provider_refuses_fails_alone(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Recall makes learning last.", "Spacing does, too.")
    fake.fail("POST /v1/files", Status(400, "invalid_file", message="No."))
    made = fake.count("POST /v1/files")

    done = provisioned(gateway, clone)

    assert done["status"] == "READY_PARTIAL"
    assert sorted(step["status"] for step in done["steps"]["nodes"] if step["kind"] == "FILE") == ["DONE", "FAILED"]
    assert fake.count("POST /v1/files") - made == 2


def test_a_provider_that_stays_away_is_given_up_and_a_retry_goes_on(
    gateway: Gateway, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "MOST_FAILURES", 3)
    clone = new_clone(gateway, "Recall makes learning last.")
    fake.fail("POST /v1/vector_stores", Status(503, retry_after=0), times=100)

    failed = provisioned(gateway, clone)
    fake.heal()
    ask(gateway, "retryOperation", id=failed["id"])

    assert (failed["status"], failed["error"]["code"]) == ("FAILED", "PROVIDER_UNAVAILABLE")
    assert failed["error"]["retryable"]
    assert ended(gateway, failed["id"])["status"] == "READY"


def test_random_faults_leave_nothing_behind(gateway: Gateway, fake: FakeProvider) -> None:
    clones = [new_clone(gateway, f"Recall {number}.", f"Spacing {number}.") for number in range(6)]
    fake.chaos(0.15, seed=7)

    begun = [ask(gateway, "provisionClone", cloneId=clone)["operation"]["id"] for clone in clones]
    done = [ended(gateway, id_) for id_ in begun]
    for clone in clones[:3]:
        know(gateway, clone, "One more", "Sleep helps.")
    quiet(gateway)
    gone = [ask(gateway, "deprovisionVectorStore", owner={"clone": clone})["operation"]["id"] for clone in clones[3:]]
    gone_in_the_end = [ended(gateway, id_)["status"] for id_ in gone]

    assert {each["status"] for each in done} == {"READY"}
    assert set(gone_in_the_end) == {"DELETED"}
