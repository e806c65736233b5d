"""Execution: by a plan if there is one, and by graphql-core, as the specification has it, where that is not enough.

A plan knows how things go well. Whatever does not go well, an error as well as a null where none may be, is found out
once more by graphql-core, which then says exactly what the specification wants. It asks the same loaders, which
remember what they found and what failed: nothing is done twice, and nothing fetched again but what came along with
other rows.
"""

from inspect import isawaitable

import structlog
from graphql import AbortController, ExecutionResult, OperationType, execute

from gateway.engine.plan import ObjectPlan
from gateway.engine.plans import Plans
from gateway.engine.run import Run
from gateway.engine.way import Way
from schema.graph import core_schema

log = structlog.get_logger()


class Engine:
    """Executes operations. plan_after: how often an operation must be seen before a plan for it is made."""

    def __init__(self, plan_after: int) -> None:
        self.plans = Plans(plan_after)

    async def execute(self, run: Run) -> tuple[ExecutionResult, Way]:
        """The result, and the way to it."""
        plan = self.plans.find(run)
        if plan is None:
            return await by_specification(run), Way.GRAPHQL_CORE
        try:
            return ExecutionResult(await by_plan(plan, run)), Way.PLAN
        except Exception as error:  # noqa: BLE001 (graphql-core finds it, too, and says it as the specification wants)
            log.debug("anomaly", document=run.document.id[:16], reason=repr(error))
        return await by_specification(run), Way.ANOMALY


async def by_plan(plan: ObjectPlan, run: Run) -> dict[str, object]:
    """The data of an operation with which nothing is wrong. Raises whatever is."""
    in_turn = run.node.operation is OperationType.MUTATION
    (data,) = await (plan.complete_in_turn if in_turn else plan.complete)(run, [run.root])
    return data


async def by_specification(run: Run) -> ExecutionResult:
    """The result that graphql-core gives."""
    abort = AbortController()
    try:
        result = execute(
            core_schema,
            run.document.node,
            run.root,
            context_value=run.context,
            variable_values=dict(run.given),
            operation_name=run.node.name.value if run.node.name else None,
            abort_signal=abort.signal,
        )
        return await result if isawaitable(result) else result
    finally:
        abort.abort()
