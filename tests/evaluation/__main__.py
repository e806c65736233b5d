"""Prints how well search finds, and writes it into docs/search.md: `python -m tests.evaluation`."""

import asyncio
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from db import migrate
from db.embedded import EmbeddedServer
from db.engine import Database
from tests.evaluation.measure import measure, table

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
PLACE = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)


async def main(server: EmbeddedServer) -> str:
    url = await server.create_database()
    await migrate.upgrade(url)
    database = Database(url)
    try:
        return table(await measure(database))
    finally:
        await database.close()


with TemporaryDirectory() as folder:
    server = EmbeddedServer.start(Path(folder) / "postgresql")
    try:
        measured = asyncio.run(main(server))
    finally:
        server.stop()
print(measured)  # noqa: T201 (for whoever has run it)
PAGE.write_text(PLACE.sub(rf"\1{measured}\n\2", PAGE.read_text()))
