"""The world of the demo: who and what there is, and the rows that it comes to."""

from collections import Counter
from collections.abc import Iterator

import db
from db.demo.batch import Batch, Progress
from db.demo.clones import clone_batches
from db.demo.library import library, library_batches
from db.demo.life import Life, Showcase, live
from db.demo.market import market
from db.demo.people import add_person, people
from db.demo.scale import Scale
from db.demo.totals import Totals
from db.demo.visit import add_visit

LIVES_IN_A_BATCH = 100


class World:
    """Everything at one scale.

    Lives are told twice: first to know what they add up to, since people and clones are written before the sessions
    that they refer to, and then to be written themselves. So no more than a few lives are held at a time.
    """

    def __init__(self, scale: Scale, progress: Progress | None = None) -> None:
        self.size = scale.size
        self.people = people(scale)
        self.domains = library(scale.size)
        self.clones = market(scale, self.people, self.domains)
        self.totals = Totals()
        self._showcase = Showcase(self.clones)
        self._users = Batch()
        for number, life in enumerate(self._lives(), 1):
            self.totals.add(life)
            add_person(self._users, life.account)
            if progress:
                progress(db.User.__tablename__, number, len(self.people))

    def _lives(self) -> Iterator[Life]:
        return (live(person, self._showcase) for person in self.people)

    def counts(self) -> Counter[str]:
        """How many rows there are in each table."""
        return sum((batch.counts() for batch in self._things()), self.totals.rows)

    def batches(self) -> Iterator[Batch]:
        """All rows, in an order in which nothing refers to what comes later."""
        yield from self._things()
        batch = Batch()
        for number, life in enumerate(self._lives(), 1):
            for visit in life.visits:
                add_visit(batch, visit)
            life.account.add_to(batch)
            if number % LIVES_IN_A_BATCH == 0 or number == len(self.people):
                yield batch
                batch = Batch()

    def _things(self) -> Iterator[Batch]:
        """What is there before the first session."""
        yield self._users
        yield from library_batches(self.domains)
        yield from clone_batches(self.clones, self.size, self.totals)
