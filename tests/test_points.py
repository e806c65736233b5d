import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Answer, Gateway, serving
from tests.test_persisted import free_port, needs_redis, redis

PAGE = "{ clones(first: 50) { nodes { id } } }"
"""It may cost 50 points, and costs fewer, since there are not so many clones."""
NEVER = 0.000_001


def settings(capacity: int, per_second: float = NEVER, **more: Any) -> dict[str, Any]:
    return {"points_capacity": capacity, "points_per_second": per_second, **more}


def remaining(gateway: Gateway, as_: str | None = None) -> int:
    response = gateway.client.post(
        "/graphql", json={"query": PAGE}, headers={"graphql-cost": "validate", **gateway.headers(as_)}
    )
    points: int = response.json()["extensions"]["cost"]["remaining"]
    return points


def spend_all(gateway: Gateway, as_: str | None = None) -> Answer:
    """The answer when there are too few points left."""
    for _ in range(1_000):
        answer = gateway.ask(PAGE, as_=as_)
        if answer.errors:
            return answer
    pytest.fail("there is no end of points")


def test_who_has_too_few_points_left_is_told_when_to_come_again(demo_database: str) -> None:
    with serving(demo_database, settings(500, 0.5)) as gateway:
        answer = spend_all(gateway)

    assert answer.response.status_code == 429
    assert answer.codes == ["RATE_LIMITED"]
    assert answer.errors[0]["extensions"]["retryable"] is True
    assert answer.statements == []
    assert 0 < int(answer.response.headers["retry-after"]) <= 100
    assert "This takes 50 points" in answer.errors[0]["message"]


def test_points_come_back_with_time(demo_database: str) -> None:
    with serving(demo_database, settings(500, 200)) as gateway:
        refused = spend_all(gateway)
        time.sleep(int(refused.response.headers["retry-after"]))  # as a client would
        answer = gateway.ask(PAGE)

    assert answer.errors == []


def test_what_an_operation_did_not_use_is_given_back(demo_database: str) -> None:
    with serving(demo_database, settings(1_000)) as gateway:
        gateway.ask(PAGE)
        before = remaining(gateway)
        answer = gateway.ask(PAGE)
        after = remaining(gateway)

    rows = len(answer.data["clones"]["nodes"])
    assert rows < 50
    assert before - after == rows


def test_everybody_has_points_of_their_own(demo_database: str) -> None:
    with serving(demo_database, settings(500)) as gateway:
        spend_all(gateway, as_="maya")
        stranger = gateway.ask(PAGE)
        other = gateway.ask(PAGE, as_="aiko")

    assert stranger.errors == []
    assert other.errors == []


def test_an_operation_that_nobody_could_ever_pay_is_refused_for_good(demo_database: str) -> None:
    with serving(demo_database, settings(40)) as gateway:
        answer = gateway.ask(PAGE)

    assert answer.response.status_code == 422
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert "nobody can save up more than 40" in answer.errors[0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{ " + "viewer " * 50,
        "{ " + "x " * 100 + "}",
        "{ clones(first: 100) { nodes { experts(first: 100) { nodes { id } } } } }",
    ],
    ids=["one that does not parse", "one that is not valid", "one that is too dear"],
)
def test_a_refused_document_takes_points_too(demo_database: str, query: str) -> None:
    with serving(demo_database, settings(500)) as gateway:
        codes = [gateway.ask(query).codes[0] for _ in range(60)]

    assert codes[0] != "RATE_LIMITED"
    assert codes[-1] == "RATE_LIMITED"


def test_a_document_takes_points_for_being_read_only_the_first_time(demo_database: str) -> None:
    query = "{ viewer { id } }".ljust(500)
    with serving(demo_database, settings(1_000)) as gateway:
        full = remaining(gateway)
        gateway.ask(query)
        once = remaining(gateway)
        gateway.ask(query)
        twice = remaining(gateway)

    assert full - once > 50
    assert once - twice == 1


@needs_redis
def test_nodes_that_share_a_redis_share_the_points(demo_database: str, tmp_path: Path) -> None:
    port = free_port()
    shared = settings(1_000, redis_url=f"redis://127.0.0.1:{port}/0")

    with redis(port, tmp_path), serving(demo_database, shared) as one, serving(demo_database, shared) as other:
        full = remaining(one, "maya")
        before = remaining(other, "maya")
        spent = len(one.ask(PAGE, as_="maya").data["clones"]["nodes"])
        after = remaining(other, "maya")
        spend_all(one, as_="maya")
        refused = other.ask(PAGE, as_="maya")
        stranger = other.ask(PAGE)

    assert before <= full
    assert before - after == spent
    assert refused.codes == ["RATE_LIMITED"]
    assert refused.response.headers["retry-after"]
    assert stranger.errors == []


@needs_redis
def test_points_are_not_taken_twice_by_those_who_ask_at_the_same_time(demo_database: str, tmp_path: Path) -> None:
    port = free_port()
    shared = settings(250, redis_url=f"redis://127.0.0.1:{port}/0")
    query = "{ clones(first: 60) { nodes { id } } }"

    with redis(port, tmp_path), serving(demo_database, shared) as one, serving(demo_database, shared) as other:
        remaining(one)
        remaining(other)
        with ThreadPoolExecutor(12) as crowd:
            answers = list(crowd.map(lambda i: (one, other)[i % 2].ask(query), range(24)))
        left = remaining(one)

    paid = sum(len(each.data["clones"]["nodes"]) for each in answers if not each.errors)
    assert any(each.errors for each in answers)
    assert 0 <= left <= 250 - paid


@needs_redis
def test_points_of_redis_come_back_with_time(demo_database: str, tmp_path: Path) -> None:
    port = free_port()

    with (
        redis(port, tmp_path),
        serving(demo_database, settings(500, 200, redis_url=f"redis://127.0.0.1:{port}/0")) as gateway,
    ):
        refused = spend_all(gateway)
        time.sleep(int(refused.response.headers["retry-after"]))  # as a client would
        answer = gateway.ask(PAGE)

    assert answer.errors == []


@needs_redis
def test_while_redis_is_away_each_node_counts_for_itself_and_nobody_waits(demo_database: str, tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        with redis(port, tmp_path):
            url = f"redis://127.0.0.1:{port}/0"
            gateway = stack.enter_context(serving(demo_database, settings(500, redis_url=url)))
            spend_all(gateway)
        away = gateway.ask(PAGE)
        refused = spend_all(gateway)

    assert away.errors == []
    assert refused.codes == ["RATE_LIMITED"]
