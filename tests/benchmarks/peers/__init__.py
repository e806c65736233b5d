"""The peers: other servers over the same data, which are asked the same operations in their own words."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import asyncpg

from db.demo import Person
from tests.benchmarks.dialects import LISTS, OURS, POSTGRAPHILE, UUIDS, Dialect
from tests.benchmarks.operations import ADMIN, VIEWER

HERE: Final = Path(__file__).parent
NODE: Final = HERE / "node_modules" / ".bin" / "node"
"""From npm, since PostGraphile wants a newer one than many systems have."""
RLS: Final = (HERE / "rls.sql").read_text()
NO_RLS: Final = (HERE / "no_rls.sql").read_text()
"""Takes back what the other one does."""
NOT_INSTALLED: Final = None if NODE.exists() else "it is not installed: run `make peers`"
NEVER: Final = 2**31 - 1


@dataclass(frozen=True)
class Peer:
    """A server to measure, and how it is started.

    key: how it is chosen. role: whom PostgreSQL takes it for; the owner of the tables, unless told.
    viewer: who asks it. One that shows everybody everything is compared with what the gateway shows an admin.
    slow: whether one round has to do. missing: why it cannot be measured here.
    """

    key: str
    name: str
    command: tuple[str, ...]
    dialect: Dialect = OURS
    settings: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None
    viewer: Person = VIEWER
    slow: bool = False
    missing: str | None = None


def _python(key: str, name: str, dialect: Dialect, **options: Any) -> Peer:
    return Peer(key, name, (sys.executable, "-m", f"{__name__}.{key}"), dialect, **options)


def _node(key: str, name: str, script: str, dialect: Dialect, **options: Any) -> Peer:
    return Peer(key, name, (str(NODE), str(HERE / script)), dialect, missing=NOT_INSTALLED, **options)


PRODUCTION: Final = {"NODE_ENV": "production"}
SERVE: Final = (str(Path(sys.executable).with_name("clonegraph")), "serve", "--port", "0")
GATEWAY: Final = Peer("clonegraph", "CloneGraph", SERVE)
GATEWAY_FOR_ADMIN: Final = replace(GATEWAY, name="CloneGraph, for an admin", viewer=ADMIN)
GATEWAYS: Final = {each.viewer: each for each in (GATEWAY, GATEWAY_FOR_ADMIN)}
PEERS: Final = (
    _node(
        "postgraphile-rls",
        "PostGraphile, RLS",
        "postgraphile.mjs",
        POSTGRAPHILE,
        settings={**PRODUCTION, "PROTECTED": "1"},
        role="postgraphile",
    ),
    _node(
        "postgraphile",
        "PostGraphile, no RLS",
        "postgraphile.mjs",
        POSTGRAPHILE,
        settings=PRODUCTION,
        role="postgraphile",
        viewer=ADMIN,
    ),
    _node("mercurius", "Mercurius", "mercurius.mjs", UUIDS, settings=PRODUCTION),
    _python("handwritten", "hand-written", OURS),
    Peer("graphql-core", "graphql-core", SERVE, settings={"PLAN_AFTER": str(NEVER)}),
    _python("naive", "naive Strawberry", LISTS, slow=True),
)


@contextmanager
def row_level_security(url: str) -> Iterator[None]:
    """The roles and policies of PostGraphile, for as long as the block."""
    asyncio.run(run_script(url, NO_RLS + RLS))
    try:
        yield
    finally:
        asyncio.run(run_script(url, NO_RLS))


async def run_script(url: str, script: str) -> None:
    """Run all statements of a text."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()
