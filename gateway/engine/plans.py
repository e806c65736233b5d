"""The plans that are kept: made when an operation is seen again, so that one that is seen once costs no plan."""

from collections.abc import Hashable

import structlog
from cachetools import LRUCache
from graphql.execution.values import VariableValues

from gateway.engine.plan import ObjectPlan
from gateway.engine.planner import Planner, Unplanned
from gateway.engine.run import Run

KEPT_FIELDS = 20_000
"""How many fields the plans that are kept may have, all together."""
REMEMBERED = 10_000
"""How many operations without a plan are remembered."""

log = structlog.get_logger()


class Plans:
    """The plans of operations, by all that makes a difference. after: at which sight a plan is made."""

    def __init__(self, after: int) -> None:
        self.after = after
        self._kept: LRUCache[Hashable, tuple[ObjectPlan | None, int]] = LRUCache(KEPT_FIELDS, getsizeof=_size)
        self._sights: LRUCache[Hashable, int] = LRUCache(REMEMBERED)

    def find(self, run: Run) -> ObjectPlan | None:
        """The plan for what is to be executed; None if there is none, or none yet."""
        conditions = {name: run.variables.coerced.get(name) for name in run.document.conditions}
        name = run.node.name.value if run.node.name else None
        key = (run.document.id, name, run.context.viewer.kind, *conditions.values())
        if key not in self._kept:
            self._sights[key] = self._sights.get(key, 0) + 1
            if self._sights[key] < self.after:
                return None
            planned = self._plan(run, VariableValues({}, conditions))
            if _size(planned) > KEPT_FIELDS:
                return planned[0]
            self._kept[key] = planned
        return self._kept[key][0]

    def _plan(self, run: Run, conditions: VariableValues) -> tuple[ObjectPlan | None, int]:
        planner = Planner(run.document.fragments, conditions, run.context.viewer.kind)
        try:
            return planner.operation(run.node), planner.fields
        except Unplanned as error:
            log.info("unplanned", document=run.document.id[:16], reason=str(error))
            return None, 1


def _size(planned: tuple[ObjectPlan | None, int]) -> int:
    return planned[1]
