"""`python -m tests.chaos.provisioning 50`: so many operations on two workers that are killed at random.

Clones and domains get stores, are changed, and lose some of it. What is at the provider in the end is held against the
database.
"""

import asyncio
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy.engine import make_url

from db import demo, migrate
from db.embedded import EmbeddedServer
from gateway.logs import set_up_logging
from tests.conftest import fresh_database
from tests.killing import Workers, beside_workers
from tests.money import sql
from tests.provider_audit import differences
from tests.provider_fake import FakeProvider
from tests.provisioning import begin, ended, new_clone, new_document, new_domain
from tests.serving import Gateway

DELAY = 0.1
"""How long the provider takes for everything, in seconds: something is on its way at any moment."""

PAUSE = 0.8
TAKEOVERS = (
    "CREATE TABLE takeovers (id uuid)",
    """
    CREATE FUNCTION note_takeover() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO takeovers VALUES (NEW.id); RETURN NEW; END'
    """,
    """
    CREATE TRIGGER takeover BEFORE UPDATE ON operations FOR EACH ROW
    WHEN (NEW.fence > OLD.fence AND OLD.leased_until IS NOT NULL) EXECUTE FUNCTION note_takeover()
    """,
)
"""Operations that somebody still had when another worker took them."""

ENDED_WELL = {"READY", "DELETED"}
KNOWLEDGE = "query($id: ID!) { clone(id: $id) { knowledge(first: 9) { nodes { id } } } }"


@dataclass
class Chaos:
    """All of it. chance: what is chosen by it depends on its seed, and on how fast everybody is.

    statuses: of the operations that have ended, by what was asked for.
    """

    gateway: Gateway
    fake: FakeProvider
    workers: Workers
    chance: random.Random
    kills: int = 0
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)

    def run(self, operations: int, takeovers: int) -> None:
        """Have so many operations done, and again until so many were taken over from a worker that was killed."""
        for statement in TAKEOVERS:
            sql(self.gateway.database_url, statement)
        self.fake.delay = DELAY
        with self._killing():
            while self.statuses.total() < operations or self.takeovers() < takeovers:
                self._live(operations)
        self.fake.heal()

    def takeovers(self) -> int:
        """How many operations were taken over until now."""
        return len(sql(self.gateway.database_url, "SELECT FROM takeovers"))

    def audit(self) -> list[str]:
        """In what the provider differs from the database, and which operations did not end well."""
        return [
            *differences(self.fake, self.gateway.database_url),
            *(f"failed: {what} is {status}" for what, status in self.statuses if status not in ENDED_WELL),
        ]

    def _live(self, operations: int) -> None:
        """Make stores, change all of them, and remove some. Of each five operations, two make something."""
        number = operations * 2 // 5
        clones = [new_clone(self.gateway, *self._texts()) for _ in range(number - number // 3)]
        domains = {new_domain(self.gateway, uuid4().hex): uuid4().hex for _ in range(number // 3)}
        documents = [new_document(self.gateway, domain, title) for domain, title in domains.items()]
        self._do(
            *(("provisionClone", {"cloneId": clone}) for clone in clones),
            *(("provisionVectorStore", {"owner": {"domain": domain}}) for domain in domains),
        )
        self._do(
            *(("updateKnowledge", self._change(clone)) for clone in clones),
            *(("deleteDocument", {"id": document}) for document in documents),
        )
        going: list[tuple[str, dict[str, Any]]] = [
            *(("deprovisionVectorStore", {"owner": {"clone": clone}}) for clone in clones),
            *(("deleteDomain", {"id": domain}) for domain in domains),
        ]
        self._do(*self.chance.sample(going, operations - 2 * number))

    def _do(self, *wanted: tuple[str, dict[str, Any]]) -> None:
        """Have operations done at once."""
        begun = [(mutation, begin(self.gateway, mutation, **given)) for mutation, given in wanted]
        self.statuses.update((mutation, ended(self.gateway, id_)["status"]) for mutation, id_ in begun)

    def _texts(self) -> list[str]:
        return [f"Note {uuid4()}." for _ in range(self.chance.randint(1, 3))]

    def _change(self, clone: str) -> dict[str, Any]:
        nodes = self.gateway.ask(KNOWLEDGE, as_="maya", id=clone).data["clone"]["knowledge"]["nodes"]
        return {"id": self.chance.choice(nodes)["id"], "content": {"text": f"Changed {uuid4()}."}}

    @contextmanager
    def _killing(self) -> Iterator[None]:
        """A block in which one worker or the other is killed now and then, and sometimes both."""
        is_over = threading.Event()

        def kill() -> None:
            while not is_over.wait(self.chance.uniform(0, PAUSE)):
                victims = self.chance.sample(self.workers.running, self.chance.choice((1, 1, 2)))
                new = [self.workers.replace(victim) for victim in victims]
                self.kills += len(victims)
                for worker in new:
                    worker.wait()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield
        finally:
            is_over.set()
            killer.join()


def main(operations: int, seed: int, folder: Path) -> bool:
    """Whether all that is at the provider after so many operations is what the database says."""
    set_up_logging("error")
    postgresql = EmbeddedServer.start(folder / "postgresql")
    try:
        with fresh_database(postgresql.url("postgres")) as url:
            asyncio.run(migrate.upgrade(url))
            asyncio.run(demo.load(url, demo.Scale.SMALL))
            fake, template = FakeProvider(), str(make_url(url).database)
            with beside_workers(postgresql.url("postgres"), template, folder, fake) as (gateway, workers):
                chaos = Chaos(gateway, fake, workers, random.Random(seed))  # noqa: S311 (nobody is kept from guessing it)
                chaos.run(operations, takeovers=operations // 5)
                wrong = chaos.audit()
                print(f"seed {seed}", *summary(chaos), *wrong, sep="\n")  # noqa: T201 (what it is for)
    finally:
        postgresql.stop()
    return not wrong


def summary(chaos: Chaos) -> list[str]:
    """What happened, in a few lines."""
    done = (f"{mutation} {status} {times} times" for (mutation, status), times in sorted(chaos.statuses.items()))
    return [
        f"{chaos.statuses.total()} operations: {', '.join(done)}",
        f"killed: a worker {chaos.kills} times; operations taken over from one: {chaos.takeovers()}",
        f"requests to the provider: {len(chaos.fake.calls)}; left there: {len(chaos.fake.live())} files and stores",
        f"differences from the database: {len(chaos.audit())}",
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="clonegraph-chaos-") as folder:
        chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)  # noqa: S311
        sys.exit(not main(int(sys.argv[1]), chosen, Path(folder)))
