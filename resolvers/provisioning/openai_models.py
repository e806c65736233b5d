"""OpenAI's models: which one answers unless told, and what takes the place of those that are shut down."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

DEFAULT_MODEL: Final = "gpt-6-luna"
LARGE: Final = "gpt-6.1-sol"
MEDIUM: Final = "gpt-6.1-terra"
SMALL: Final = "gpt-6-luna"


class Retired(NamedTuple):
    """A model that is shut down on a date, and the one that OpenAI recommends in its place."""

    on: date
    successor: str


def _retired(on: date, successor: str, *models: str) -> dict[str, Retired]:
    return dict.fromkeys(models, Retired(on, successor))


REMAP: Final[Mapping[str, Retired]] = MappingProxyType(
    {
        **_retired(date(2025, 7, 28), LARGE, "o1-preview", "o1-preview-2024-09-12"),
        **_retired(date(2025, 10, 27), LARGE, "o1-mini", "o1-mini-2024-09-12"),
        **_retired(date(2026, 2, 17), LARGE, "chatgpt-4o-latest"),
        **_retired(date(2026, 7, 23), LARGE, "gpt-5-chat-latest", "gpt-5.1-chat-latest"),
        **_retired(date(2026, 8, 10), LARGE, "gpt-5.2-chat-latest", "gpt-5.3-chat-latest"),
        **_retired(date(2026, 10, 23), MEDIUM, "gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
        **_retired(date(2026, 10, 23), LARGE, "gpt-4", "gpt-4-0613", "gpt-4-1106-preview"),
        **_retired(date(2026, 10, 23), LARGE, "gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4o-2024-05-13"),
        **_retired(date(2026, 10, 23), LARGE, "o1", "o1-2024-12-17", "o3-mini", "o3-mini-2025-01-31"),
        **_retired(date(2026, 10, 23), MEDIUM, "o4-mini", "o4-mini-2025-04-16"),
        **_retired(date(2026, 10, 23), SMALL, "gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"),
        **_retired(date(2026, 12, 11), LARGE, "gpt-5", "gpt-5-2025-08-07", "o3", "o3-2025-04-16"),
        **_retired(date(2026, 12, 11), MEDIUM, "gpt-5-mini", "gpt-5-mini-2025-08-07"),
        **_retired(date(2026, 12, 11), SMALL, "gpt-5-nano", "gpt-5-nano-2025-08-07"),
        **_retired(date(2027, 1, 14), SMALL, "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
        **_retired(date(2027, 1, 14), SMALL, "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        **_retired(date(2027, 1, 14), SMALL, "gpt-4.1", "gpt-4.1-2025-04-14"),
        **_retired(date(2027, 1, 14), SMALL, "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
    }
)
"""State of OpenAI's page of deprecations in November 2026."""


def current(model: str, today: date) -> str:
    """The model that answers where this one was asked for: another one, from the day on which it is shut down."""
    retired = REMAP.get(model)
    return retired.successor if retired and retired.on <= today else model
