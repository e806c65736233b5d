"""Operations: what a request asks for, checked and priced, and then executed, whichever way it came in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from graphql import ExecutionResult, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values

from db import Viewer
from db.service_token import may_change
from db.trace import TRACE, Trace
from gateway.cost import Price
from gateway.documents import Document, Documents
from gateway.engine.execution import Engine
from gateway.engine.run import Run
from gateway.errors import Code, DocumentError, RequestError, formatted, request_errors, unforeseen
from gateway.limits import check_variables
from gateway.negotiation import PARTIAL_SUCCESS
from gateway.points import Points
from gateway.request import GraphQLRequest
from gateway.settings import Documents as Mode
from gateway.settings import Settings
from gateway.telemetry import record
from resolvers.context import Context
from resolvers.services import Services
from schema.graph import core_schema


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and with which program.

    principal: whose points are spent: a person's, a service's, or an anonymous address's.
    expires: when the token ends, as a Unix time.
    """

    viewer: Viewer
    principal: str
    client_name: str | None = None
    client_version: str | None = None
    expires: float | None = None


@dataclass(frozen=True)
class Wishes:
    """What a caller wants beside the data: `GraphQL-Cost: report` or `validate`, `GraphQL-Plan: report`.

    validate: only check and price, do not run.
    """

    cost: bool = False
    plan: bool = False
    validate: bool = False

    @classmethod
    def read(cls, headers: Mapping[str, str], settings: Settings) -> "Wishes":
        """The wishes in these headers."""
        cost = headers.get("graphql-cost")
        plan = settings.development and headers.get("graphql-plan") == "report"
        return cls(cost=cost == "report", plan=plan, validate=cost == "validate")


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation that may run, and what it may cost."""

    request: GraphQLRequest
    document: Document
    node: OperationDefinitionNode
    variables: VariableValues
    price: Price

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return self.node.name.value if self.node.name else None

    @property
    def cost(self) -> int:
        """What it may cost at most."""
        return self.price.most

    @property
    def type(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.node.operation


@dataclass(frozen=True)
class Answer:
    """What a request comes to. status: the HTTP status for a client that knows the modern media type."""

    status: int
    content: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    well_formed: bool = True

    @property
    def codes(self) -> list[str]:
        """The codes of its errors."""
        return [error["extensions"]["code"] for error in self.content.get("errors", ())]

    def extend(self, name: str, extension: Any) -> None:
        """Tell something beside the data."""
        self.content.setdefault("extensions", {})[name] = extension

    @classmethod
    def refusal(cls, error: Exception) -> "Answer":
        """The answer to a request that is not executed."""
        if isinstance(error, RequestError):
            well_formed = isinstance(error, DocumentError) or error.code in WELL_FORMED
            return cls(error.status, {"errors": request_errors(error)}, dict(error.headers), well_formed)
        status, content = unforeseen(error)
        return cls(status, content)


WELL_FORMED = {
    Code.OPERATION_UNDETERMINED,
    Code.BAD_USER_INPUT,
    Code.LIMIT_EXCEEDED,
    Code.PERSISTED_QUERY_NOT_FOUND,
    Code.DOCUMENT_NOT_TRUSTED,
    Code.RESPONSE_TOO_LARGE,
}
"""Refusals of requests that were well-formed, as far as HTTP goes."""


REFUSED = 10
"""The points that a refused request takes."""


class Executor:
    """Checks and executes operations over one database."""

    def __init__(self, services: Services, documents: Documents, points: Points, settings: Settings) -> None:
        self.services = services
        self.feed = services.feed
        self.documents = documents
        self.points = points
        self.settings = settings
        self.engine = Engine(settings.plan_after)

    async def prepare(self, request: GraphQLRequest, caller: Caller) -> Operation:
        """The operation of a request, checked and priced. Raises RequestError, which takes points, too."""
        try:
            return await self._prepare(request, caller)
        except RequestError as error:
            if error.code is not Code.RATE_LIMITED:
                await self.points.take(caller.principal, REFUSED)
            raise

    async def _prepare(self, request: GraphQLRequest, caller: Caller) -> Operation:
        known = record()
        known.name = request.operation_name
        document = await self.documents.find(request, partial(self.points.take, caller.principal))
        known.trusted = request.document_id is not None or self.settings.documents is Mode.TRUSTED
        node = document.operation(request.operation_name)
        known.name, known.type = node.name.value if node.name else None, node.operation.value
        check_variables(request.variables)
        coerced = get_variable_values(core_schema, node.variable_definitions or (), request.variables, max_errors=10)
        if isinstance(coerced, list):
            raise DocumentError(422, Code.BAD_USER_INPUT, coerced)
        priced = document.price(node, coerced)
        cost = known.cost = priced.most
        if cost > self.settings.max_cost:
            raise RequestError(
                422,
                Code.LIMIT_EXCEEDED,
                f"The operation may cost {cost} points, and {self.settings.max_cost} are allowed. Ask for fewer rows"
                " per page (`first`), or for fewer levels at a time.",
            )
        return Operation(request, document, node, coerced, priced)

    async def run(self, operation: Operation, caller: Caller, wishes: Wishes = Wishes()) -> Answer:
        """The answer to a query or a mutation. Raises RequestError when the caller has no points left."""
        known = record()
        known.asked_by(caller)
        if wishes.validate:
            return Answer(200, {"data": {}, "extensions": {"cost": await self._costs(operation, caller)}})
        if operation.type is OperationType.MUTATION and not may_change(caller.viewer):
            raise RequestError(403, Code.FORBIDDEN, "This service token only reads. It has no scope for mutations.")
        await self.points.take(caller.principal, operation.cost)
        trace = Trace()
        result = await self.execute(operation, caller.viewer, trace)
        return await self.conclude(operation, caller, trace, result, wishes)

    async def conclude(
        self, operation: Operation, caller: Caller, trace: Trace, result: ExecutionResult, wishes: Wishes
    ) -> Answer:
        """The answer with the result of an execution that the caller has paid for, and what is wished for beside it."""
        actual = await self.settle(operation, caller, trace)
        answer = answer_of(result)
        if wishes.cost:
            answer.extend("cost", {**await self._costs(operation, caller), "actual": actual})
        if wishes.plan:
            answer.extend("plan", _plan(trace))
        return answer

    async def settle(self, operation: Operation, caller: Caller, trace: Trace) -> int:
        """What an operation did cost, one point for each row that it took. The rest of its price is given back."""
        known = record()
        actual = min(operation.price.most, max(operation.price.least, trace.rows))
        known.cost_actual = (known.cost_actual or 0) + actual
        await self.points.give_back(caller.principal, operation.price.most - actual)
        return actual

    async def _costs(self, operation: Operation, caller: Caller) -> dict[str, int]:
        return {"requested": operation.cost, "remaining": await self.points.remaining(caller.principal)}

    def context(self, operation: Operation, viewer: Viewer) -> Context:
        """A context to execute an operation in, once. Only a query is content with what a replica knows."""
        fresh = operation.type is not OperationType.QUERY
        return Context(self.services, viewer, fresh=fresh)

    async def execute(self, operation: Operation, viewer: Viewer, trace: Trace, root: Any = None) -> ExecutionResult:
        """The result of an operation. root: of a subscription, the event."""
        context, given = self.context(operation, viewer), operation.request.variables
        run = Run(context, operation.document, operation.node, given, operation.variables, root)
        async with self.executing(trace):
            result, record().way = await self.engine.execute(run)
        return result

    @asynccontextmanager
    async def executing(self, trace: Trace) -> AsyncIterator[None]:
        """A block that is traced, and broken off with its statements when it takes too long or nobody waits."""
        token = TRACE.set(trace)
        try:
            async with asyncio.timeout(self.settings.operation_timeout):
                yield
        except TimeoutError:
            seconds = self.settings.operation_timeout
            raise RequestError(
                503, Code.TIMEOUT, f"The operation was broken off after {seconds:g} seconds. Ask for less at a time."
            ) from None
        finally:
            trace.cancel()
            TRACE.reset(token)
            record().executed(trace)


def _plan(trace: Trace) -> dict[str, Any]:
    return {
        "statements": [
            {"sql": each.statement, "milliseconds": round(each.seconds * 1000, 2), "rows": each.rows}
            for each in trace.statements
        ]
    }


def answer_of(result: ExecutionResult) -> Answer:
    """The answer with the result of an execution."""
    if not result.errors:
        return Answer(200, {"data": result.data})
    errors = [formatted(error) for error in result.errors]
    if not any((result.data or {}).values()) and all(_is_of_database_away(entry) for entry in errors):
        return Answer(503, {"errors": errors})
    return Answer(PARTIAL_SUCCESS, {"data": result.data, "errors": errors})


def _is_of_database_away(entry: dict[str, Any]) -> bool:
    return bool(entry["extensions"]["code"] == Code.DATABASE_UNAVAILABLE)


def encode(answer: Answer, most: int) -> tuple[Answer, bytes]:
    """The answer as JSON; another one, if it would be larger than allowed."""
    body = orjson.dumps(answer.content, option=orjson.OPT_UTC_Z)  # moments of a plan are still moments
    if len(body) <= most:
        return answer, body
    error = RequestError(
        422,
        Code.RESPONSE_TOO_LARGE,
        f"The answer has {len(body)} bytes, and {most} are allowed. Ask for fewer rows or fields at a time.",
    )
    refusal = Answer.refusal(error)
    return refusal, orjson.dumps(refusal.content)
