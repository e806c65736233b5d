"""Whatever is asked: a plan answers as graphql-core does. And it is a plan that answers, unless something is wrong.

FUZZ_OPERATIONS says how many documents chance writes, each sent by up to three people with variables of their own;
FUZZ_SEED says which.
"""

import os
from collections import Counter
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from db import Row
from gateway.engine.way import Way
from tests.conftest import fresh_database
from tests.engines import engines
from tests.generated import Generated, Known, operations
from tests.money import service_headers

OPERATIONS = int(os.environ.get("FUZZ_OPERATIONS", "200"))
SEED = int(os.environ.get("FUZZ_SEED", "7"))

COLUMNS = [each for row in Row.__subclasses__() for each in row.__mapper__.columns.items()]
PRIVATE = {name for name, column in COLUMNS if column.info.get("private")}
"""What some kinds of viewers can never read: an error wherever there is a row, and so never planned for them."""


def report(ways: Counter[tuple[Way | None, bool]]) -> str:
    """How often an answer came in which way."""
    lines = [f"{times:7,}  {way}{', with errors' if is_wrong else ''}" for (way, is_wrong), times in ways.most_common()]
    return "\n".join(["", f"FUZZ_SEED={SEED} FUZZ_OPERATIONS={OPERATIONS}: {ways.total():,} answers", *lines])


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # graphql-core leaves some behind after an error
def test_a_plan_answers_whatever_is_asked_as_graphql_core_does(
    server_url: str, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ways: Counter[tuple[Way | None, bool]] = Counter()
    unplanned: set[str] = set()

    with fresh_database(server_url, template) as url, engines(url, headers={"service": service_headers(url)}) as both:

        @seed(SEED)
        @settings(
            max_examples=OPERATIONS,
            deadline=None,
            database=None,
            print_blob=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(operation=operations(Known.look(both.core)))
        def compare(operation: Generated) -> None:
            for asking in operation.askings:
                found = both.ask(operation.query, as_=asking.as_, **asking.variables)
                ways[found.way, bool(found.codes)] += 1
                unplanned.update(found.reasons if found.way is Way.GRAPHQL_CORE else ())

        try:
            compare()
        except BaseException as error:
            error.add_note(f"FUZZ_SEED={SEED} FUZZ_OPERATIONS={OPERATIONS} make fuzz")
            raise
        finally:
            with capsys.disabled() if "FUZZ_SEED" in os.environ else nullcontext():
                print(report(ways))  # noqa: T201 (what was really asked)

    well = sum(times for (_, is_wrong), times in ways.items() if not is_wrong)
    assert well > 0.7 * ways.total()
    assert ways[Way.PLAN, False] > 0.9 * well
    assert ways[Way.ANOMALY, False] == 0
    assert ways[Way.ANOMALY, True] > 0
    assert unplanned <= PRIVATE, "there is no plan, and no reason why"
