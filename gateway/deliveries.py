"""Deliveries: what a client gets for an operation, one answer or, of a subscription, one for each event."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution import Executor as Execution
from graphql.execution import create_source_event_stream

from db.errors import DatabaseUnavailable
from db.trace import Trace
from gateway.auth import Authenticator
from gateway.errors import RETRYABLE, Code, RequestError, formatted
from gateway.operation import Answer, Caller, Executor, Operation, Wishes, encode
from gateway.sharing import Shared
from gateway.telemetry import record
from schema.graph import core_schema

PAUSES = (0.2, 0.5, 1, 2, 4)
"""How long to wait for a database that is away before an event is tried to be told again, in seconds."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Delivery:
    """An answer, and its text as JSON. cursor: where to go on from after this event.

    One without data is the last, and says why.
    """

    answer: Answer
    text: str
    cursor: str | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether it has no data."""
        return "data" not in self.answer.content


class Deliveries:
    """Makes deliveries. Those who look alike and ask the same get theirs from one execution."""

    def __init__(self, executor: Executor, authenticator: Authenticator) -> None:
        self.executor = executor
        self.authenticator = authenticator
        self._shared: Shared[Delivery] = Shared()

    async def of(self, operation: Operation, caller: Caller, wishes: Wishes) -> AsyncGenerator[Delivery]:
        """What an operation comes to. To be closed. Raises RequestError where it cannot begin or go on."""
        if operation.type is not OperationType.SUBSCRIPTION or wishes.validate:
            yield self._delivery(await self.executor.run(operation, caller, wishes))
            return
        known = record()
        known.asked_by(caller)
        known.events = 0
        trace = Trace()
        source = await self._source(operation, caller, trace)
        if isinstance(source, Answer):
            await self.executor.settle(operation, caller, trace)
            yield self._delivery(source)
            return
        question = (operation.document.id, operation.request.operation_name, _text(operation.request.variables))
        async with aclosing(source):
            await self.executor.settle(operation, caller, trace)
            async for event in source:
                # Whoever asks may be locked out by now, or have another role.
                caller = await _patiently(partial(self.authenticator.refresh, caller))
                yield await self._told(operation, caller, event, question, wishes)
                known.events += 1

    async def _source(self, operation: Operation, caller: Caller, trace: Trace) -> Any:
        """The events, as the schema tells them; an answer, where it refuses to."""
        await self.executor.points.take(caller.principal, operation.cost)
        async with self.executor.executing(trace):
            execution = Execution.build(
                core_schema,
                operation.document.node,
                context_value=self.executor.context(operation, caller.viewer),
                raw_variable_values=operation.request.variables,
                operation_name=operation.request.operation_name,
            )
            if isinstance(execution, list):
                return _refusal(execution)
            source = create_source_event_stream(execution)
            if isawaitable(source):
                source = await source
        return _refusal(source.errors or []) if isinstance(source, ExecutionResult) else source

    async def _told(
        self, operation: Operation, caller: Caller, event: Any, question: Hashable, wishes: Wishes
    ) -> Delivery:
        """The delivery of an event. Whoever begins the execution pays for it, and those who join it pay a point."""
        key: tuple[Hashable, ...] = (question, caller.viewer, _identity(event))
        if wishes != Wishes():
            key = (*key, object())  # what is told beside the data is nobody else's
        while True:
            is_joining = key in self._shared
            if is_joining:
                await self.executor.points.take(caller.principal, 1)
            try:
                return await self._shared.get(key, partial(self._executed, operation, caller, event, wishes))
            except RequestError as error:
                if error.code is not Code.RATE_LIMITED or not is_joining:
                    raise
                # It was another who could not pay.

    async def _executed(self, operation: Operation, caller: Caller, event: Any, wishes: Wishes) -> Delivery:
        await self.executor.points.take(caller.principal, operation.cost)
        known = record()
        known.cost = (known.cost or 0) + operation.cost
        trace = Trace()
        result = await _patiently(partial(self._execute, operation, caller, trace, event))
        return self._delivery(await self.executor.conclude(operation, caller, trace, result, wishes), event)

    async def _execute(self, operation: Operation, caller: Caller, trace: Trace, event: Any) -> ExecutionResult:
        result = await self.executor.execute(operation, caller.viewer, trace, event)
        for error in result.errors or ():
            if isinstance(error.original_error, DatabaseUnavailable):
                raise error.original_error
        return result

    def _delivery(self, answer: Answer, event: Any = None) -> Delivery:
        answer, body = encode(answer, self.executor.settings.max_response_bytes)
        cursor = event.get("cursor") if isinstance(event, Mapping) else None
        return Delivery(answer, body.decode(), cursor)


async def _patiently(attempt: Callable[[], Awaitable[Thing]]) -> Thing:
    """What is attempted, again and again while the database is away: an event that was not told would be lost."""
    for pause in PAUSES:
        try:
            return await attempt()
        except DatabaseUnavailable:
            await asyncio.sleep(pause)
    return await attempt()


def _refusal(errors: list[GraphQLError]) -> Answer:
    entries = [formatted(error) for error in errors]
    codes = {entry["extensions"]["code"] for entry in entries}
    status = 503 if codes & RETRYABLE else 500 if Code.INTERNAL in codes else 422
    return Answer(status, {"errors": entries})


def _identity(event: Any) -> Hashable:
    """What tells an event from another."""
    if isinstance(event, Mapping):
        return tuple(event.items())
    return id(event)


def _text(variables: dict[str, Any]) -> bytes:
    return orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
