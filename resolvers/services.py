"""What all requests, and the worker, share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from secrets import token_bytes

from db.engine import Database
from db.storage import Storage
from resolvers.feed import Feed
from resolvers.link import Links
from resolvers.provisioning.provider import Provider
from resolvers.terms import Terms


@dataclass(frozen=True)
class Services:
    """The database and its feed, files, the AI provider, and the terms.

    instance: what tells our things at the provider from those of another gateway on the same account.
    links: where links may lead. secret: what addresses of downloads are signed with.
    sleepers: what is to be called when there is something to do for the worker of this process.
    """

    database: Database
    feed: Feed
    storage: Storage
    provider: Provider
    terms: Terms
    instance: str = "clonegraph"
    links: Links = field(default_factory=Links)
    secret: bytes = field(default_factory=partial(token_bytes, 32))
    sleepers: list[Callable[[], None]] = field(default_factory=list)

    def wake(self) -> None:
        """Let the worker of this process look at once. Those of others look twice a second."""
        for sleeper in self.sleepers:
            sleeper()
