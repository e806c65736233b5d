"""`python -m tests.chaos 60`: a minute of it, on a PostgreSQL of its own."""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from db import demo, migrate
from db.embedded import EmbeddedServer
from tests.chaos.audit import Result
from tests.chaos.workload import SETTINGS, Chaos
from tests.crashing import Server

SERVERS = 3
PAUSE = (0.5, 3.0)
GRAVE = ("internal_error", "session_not_settled")
"""Lines of the log that there must be none of."""


async def main(seconds: float, seed: int, folder: Path) -> bool:
    """Whether every credit is where it belongs after so many seconds."""
    postgresql = EmbeddedServer.start(folder / "postgresql")
    try:
        url = await postgresql.create_database()
        await migrate.upgrade(url)
        await demo.load(url, demo.Scale.SMALL)
        servers = [Server({**SETTINGS, "DATABASE_URL": url}, folder) for _ in range(SERVERS)]
        chaos = Chaos(url, servers, random.Random(seed))  # noqa: S311 (nobody is to be kept from guessing it)
        await chaos.run(lambda: chaos.seconds > seconds, pause=PAUSE, kills_postgresql=True)
        result = await chaos.audit()
        grave = [line for line in servers[0].log.read_text().splitlines() if any(word in line for word in GRAVE)]
        print(f"seed {seed}, {seconds:g} s", *summary(chaos, result), *grave, sep="\n")  # noqa: T201 (what it is for)
        return result.is_clean and not grave
    finally:
        postgresql.stop()


def summary(chaos: Chaos, result: Result) -> list[str]:
    """What happened, in a few lines."""
    done = sum(told.subject is not None for told in chaos.journal)
    times = sum(told.unanswered for told in chaos.unsure)
    return [
        f"{len(chaos.journal):,} acts: {done:,} done, {len(chaos.journal) - done:,} refused",
        f"killed: {', '.join(f'{what} {times} times' for what, times in sorted(chaos.kills.items()))}",
        f"{len(chaos.unsure):,} acts got no answer, and were sent {times:,} times more until they were definite",
        f"{result.done_unanswered:,} of these had been done by then, and were not done again",
        f"lost: {result.lost.total()}; done twice: {result.doubled.total()}; deadlocks: {result.deadlocks}",
        *(f"LOST {fact}" for fact in result.lost),
        *(f"DONE TWICE {fact}" for fact in result.doubled),
        *(f"WRONG: {each}" for each in result.wrong),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="clonegraph-chaos-") as folder:
        chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)  # noqa: S311
        sys.exit(not asyncio.run(main(float(sys.argv[1]), chosen, Path(folder))))
