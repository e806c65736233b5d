"""Operations on workers that are killed at random: a little of what `make chaos` does, and whether it would see."""

import random
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from tests.chaos.provisioning import Chaos
from tests.killing import beside_workers
from tests.provider_fake import FakeProvider


def copy_file(fake: FakeProvider) -> None:
    file = next(iter(fake.files.values()))
    fake.put_file(file.name, file.size, file.sha256, file.text.encode())


def copy_store(fake: FakeProvider) -> None:
    store = next(iter(fake.stores.values()))
    fake.make_store({"name": store.name, "metadata": store.metadata})


def make_file(fake: FakeProvider) -> None:
    fake.put_file(f"clonegraph.{uuid4().hex}.Forgotten.txt", 9, "", b"Forgotten")


def lose_file(fake: FakeProvider) -> None:
    fake.delete_file(next(iter(fake.files)))


PLANTED: dict[Callable[[FakeProvider], None], set[str]] = {
    copy_file: {"orphan", "duplicate"},
    copy_store: {"orphan", "duplicate"},
    make_file: {"orphan"},
    lose_file: {"missing", "stray"},
}


def test_nothing_is_there_twice_or_forgotten_when_workers_are_killed_at_random_or_else_the_audit_finds_it(
    server_url: str, template: str, tmp_path: Path
) -> None:
    fake = FakeProvider()
    with beside_workers(server_url, template, tmp_path, fake) as (gateway, workers):
        chaos = Chaos(gateway, fake, workers, random.Random(4))  # noqa: S311 (it is no secret)
        chaos.run(8, takeovers=2)
        wrong = chaos.audit()
        found = {}
        for plant in PLANTED:
            files, stores = dict(fake.files), dict(fake.stores)
            members = {store.id: dict(store.members) for store in stores.values()}
            plant(fake)
            found[plant] = {sentence.partition(":")[0] for sentence in chaos.audit()}
            fake.files, fake.stores = files, stores
            for store in stores.values():
                store.members = members[store.id]

    assert wrong == []
    assert found == PLANTED
