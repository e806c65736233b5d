"""What a viewer may not do."""

from sqlalchemy import and_

from db import Row, Viewer
from db.base import NOBODY, Condition
from loaders.columns import visible


class Forbidden(Exception):
    """You may not see this. Sign in as somebody who may."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


MAY_NOT_DO = "You may not do this. Sign in as somebody who may."


def editable(row: type[Row], viewer: Viewer) -> Condition:
    """Which rows a viewer may change, with the parameter `viewer_id`. Raises Forbidden where there can be none."""
    rules = row.rules_for(viewer.kind)
    if rules.editable is NOBODY:
        raise Forbidden(MAY_NOT_DO)
    return and_(visible(row, viewer.kind), rules.editable)
