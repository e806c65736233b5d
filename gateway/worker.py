"""The worker as a process of its own: all that happens by itself, and no requests."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from db.engine import Database
from db.storage import Storage
from gateway.settings import Settings
from resolvers.feed import Feed
from resolvers.provisioning.providers import PROVIDERS
from resolvers.services import Services
from resolvers.worker import Worker


async def work(database: Database, settings: Settings, on_ready: Callable[[], None]) -> None:
    """Work until the process is told to stop. What is being done by then is given back, and others go on with it."""
    is_over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, is_over.set)
    async with AsyncExitStack() as life:
        life.push_async_callback(database.close)
        provider = PROVIDERS[settings.chosen_provider](database, settings.provider_options)
        life.push_async_callback(provider.close)
        services = Services(
            database,
            Feed(database, window=settings.events_window),
            Storage(settings.storage_place),
            provider,
            settings.terms,
            settings.provider_instance,
            links=settings.links,
        )
        worker = Worker(services, settings.operation_lease)
        worker.start()
        life.push_async_callback(worker.close)
        on_ready()
        await is_over.wait()
