"""A third provider is one file, and one line in the list of providers."""

from pathlib import Path

import pytest

from resolvers.provisioning.providers import PROVIDERS
from tests.provisioning import ask, ended, new_clone
from tests.serving import serving
from tests.third_provider import Counting

HITS = 'query($id: ID!) { searchKnowledge(in: {cloneId: $id}, query: "Recall") { passage knowledge { title } } }'


def test_a_third_provider_provisions_and_searches(
    own_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting()
    monkeypatch.setitem(PROVIDERS, "counting", lambda database, options: counting)

    settings = {"worker": True, "provider": "counting", "storage_url": tmp_path.as_uri()}
    with serving(own_database, settings) as gateway:
        clone = new_clone(gateway, "Recall makes learning last.")
        done = ended(gateway, ask(gateway, "provisionClone", cloneId=clone)["operation"]["id"])
        hits = gateway.ask(HITS, as_="maya", id=clone).data["searchKnowledge"]

    assert done["status"] == "READY"
    assert hits == [{"passage": "Recall makes learning last.", "knowledge": {"title": "Note 0"}}]
    assert len(counting.kept) == len(counting.made) == 1
