"""Watchers: a thousand sockets at a time, each with a subscription, and when each hears of a change."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL: Final = Subprotocol("graphql-transport-ws")
AT_A_TIME: Final = 50
"""How many sockets are opened at a time: a listener keeps few who wait."""

SUBSCRIPTION: Final = """subscription($id: ID!) {
  cloneUpdated(id: $id) { cursor clone { id name bio averageRating totalSessions creator { fullName } } }
}"""


@dataclass
class Watchers:
    """Sockets to one gateway. heard: when each got its last event, by `perf_counter`."""

    endpoint: str
    tokens: list[str | None]
    sockets: list[ClientConnection] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)

    async def connect(self) -> None:
        """Open every socket, and say who one is."""
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(token: str | None) -> ClientConnection:
            async with gate:
                socket = await connect(
                    self.endpoint, subprotocols=[PROTOCOL], proxy=None, ping_interval=None, open_timeout=60
                )
                payload = {"authorization": f"Bearer {token}"} if token else None
                await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
                assert json.loads(await socket.recv()) == {"type": "connection_ack"}
                return socket

        self.sockets = list(await asyncio.gather(*map(one, self.tokens)))

    async def subscribe(self, variables: dict[str, Any]) -> None:
        """Let each subscribe, and get the first event."""
        message = {"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION, "variables": variables}}
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(socket: ClientConnection) -> None:
            async with gate:
                await socket.send(json.dumps(message))
                await _event(socket)

        await asyncio.gather(*map(one, self.sockets))

    async def hear(self) -> None:
        """Wait until each has heard of one event."""

        async def one(socket: ClientConnection) -> float:
            text = await socket.recv()
            heard = time.perf_counter()
            assert '"type":"next"' in str(text), text
            return heard

        self.heard = list(await asyncio.gather(*map(one, self.sockets)))

    async def close(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self.sockets))


async def _event(socket: ClientConnection) -> None:
    message = json.loads(await socket.recv())
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message


class FanOut(NamedTuple):
    """How long it took until the first watcher, half of them, and the last one had heard of a change, in seconds."""

    first: float
    half: float
    last: float

    @classmethod
    def of(cls, since: float, heard: list[float]) -> "FanOut":
        return cls(min(heard) - since, median(heard) - since, max(heard) - since)
