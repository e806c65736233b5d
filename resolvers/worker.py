"""The worker: all that happens by itself while the gateway runs.

It is part of every `serve`, unless a setting says otherwise, and all that `clonegraph worker` does. Any number of them
can run.
"""

import asyncio

from resolvers.answering import Answering
from resolvers.duty import Duty
from resolvers.provisioning.provisioning import Provisioning
from resolvers.services import Services
from resolvers.settling import Settling

LATE = 30.0
"""After how many seconds without a look at what is due a duty counts as stuck, beside its pause."""


class Worker:
    """Does every duty for as long as it runs. lease: how long an operation is claimed for, in seconds."""

    def __init__(self, services: Services, lease: float) -> None:
        self.services = services
        self.duties: list[Duty] = [
            Settling(services.database, services.terms),
            Answering(services),
            Provisioning(services, lease),
        ]

    def start(self) -> None:
        """Begin to work."""
        for duty in self.duties:
            duty.start()
            self.services.sleepers.append(duty.wake)

    async def close(self) -> None:
        """Work no more."""
        await asyncio.gather(*(duty.close() for duty in self.duties))

    def stuck(self) -> list[str]:
        """The names of the duties that have not looked at what is due for too long."""
        now = asyncio.get_running_loop().time()
        return [
            type(duty).__name__.lower()
            for duty in self.duties
            if duty.looked_at is not None and now - duty.looked_at > duty.pause + LATE
        ]
