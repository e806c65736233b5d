"""What is wrong here, and what to do about it."""

from dataclasses import dataclass

from db import migrate
from db.engine import Database
from db.errors import DatabaseError
from gateway.explorer import BUILT
from gateway.settings import Settings

SUPPORTED = range(15, 19)


@dataclass(frozen=True)
class Symptom:
    """One thing that was looked at. The sentence says what was found, and what to do where it is not well."""

    well: bool
    sentence: str


async def examine(database: Database, settings: Settings, url: str) -> list[Symptom]:
    """Everything that was looked at, in the order of what depends on what."""
    return [_secret(settings), _explorer(), *await _database(database, url)]


def _secret(settings: Settings) -> Symptom:
    if settings.jwt_secret:
        return Symptom(True, "Tokens are read with JWT_SECRET.")
    if settings.database_url:
        return Symptom(False, "No tokens can be read: set JWT_SECRET to the secret that your application signs with.")
    return Symptom(True, "Tokens are read with a secret of the data folder's own.")


def _explorer() -> Symptom:
    if (BUILT / "index.html").exists():
        return Symptom(True, "The explorer is built.")
    return Symptom(False, "The explorer is not built: run `make explorer`.")


async def _database(database: Database, url: str) -> list[Symptom]:
    try:
        rows = await database.fetch(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')",
            (),
        )
    except DatabaseError as error:
        return [Symptom(False, f"{error.__doc__} ({error.__cause__})")]
    version, has_vector = rows[0]
    status = await migrate.status(url)
    return [
        Symptom(version in SUPPORTED, f"The database is PostgreSQL {version}; 15 to 18 are supported."),
        Symptom(True, "pgvector is there." if has_vector else "pgvector is not there; nothing needs it yet."),
        Symptom(
            status.is_current,
            "The database has the newest shape."
            if status.is_current
            else f"{len(status.pending)} revisions are pending: run `clonegraph db upgrade`.",
        ),
    ]
