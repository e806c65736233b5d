"""Codecs: how values travel between PostgreSQL and Python, where asyncpg's own way is not the fastest.

These travel as text. PostgreSQL writes it almost as fast as the binary form, and Python reads it about twice as fast.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg
import orjson

ENDLESS: Final = {"infinity": datetime.max, "-infinity": datetime.min}  # noqa: DTZ901 (they are in no zone)
"""The moments after and before all others, as asyncpg has them, too."""
WRITTEN_ENDLESS: Final = {moment: text for text, moment in ENDLESS.items()}


async def set_codecs(connection: "asyncpg.Connection[asyncpg.Record]", *, in_utc: bool) -> None:
    """Use them on a connection. in_utc: whether its session writes moments in ISO 8601, and in UTC."""

    async def travel_as_text(kind: str, encoder: Any, decoder: Any) -> None:
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=encoder, decoder=decoder, format="text")

    # Nobody between PostgreSQL and the client needs to parse it.
    await travel_as_text("jsonb", _write_json, orjson.Fragment)
    await travel_as_text("numeric", str, Decimal)
    if in_utc:
        await travel_as_text("timestamptz", _write_moment, _read_moment)


def _write_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _write_moment(moment: datetime) -> str:
    return WRITTEN_ENDLESS.get(moment) or moment.isoformat()


def _read_moment(text: str) -> datetime:
    return ENDLESS.get(text) or datetime.fromisoformat(text)
