"""Service tokens: what an analytics tool or a back end can do with one, and for how long."""

import asyncio
import time
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from db import Scope, Viewer, ViewerKind
from db.service_token import may_change
from gateway.auth import REVOCATION_SECONDS
from gateway.cli import cli
from tests.conftest import execute
from tests.graph import CONNECTIONS, ENTITIES, stored_fields
from tests.serving import Gateway

WHO = "{ viewer { id } domains(first: 1) { nodes { name } } }"


def command(database_url: str, *arguments: str) -> Result:
    """What `clonegraph service-token` says, without the second that a process of its own takes to start."""
    environment = {"DATABASE_URL": database_url, "COLUMNS": "200"}
    return CliRunner().invoke(cli, ["service-token", *arguments], env=environment)


def create(database_url: str, name: str, *options: str) -> str:
    """The token that the command prints."""
    result = command(database_url, "create", name, *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def send(gateway: Gateway, token: str, query: str = WHO) -> httpx2.Response:
    return gateway.client.post("/graphql", json={"query": query}, headers={"authorization": f"Bearer {token}"})


def refused_in_time(gateway: Gateway, token: str) -> httpx2.Response:
    """The refusal of a token, or the last answer before it should have been refused."""
    deadline = time.monotonic() + REVOCATION_SECONDS + 5
    while (answer := send(gateway, token)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def test_a_service_sees_and_reads_what_an_admin_does_and_may_change_nothing(own_gateway: Gateway) -> None:
    token = create(own_gateway.database_url, "metabase")

    for entity in ENTITIES:
        fields = " ".join({*stored_fields(entity), "id", "viewerCanEdit"})
        query = f"{{ {CONNECTIONS[entity]}(first: 100) {{ totalCount nodes {{ {fields} }} }} }}"
        shown: dict[str, Any] = send(own_gateway, token, query).json()
        to_admin = own_gateway.ask(query, as_="grace").body
        nodes = shown["data"][CONNECTIONS[entity]]["nodes"]

        assert not any(node.pop("viewerCanEdit") for node in nodes)
        assert all(node.pop("viewerCanEdit") for node in to_admin["data"][CONNECTIONS[entity]]["nodes"])
        assert shown == to_admin
        assert nodes, entity


def test_a_service_is_no_person(own_gateway: Gateway) -> None:
    token = create(own_gateway.database_url, "metabase")

    answer = send(own_gateway, token).json()

    assert answer["data"]["viewer"] is None
    assert answer["data"]["domains"]["nodes"]


def test_only_a_hash_of_the_token_is_kept_and_its_use_is_noted(own_gateway: Gateway) -> None:
    token = create(own_gateway.database_url, "metabase")
    assert [send(own_gateway, token).status_code for _ in range(3)] == [200] * 3
    deadline = time.monotonic() + 10

    rows: list[Any] = []
    while not (rows and rows[0]["last_used_at"]) and time.monotonic() < deadline:
        rows = asyncio.run(execute(own_gateway.database_url, "SELECT * FROM service_tokens"))

    assert token.startswith("cgs_")
    assert len(token) == len("cgs_") + 43
    assert token.removeprefix("cgs_") not in str(dict(rows[0]))
    assert (rows[0]["name"], rows[0]["scopes"]) == ("metabase", ["read"])
    assert 89 <= (rows[0]["expires_at"] - rows[0]["created_at"]).days <= 90
    assert rows[0]["last_used_at"] >= rows[0]["created_at"]


def test_a_revoked_token_is_refused_within_seconds(own_gateway: Gateway) -> None:
    token = create(own_gateway.database_url, "metabase", "--days", "0")
    assert send(own_gateway, token).status_code == 200

    revoked = command(own_gateway.database_url, "revoke", "metabase")
    refusal = refused_in_time(own_gateway, token)

    assert revoked.exit_code == 0, revoked.stderr
    assert refusal.status_code == 401
    assert refusal.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_token_ends_when_its_time_is_over(own_gateway: Gateway) -> None:
    token = create(own_gateway.database_url, "metabase")
    asyncio.run(
        execute(own_gateway.database_url, "UPDATE service_tokens SET expires_at = now() + interval '2 seconds'")
    )
    assert send(own_gateway, token).status_code == 200

    assert refused_in_time(own_gateway, token).status_code == 401


def test_a_service_has_one_token_at_a_time_and_a_new_one_once_it_is_revoked(own_gateway: Gateway) -> None:
    url = own_gateway.database_url
    first = create(url, "metabase")

    again = command(url, "create", "metabase")
    command(url, "revoke", "metabase")
    second = create(url, "metabase")
    listed = command(url, "list").stdout
    nobody = command(url, "revoke", "grafana")

    assert (again.exit_code, again.stdout) == (1, "")
    assert "service-token revoke metabase" in again.stderr
    assert send(own_gateway, first).status_code == 401
    assert send(own_gateway, second).status_code == 200
    assert listed.count("metabase") == 2
    assert first not in listed
    assert nobody.exit_code == 1


@pytest.mark.parametrize("options", [["--scope", "everything"], ["--days", "-1"]])
def test_a_token_that_cannot_be_is_not_made(demo_database: str, options: list[str]) -> None:
    result = command(demo_database, "create", "metabase", *options)

    assert (result.exit_code, result.stdout) == (2, "")


def test_a_database_without_the_table_is_told_how_to_get_it(empty_database: str) -> None:
    result = command(empty_database, "create", "metabase")

    assert result.exit_code == 1
    assert "clonegraph db upgrade" in result.stderr
    assert "Traceback" not in result.stderr


def test_mutations_are_closed_to_a_service_that_only_reads() -> None:
    assert not may_change(Viewer(ViewerKind.SERVICE, scopes=frozenset({Scope.READ})))
    assert may_change(Viewer(ViewerKind.SERVICE, scopes=frozenset({Scope.READ, "credits"})))
    assert may_change(Viewer(ViewerKind.ADMIN))
