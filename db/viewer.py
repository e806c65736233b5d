"""Who is looking: the viewer that every row's visibility is decided for."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Uuid, bindparam

VIEWER_ID = bindparam("viewer_id", type_=Uuid())
"""The viewer's id, as a parameter of every statement that depends on it."""


class ViewerKind(StrEnum):
    """The class of a viewer. Statements are compiled once per kind; the viewer's id is a parameter."""

    ANONYMOUS = "anonymous"
    USER = "user"
    CREATOR = "creator"
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person or service with a valid token, or nobody.

    id: the person's, or the service's. scopes: what a service may do, as words of `db.Scope`.
    """

    kind: ViewerKind
    id: UUID | None = None
    scopes: frozenset[str] = frozenset()

    @property
    def actor(self) -> str | None:
        """How whoever did something is written down; None for nobody in particular."""
        if self.id is None:
            return None
        return f"{'service' if self.kind is ViewerKind.SERVICE else 'user'}:{self.id}"


ANONYMOUS = Viewer(ViewerKind.ANONYMOUS)
