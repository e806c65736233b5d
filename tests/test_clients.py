"""Real clients against a real gateway: those of tests/clients in JavaScript, and gql in Python."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.clients import HERE, NODE, environment, needs_node, run
from tests.conftest import fresh_database
from tests.serving import Gateway, serving

OWN = gql("query Own($first: Int!) { viewer { fullName clones(first: $first) { nodes { id bio } } } }")
CHANGE = gql("mutation Change($input: UpdateCloneInput!) { updateClone(input: $input) { userErrors { message } } }")
UPDATED = gql("subscription Updated($id: ID!) { cloneUpdated(id: $id) { cursor clone { id bio } } }")


@pytest.fixture(scope="module")
def writable_gateway(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over demo data that the clients may change, each client those of another person."""
    with fresh_database(server_url, template) as url, serving(url) as running:
        yield running


@needs_node
@pytest.mark.parametrize("script", ["apollo.mjs", "urql.mjs", "relay.mjs", "codegen.mjs", "sockets.mjs", "streams.mjs"])
def test_a_client_from_npm_gets_what_it_asks_for(writable_gateway: Gateway, script: str) -> None:
    run(script, writable_gateway)


@needs_node
def test_a_subscription_goes_on_at_another_node_when_the_gateway_goes_away(own_database: str) -> None:
    with serving(own_database) as first:
        process = subprocess.Popen(
            [str(NODE), "reconnect.mjs"],
            cwd=HERE,
            env=environment(first),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout
        said = process.stdout.readline()

    with serving(own_database) as second:
        more, _ = process.communicate(f"{second.url}\n", timeout=60)

    assert (process.returncode, said) == (0, "subscribed\n"), said + more


def test_gql_for_python_asks_over_http(gateway: Gateway) -> None:
    async def ask() -> tuple[dict[str, Any], TransportQueryError]:
        transport = HTTPXAsyncTransport(f"{gateway.url}/graphql", headers=gateway.headers("maya"), trust_env=False)
        async with Client(transport=transport, fetch_schema_from_transport=True) as session:
            answer = await session.execute(with_variables(OWN, first=2))
            with pytest.raises(TransportQueryError) as refused:
                await session.execute(gql("{ clones(first: -1) { totalCount } }"))
            return answer, refused.value

    answer, refused = asyncio.run(ask())

    assert answer["viewer"]["fullName"] == "Maya Lindqvist"
    assert len(answer["viewer"]["clones"]["nodes"]) == 2
    assert refused.errors
    assert refused.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_gql_for_python_subscribes_over_a_websocket(writable_gateway: Gateway) -> None:
    async def listen() -> tuple[str, list[Any]]:
        transport = WebsocketsTransport(
            f"{writable_gateway.url.replace('http', 'ws')}/graphql", init_payload=writable_gateway.headers("helena")
        )
        async with Client(transport=transport) as session:
            answer = await session.execute(with_variables(OWN, first=1))
            (clone,) = answer["viewer"]["clones"]["nodes"]
            events: AsyncGenerator[dict[str, Any], None] = session.subscribe(with_variables(UPDATED, id=clone["id"]))
            async with aclosing(events), asyncio.timeout(30):
                seen = [await anext(events)]
                await session.execute(with_variables(CHANGE, input={"id": clone["id"], "bio": "Saves energy."}))
                seen.append(await anext(events))
            return clone["bio"], seen

    bio, events = asyncio.run(listen())

    assert [event["cloneUpdated"]["clone"]["bio"] for event in events] == [bio, "Saves energy."]


def with_variables(request: GraphQLRequest, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(request, variable_values=variables)
