"""What a viewer may not do."""

from uuid import UUID

from sqlalchemy import and_, true

from db import Row, Scope, Viewer, ViewerKind
from db.base import NOBODY, Condition
from loaders.columns import visible


class Forbidden(Exception):
    """You may not see this. Sign in as somebody who may."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


MAY_NOT_DO = "You may not do this. Sign in as somebody who may."


def editable(row: type[Row], viewer: Viewer, scope: Scope | None = None) -> Condition:
    """Which rows a viewer may change, with the parameter `viewer_id`. Raises Forbidden where there can be none.

    scope: with which a service may change all of them.

    A person counts as a creator here: the first clone makes one, and what kind of viewer one is takes a few seconds to
    be known everywhere.
    """
    if viewer.kind is ViewerKind.SERVICE and scope in viewer.scopes:
        return true()
    kind = ViewerKind.CREATOR if viewer.kind is ViewerKind.USER else viewer.kind
    rules = row.rules_for(kind)
    if rules.editable is NOBODY:
        raise Forbidden(MAY_NOT_DO)
    return and_(visible(row, kind), rules.editable)


def require_person(viewer: Viewer) -> UUID:
    """The id of the person that a viewer is. Raises Forbidden for services, and for nobody in particular."""
    if viewer.id is None or viewer.kind is ViewerKind.SERVICE:
        raise Forbidden(MAY_NOT_DO)
    return viewer.id


def may_for_others(viewer: Viewer, scope: Scope) -> bool:
    """Whether a viewer acts for other people: an admin, or a service with this scope."""
    return viewer.kind is ViewerKind.ADMIN or (viewer.kind is ViewerKind.SERVICE and scope in viewer.scopes)
