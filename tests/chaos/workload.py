"""The workload: clients, an old program, and whoever kills the servers meanwhile."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import httpx2
import psutil

from db import Scope
from db.engine import Database
from db.errors import LOST_CONNECTION
from resolvers.service_token import issue
from schema import ids
from tests.chaos.acts import PEOPLE, SECRET, Act, Acts, Told
from tests.chaos.audit import Result, audit, balances
from tests.crashing import Server

SETTINGS = {
    "JWT_SECRET": SECRET,
    "POINTS_CAPACITY": "1000000000",
    "LOG_LEVEL": "error",
    "PLATFORM_SHARE": "0.15",
    "METERING_INTERVAL": "1",
    "ABANDONED_AFTER": "15",
}
PRICES = [Decimal(0), Decimal("0.7"), Decimal(30), Decimal(600)]
CLIENTS = 8
PATIENCE = 60.0
"""For how many seconds a client sends the same again."""

SET_PRICES = """
    UPDATE clones SET base_price = price
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM clones
          WHERE is_published AND is_active AND creator_id = ANY ($2)) AS chosen
    JOIN unnest($1::numeric[]) WITH ORDINALITY AS prices (price, number) USING (number)
    WHERE clones.id = chosen.id RETURNING clones.id
"""
OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'clonegraph'"
OLD_PROGRAM = "CREATE TABLE old_program (user_id uuid, amount numeric)"
OLD_MOVE = """
    WITH moved AS (UPDATE user_profiles SET credits_remaining = credits_remaining + $2 WHERE id = $1 RETURNING id)
    INSERT INTO old_program SELECT id, $2 FROM moved
"""


class Unanswered(Exception):
    """Nobody knows what came of it."""


class NotSent(Exception):
    """Nobody was there to take it."""


@dataclass
class Chaos:
    """All of them. chance: what is chosen by it depends on its seed, and on how fast everybody is.

    severity: how often it is a whole server that is killed, and not only one of its workers.
    """

    url: str
    servers: list[Server]
    chance: random.Random
    severity: float = 0.5
    kills: Counter[str] = field(default_factory=Counter)
    journal: list[Told] = field(default_factory=list)
    is_over: bool = False

    async def run(
        self, is_enough: Callable[[], bool], *, pause: tuple[float, float], kills_postgresql: bool = False
    ) -> None:
        """Let it happen until it is enough, and all is definite. pause: between two kills of a server's processes."""
        await self._prepare()
        self._is_one_away = False
        try:
            await asyncio.gather(*(asyncio.to_thread(server.start) for server in self.servers))
            self._since = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CLIENTS):
                    tasks.create_task(self._be_client())
                for server in self.servers:
                    tasks.create_task(self._kill_processes_of(server, pause))
                tasks.create_task(self._be_old_program())
                if kills_postgresql:
                    tasks.create_task(self._kill_postgresql())
                while not is_enough():
                    await self._rest(0.1, 0.1)
                self.is_over = True
        finally:
            await asyncio.gather(*(asyncio.to_thread(server.stop) for server in self.servers))

    @property
    def seconds(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._since

    @property
    def unsure(self) -> list[Told]:
        """What got no answer at first."""
        return [told for told in self.journal if told.unanswered]

    async def audit(self, url: str | None = None) -> Result:
        """What it came to. url: of a copy of the database."""
        return await audit(url or self.url, self._began, self._before, self.journal)

    async def _prepare(self) -> None:
        """Note how things are before anything happens."""
        database = Database(self.url)
        back_end = await issue(database, "chat", [Scope.SESSIONS], None)
        await database.close()
        connection = await asyncpg.connect(self.url)
        await connection.execute(OLD_PROGRAM)
        clones = [row["id"] for row in await connection.fetch(SET_PRICES, PRICES, PEOPLE)]
        self._acts = Acts(self.chance, clones, str(back_end))
        self._before = await balances(connection, PEOPLE)
        self._began: datetime = await connection.fetchval("SELECT clock_timestamp()")
        await connection.close()

    async def _be_client(self) -> None:
        """Do one thing after another, each until it is definite."""
        async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
            while not self.is_over:
                told = await self._insist(client, self._acts.next())
                self._acts.remember(told)
                self.journal.append(told)

    async def _insist(self, client: httpx2.AsyncClient, act: Act) -> Told:
        """What came of it, which is sent again until somebody says so."""
        deadline = time.monotonic() + PATIENCE
        unanswered = 0
        while time.monotonic() < deadline:
            sent = datetime.now(UTC)
            try:
                return Told(act, await self._send(client, act), unanswered, sent)
            except Unanswered:
                unanswered += 1
            except NotSent:
                pass
            await asyncio.sleep(0.02)
        raise AssertionError(f"nobody ever said what came of {act}")

    async def _send(self, client: httpx2.AsyncClient, act: Act) -> UUID | None:
        """The row that it was done to; None if it was refused. Raises Unanswered and NotSent."""
        address = self.chance.choice(self.servers).address
        hangs_up = self.chance.random() < 0.05
        try:
            response = await client.post(
                f"{address}graphql",
                json=act.request,
                headers={"authorization": f"Bearer {act.token}"},
                timeout=self.chance.uniform(0.002, 0.05) if hangs_up else client.timeout,
            )
        except httpx2.ConnectError as error:
            raise NotSent from error
        except httpx2.TransportError as error:
            raise Unanswered from error
        body = response.json()
        errors = body.get("errors", ())
        if errors and all(error["extensions"]["retryable"] for error in errors):
            raise Unanswered
        assert not errors, errors
        done = body["data"]["done"]
        if [error["code"] for error in done["userErrors"]] == ["IDEMPOTENCY_IN_PROGRESS"]:
            raise Unanswered
        return ids.parse(done["row"]["id"])[1] if done["row"] else None

    async def _kill_processes_of(self, server: Server, pause: tuple[float, float]) -> None:
        """End one now and then, and start all again if that was the first one."""
        while not await self._rest(*pause):
            if self.chance.random() < self.severity and not self._is_one_away:
                self._is_one_away = True  # the others have to serve meanwhile
                server.kill()
                self.kills["a server"] += 1
                await asyncio.to_thread(server.start)
                self._is_one_away = False
            elif workers := server.workers():
                with suppress(psutil.NoSuchProcess):
                    self.chance.choice(workers).kill()
                self.kills["a worker"] += 1

    async def _kill_postgresql(self) -> None:
        """End one of its processes now and then, upon which it ends all others, and recovers from its log."""
        while not await self._rest(6, 12):
            with suppress(*LOST_CONNECTION):
                connection = await asyncpg.connect(self.url)
                pids = [row["pid"] for row in await connection.fetch(OURS)]
                connection.terminate()
                if pids:
                    os.kill(self.chance.choice(pids), signal.SIGKILL)
                    self.kills["PostgreSQL"] += 1

    async def _be_old_program(self) -> None:
        """Move balances without asking anybody, and keep a list of it."""
        while not await self._rest(0.05, 0.2):
            with suppress(*LOST_CONNECTION, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self.url)
                while not await self._rest(0.05, 0.2):
                    await connection.execute(OLD_MOVE, self.chance.choice(PEOPLE), Decimal(self.chance.randint(1, 9)))
                await connection.close()

    async def _rest(self, least: float, most: float) -> bool:
        """Wait a little; whether it is over then."""
        await asyncio.sleep(self.chance.uniform(least, most))
        return self.is_over
