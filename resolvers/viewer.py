"""Who a person is to the graph."""

from functools import cache
from uuid import UUID

from sqlalchemy import Text, bindparam, exists, select

from db import Clone, User, UserRole, Viewer, ViewerKind
from db.engine import Database
from db.viewer import VIEWER_ID
from loaders.sql import Statement, compiled


@cache
def _statement() -> Statement:
    has_clones = exists().where(Clone.creator_id == User.id).label("has_clones")
    return compiled(select(User.role, has_clones).where(User.id == VIEWER_ID, User.is_active))


async def find_viewer(database: Database, user_id: UUID) -> Viewer | None:
    """The viewer that a person is, by the role in the database; None for one who is locked out or unknown.

    Whoever has a clone is a creator, whatever the role says: old programs never kept it.
    """
    statement = _statement()
    rows = await database.fetch(statement.text, statement.arguments({"viewer_id": user_id}))
    if not rows:
        return None
    role, has_clones = rows[0]
    if role == UserRole.ADMIN:
        return Viewer(ViewerKind.ADMIN, user_id)
    if has_clones or role == UserRole.CREATOR:
        return Viewer(ViewerKind.CREATOR, user_id)
    return Viewer(ViewerKind.USER, user_id)


async def find_by_email(database: Database, email: str) -> UUID | None:
    """The id of the person with this e-mail address."""
    statement = compiled(select(User.id).where(User.email == bindparam("email", type_=Text)))
    rows = await database.fetch(statement.text, statement.arguments({"email": email}))
    return rows[0][0] if rows else None
