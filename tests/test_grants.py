"""The gateway works with the rights that it asks for, and can do nothing to the ledger but add to it."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest
from graphql import OperationType
from sqlalchemy.engine import make_url

from db import demo
from db.grants import grants
from gateway.explorer import Example, examples
from tests.conftest import execute, fresh_database
from tests.money import sql
from tests.provisioning import quiet
from tests.serving import CAST, Gateway, serving
from tests.test_examples import NOT_HERE

KEYS = {person.email: key for key, person in CAST.items()}


@pytest.fixture(scope="module")
def role(server_url: str) -> Iterator[str]:
    name = f"gateway_{uuid4().hex}"
    asyncio.run(execute(server_url, f"CREATE ROLE {name} LOGIN"))
    yield name
    asyncio.run(execute(server_url, f"DROP ROLE {name}"))


@pytest.fixture(scope="module")
def restricted(server_url: str, template: str, role: str) -> Iterator[str]:
    """A database with the demo data, as the gateway's role sees it."""
    with fresh_database(server_url, template) as url:
        asyncio.run(demo.go_on(url))
        for statement in grants(role):
            asyncio.run(execute(url, statement))
        yield make_url(url).set(username=role, password=None).render_as_string()


@pytest.fixture(scope="module")
def working(restricted: str) -> Iterator[Gateway]:
    with serving(restricted, settings={"worker": True}) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "example",
    [
        example
        for example in examples()
        if example.operation is not OperationType.SUBSCRIPTION
        and example.fields not in {("uploadDocument",), *NOT_HERE}
    ],
    ids=lambda example: f"{example.group} {example.name}",
)
def test_every_example_works_with_the_rights_of_the_gateway(working: Gateway, example: Example) -> None:
    quiet(working)  # what the examples before it began is at its end

    answer = working.ask(example.query, as_=KEYS.get(example.as_ or ""), **(example.variables or {}))

    if example.fields != ("providerDrift",):  # nothing differs
        assert all(answer.data.values())
    if example.operation is OperationType.MUTATION:
        (payload,) = answer.data.values()
        assert payload["userErrors"] == []


def test_what_the_examples_began_met_no_missing_right(working: Gateway) -> None:
    quiet(working)

    assert sql(working.database_url, "SELECT * FROM operations WHERE failures > 0 OR error_code = 'INTERNAL'") == []
    assert sql(working.database_url, "SELECT * FROM replies WHERE status = 'failed'") == []


@pytest.mark.parametrize("table", ["credit_entries", "creator_entries"])
@pytest.mark.parametrize("change", ["UPDATE {} SET amount = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_role_of_the_gateway_cannot_change_the_ledger(restricted: str, table: str, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(execute(restricted, change.format(table)))
