"""Servers that speak OpenAI's API only in part are provisioned all the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.provider_fake import FakeProvider, Status
from tests.provisioning import (
    done,
    hits,
    kept,
    know,
    new_clone,
    provision,
    quick_provisioning,
    quiet,
    referred,
)
from tests.serving import Gateway

QUIRKS: dict[str, dict[str, Any]] = {
    "without file batches": {"no_file_batches": True},
    "that takes one file of a batch": {"most_in_batch": 1},
    "that does not know order": {"order_ignored": True},
    "that does not know after": {"after_ignored": True},
    "that ignores files": {"files_param_ignored": True},
    "that cites by ids of its own": {"internal_citation_ids": True},
}


@pytest.fixture(params=QUIRKS)
def fake(request: pytest.FixtureRequest) -> FakeProvider:
    fake = FakeProvider()
    for name, value in QUIRKS[request.param].items():
        assert hasattr(fake, name)
        setattr(fake, name, value)
    return fake


@pytest.fixture
def gateway(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider
) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, tmp_path_factory.mktemp("storage"), fake) as running:
        yield running


def test_a_server_is_provisioned_changed_searched_and_left_clean(gateway: Gateway, fake: FakeProvider) -> None:
    clone = new_clone(gateway, "Tortoises are slow.", "Hares are fast.", "Snails are late.")
    fake.fail("POST /v1/files", Status(500), when="after")

    made = provision(gateway, clone)
    know(gateway, clone, "Another", "Newts are wet.")
    quiet(gateway)
    found = hits(gateway, {"cloneId": clone}, "newts")
    there = fake.live(), kept(gateway), referred(gateway), fake.attached_twice()
    gone = done(gateway, "deprovisionVectorStore", owner={"clone": clone})

    assert (made["status"], made["error"]) == ("READY", None)
    assert [(each["passage"], each["knowledge"]["title"]) for each in found] == [("Newts are wet.", "Another")]
    assert len(there[0]) == 5
    assert there[0] == there[1] == there[2]
    assert there[3] == set()
    assert (gone["status"], fake.live()) == ("DELETED", set())
