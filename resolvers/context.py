"""What one request carries through the graph."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from db import Viewer
from db.engine import Database
from loaders.rows import Loaders

Thing = TypeVar("Thing")


class Context:
    """The viewer, the database, and the loaders of one request."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database = database
        self.viewer = viewer
        self.loaders = Loaders(database, viewer)
        self._once: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """What `make` gives, made once for this key in this request."""
        if key not in self._once:
            self._once[key] = make()
        thing: Thing = self._once[key]
        return thing
