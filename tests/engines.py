"""Two gateways over the same data: one plans what it sees, the other leaves everything to graphql-core."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from gateway.engine.way import Way
from tests.serving import Answer, Gateway, serving

ROOM: dict[str, Any] = {
    "max_tokens": 20_000,
    "max_depth": 30,
    "max_aliases": 1_000,
    "max_cost": 1_000_000_000,
    "points_capacity": 1_000_000_000_000,
}
"""Room for operations that are not to be refused before they run."""
AT_FIRST_SIGHT, NEVER = {"plan_after": 1}, {"plan_after": 1_000_000_000}


@dataclass(frozen=True)
class Twice:
    """An operation that was executed in both ways, to the same end. reasons: why there was no plan, or an anomaly."""

    answer: Answer
    by_core: Answer
    way: Way | None
    reasons: list[str]

    @property
    def data(self) -> Any:
        """The data of an answer without errors, which came by a plan."""
        assert self.way is Way.PLAN, self.reasons
        return self.answer.data

    @property
    def codes(self) -> list[str]:
        return self.answer.codes


@dataclass
class Engines:
    """The two gateways. headers: those of who is not in the cast, by name."""

    planning: Gateway
    core: Gateway
    headers: Mapping[str, dict[str, str]] = field(default_factory=dict)

    def ask(
        self, query: str, /, *, as_: str | None = None, operation_name: str | None = None, **variables: Any
    ) -> Twice:
        """What both answer alike, to somebody of the cast or of `headers`."""
        body = {"query": query, "variables": variables, "operationName": operation_name}
        with capture_logs() as lines:
            answer, by_core = (self._send(gateway, body, as_) for gateway in (self.planning, self.core))
        way = next(line for line in lines if line["event"] == "operation").get("way")
        reasons = [line["reason"] for line in lines if line["event"] in ("anomaly", "unplanned")]

        *ours, our_errors = told(answer)
        *theirs, their_errors = told(by_core)
        assert ours == theirs, f"{body} as {as_}"
        assert our_errors.keys() == their_errors.keys(), f"{body} as {as_}"
        # The first of several errors makes a null of all that is around them; which others are told, only time says.
        assert all(errors & their_errors[null] for null, errors in our_errors.items()), f"{body} as {as_}"
        return Twice(answer, by_core, way, reasons)

    def _send(self, gateway: Gateway, body: Any, as_: str | None) -> Answer:
        headers = self.headers.get(as_ or "") or gateway.headers(as_)
        gateway.statements.clear()
        response = gateway.client.post("/graphql", json=body, headers=headers)
        return Answer(response, list(gateway.statements))


def told(answer: Answer) -> tuple[int, str | None, dict[Any, set[str]]]:
    """What is told whichever way it came: the status, the data as text, and the errors that led to each null."""
    text, before = answer.response.text, '{"data":'
    start = len(before) if text.startswith(before) else None
    data, end = json.JSONDecoder().raw_decode(text, start) if start else (None, None)
    errors: dict[Any, set[str]] = {}
    for error in answer.errors:
        assert error["extensions"].pop("errorId")
        as_text = json.dumps(error, sort_keys=True)
        errors.setdefault(_null(data, error["path"]) if "path" in error else as_text, set()).add(as_text)
    return answer.response.status_code, text[start:end] if start else None, errors


def _null(data: Any, path: list[str | int]) -> tuple[str | int, ...]:
    """Where the null is that an error led to: at its own path, or above it where there may be none."""
    for depth, step in enumerate(path):
        if data is None:
            return tuple(path[:depth])
        data = data[step]
    assert data is None
    return tuple(path)


@contextmanager
def engines(
    url: str, url_of_core: str | None = None, headers: Mapping[str, dict[str, str]] | None = None
) -> Iterator[Engines]:
    """Both over one database, or each over one of two equal ones, for as long as the block."""
    with serving(url, ROOM | AT_FIRST_SIGHT) as planning, serving(url_of_core or url, ROOM | NEVER) as core:
        yield Engines(planning, core, headers or {})
