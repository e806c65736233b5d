import asyncio
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

import jwt
import pytest
from starlette.requests import HTTPConnection

from db import ViewerKind
from db.engine import Database
from gateway import auth
from gateway.auth import Authenticator
from gateway.settings import Settings
from gateway.tokens import Tokens, Unauthenticated
from tests.conftest import execute
from tests.serving import CAST, Gateway

WHO = "{ viewer { fullName } }"


def signed(gateway: Gateway, **claims: Any) -> str:
    """A token that is signed as it should be, whatever it says."""
    assert gateway.tokens.secret
    return jwt.encode(claims, gateway.tokens.secret, algorithm="HS256")


def test_without_a_token_one_is_nobody(gateway: Gateway) -> None:
    assert gateway.ask(WHO).data == {"viewer": None}


def test_a_token_says_who_one_is(gateway: Gateway) -> None:
    assert gateway.ask(WHO, as_="maya").data == {"viewer": {"fullName": CAST["maya"].name}}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic bWF5YTpzZWNyZXQ=",
        "nonsense",
        "Bearer a.b.c",
        "Bearer ...",
        f"Bearer {'W1tb' * 2000}.e30.e30",
        f"Bearer {'a' * 20_000}",
        "Bearer cgs_",
        f"Bearer cgs_{'a' * 43}",
        f"Bearer cgs_{'a' * 20_000}",
    ],
    ids=lambda header: f"{header[:16]} ({len(header)})",
)
def test_what_is_no_token_is_refused_before_anything_runs(gateway: Gateway, header: str) -> None:
    response = gateway.client.post("/graphql", json={"query": WHO}, headers={"authorization": header})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": str(CAST["maya"].id), "exp": int(time.time()) - 10},
        {"sub": str(CAST["maya"].id)},
        {"sub": "maya", "exp": int(time.time()) + 100},
        {"sub": str(uuid4()), "exp": int(time.time()) + 100},
        {"exp": int(time.time()) + 100},
        {"sub": str(CAST["maya"].id), "exp": int(time.time()) + 100, "nbf": int(time.time()) + 50},
        {"sub": str(CAST["maya"].id), "exp": int(time.time()) + 100, "aud": "another application"},
    ],
    ids=[
        "expired",
        "without an end",
        "for no id",
        "for nobody",
        "without a subject",
        "not valid yet",
        "for another audience",
    ],
)
def test_a_token_that_does_not_hold_is_refused(gateway: Gateway, claims: dict[str, object]) -> None:
    token = signed(gateway, **claims)

    response = gateway.client.post("/graphql", json={"query": WHO}, headers={"authorization": f"Bearer {token}"})

    assert response.status_code == 401


def test_a_token_signed_with_another_secret_is_refused(gateway: Gateway) -> None:
    claims = {"sub": str(CAST["maya"].id), "exp": int(time.time()) + 100}
    token = jwt.encode(claims, "another secret that is long enough", algorithm="HS256")

    response = gateway.client.post("/graphql", json={"query": WHO}, headers={"authorization": f"Bearer {token}"})

    assert response.status_code == 401


def test_an_unsigned_token_is_refused(gateway: Gateway) -> None:
    claims = {"sub": str(CAST["maya"].id), "exp": int(time.time()) + 100}
    token = jwt.encode(claims, "", algorithm="none")

    response = gateway.client.post("/graphql", json={"query": WHO}, headers={"authorization": f"Bearer {token}"})

    assert response.status_code == 401


def test_a_person_who_is_locked_out_is_refused_soon(own_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_gateway.ask(WHO, as_="maya").data
    asyncio.run(execute(own_gateway.database_url, "UPDATE user_profiles SET is_active = false"))
    deadline = time.monotonic() + auth.REVOCATION_SECONDS + 5

    while own_gateway.ask(WHO, as_="maya").response.status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)

    assert own_gateway.ask(WHO, as_="maya").response.status_code == 401


def test_a_caller_is_asked_for_again_until_the_token_ends_or_the_person_is_locked_out(own_database: str) -> None:
    tokens = Tokens("a secret for the tests, long enough", Settings())
    client = ("127.0.0.1", 1)

    def connection(token: str | None = None) -> HTTPConnection:
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        return HTTPConnection({"type": "http", "headers": headers, "client": client})

    async def told() -> None:
        database = Database(own_database)
        nobody = await Authenticator(database, tokens).caller(connection())
        maya = await Authenticator(database, tokens).caller(
            connection(), {"authorization": f"Bearer {tokens.sign(CAST['maya'].id)}"}
        )
        brief = await Authenticator(database, tokens).caller(connection(tokens.sign(CAST["maya"].id, seconds=0)))
        assert maya.expires
        assert maya.expires > time.time() + 1000
        assert await Authenticator(database, tokens).refresh(nobody) == nobody
        assert await Authenticator(database, tokens).refresh(maya) == maya
        with pytest.raises(Unauthenticated, match="expired"):
            await Authenticator(database, tokens).refresh(replace(brief, expires=time.time()))
        await execute(own_database, "UPDATE user_profiles SET role = 'admin'")
        assert (await Authenticator(database, tokens).refresh(maya)).viewer.kind is ViewerKind.ADMIN
        await execute(own_database, "UPDATE user_profiles SET is_active = false")
        with pytest.raises(Unauthenticated, match="may not sign in"):
            await Authenticator(database, tokens).refresh(maya)
        await database.close()

    asyncio.run(told())


@pytest.mark.parametrize(
    ("host", "principal"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "address:2001:db8:1:2::/64"),
        ("", "address:"),
    ],
)
def test_strangers_are_told_apart_by_their_network(gateway: Gateway, host: str, principal: str) -> None:
    connection = HTTPConnection({"type": "http", "headers": [], "client": (host, 1)})
    authenticator = Authenticator(Database(gateway.database_url), gateway.tokens)

    assert asyncio.run(authenticator.caller(connection)).principal == principal
