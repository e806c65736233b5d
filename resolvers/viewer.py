"""Who a person is to the graph."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Text, Uuid, any_, bindparam, exists, select
from sqlalchemy.dialects.postgresql import ARRAY

from db import Clone, User, UserRole, Viewer, ViewerKind
from db.engine import Database
from db.statement import Statement, compiled


@cache
def _statement() -> Statement:
    has_clones = exists().where(Clone.creator_id == User.id).label("has_clones")
    wanted = User.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    return compiled(select(User.id, User.role, has_clones).where(wanted, User.is_active))


async def find_viewers(database: Database, ids: Sequence[UUID]) -> dict[UUID, Viewer]:
    """The viewers that people are, by their roles in the database, but for those locked out or unknown."""
    statement = _statement()
    rows = await database.fetch(statement.text, statement.arguments({"ids": ids}))
    return {row[0]: _viewer(*row) for row in rows}


def _viewer(user_id: UUID, role: str, has_clones: bool) -> Viewer:
    """Whoever has a clone is a creator, whatever the role says: old programs never kept it."""
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
