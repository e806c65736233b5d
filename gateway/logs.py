"""The log: one JSON object a line, or, for a person at a terminal, one readable line."""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import orjson
import structlog

LONGEST = 100

IDS: ContextVar[Mapping[str, str]] = ContextVar("ids")
"""What every line of an operation has, to be found by."""

_NO_IDS: Mapping[str, str] = {}


def set_up_logging(level: str = "info", *, readable: bool | None = None) -> None:
    """Send all logs from this level on to standard error, ours and those of the libraries."""
    if readable is None:
        readable = sys.stderr.isatty()
    least = logging.getLevelNamesMapping()[level.upper()]
    steps: list[structlog.typing.Processor] = [
        add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    )
    structlog.configure(
        processors=[*steps, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=steps, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    # Libraries are quiet unless something is wrong: what they say below that is not about operations.
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)


def add_ids(logger: Any, method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A step of structlog: the entry, with the ids of the operation that it is about."""
    entry.update(IDS.get(_NO_IDS))
    return entry


def clean(text: str | None) -> str | None:
    """What a client calls something, fit for a line of a log: short, and with no character that moves the cursor."""
    if not text or (len(text) <= LONGEST and text.isprintable()):
        return text or None
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:LONGEST])


def _json(entry: Any, default: Any) -> str:
    try:
        return orjson.dumps(entry, default).decode()
    except TypeError:  # it has less patience than the standard library: huge numbers, halves of characters
        return json.dumps(entry, default=default)
