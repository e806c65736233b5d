"""The providers there are. Another one is a file beside this one, and a line in `PROVIDERS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from db.engine import Database
from resolvers.provisioning.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """What an operator has set. base_url: where a compatible server is. timeout: for one request, in seconds."""

    key: str | None = None
    base_url: str | None = None
    model: str | None = None
    timeout: float = 60


def _openai(database: Database, options: ProviderOptions) -> Provider:
    from resolvers.provisioning.openai import OpenAIProvider

    return OpenAIProvider(options)


def _local(database: Database, options: ProviderOptions) -> Provider:
    from resolvers.provisioning.local import LocalProvider

    return LocalProvider(database)


PROVIDERS: Final[Mapping[str, Callable[[Database, ProviderOptions], Provider]]] = {
    "openai": _openai,
    "local": _local,
}
"""How each is made. Their libraries are loaded only where they are wanted."""
