"""What one request carries through the graph."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar, cast

from db import Viewer, ViewerKind
from loaders.rows import Loaders
from resolvers.services import Services

Thing = TypeVar("Thing")


class Context:
    """The viewer, the loaders of one request, and what all requests share.

    fresh: whether the loaders must see what was committed a moment ago.
    """

    def __init__(self, services: Services, viewer: Viewer, *, fresh: bool = False) -> None:
        self.services = services
        self.database = services.database
        self.feed = services.feed
        self.storage = services.storage
        self.terms = services.terms
        self.provider = services.provider
        self.viewer = viewer
        self.loaders = Loaders(self.database.primary if fresh else self.database, viewer)
        self._once: dict[Hashable, Any] = {}
        self._done: dict[Hashable, tuple[Any, Exception | None, Loaders]] = {}

    def once(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """What `make` gives, made once for this key in this request."""
        if key not in self._once:
            self._once[key] = make()
        thing: Thing = self._once[key]
        return thing

    async def done_once(self, key: Hashable, act: Callable[[], Awaitable[Thing]]) -> Thing:
        """What comes of acting, which is done once for this key in this request: its result, or its error.

        Whoever asks for it again goes on with what was loaded after it.
        """
        if key not in self._done:
            try:
                result, failure = await act(), None
            except Exception as error:  # noqa: BLE001 (raised below, and each time)
                result, failure = None, error
            self._done[key] = result, failure, self.loaders
        result, failure, self.loaders = self._done[key]
        if failure:
            raise failure
        return cast("Thing", result)

    def has_created(self) -> None:
        """Make the viewer a creator for the rest of this request, if it was none."""
        if self.viewer.kind is ViewerKind.USER:
            self.viewer = replace(self.viewer, kind=ViewerKind.CREATOR)

    def changed(self) -> None:
        """Forget what was loaded, and tell subscribers: this request has committed a change."""
        self.loaders = Loaders(self.loaders.database, self.viewer)
        self._once.clear()
        self.feed.changed()
