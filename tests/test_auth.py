import asyncio
import time
from uuid import uuid4

import jwt
import pytest

from gateway import auth
from tests.conftest import execute
from tests.serving import CAST, Gateway

WHO = "{ viewer { fullName } }"


def test_without_a_token_one_is_nobody(gateway: Gateway) -> None:
    assert gateway.ask(WHO).data == {"viewer": None}


def test_a_token_says_who_one_is(gateway: Gateway) -> None:
    assert gateway.ask(WHO, as_="maya").data == {"viewer": {"fullName": CAST["maya"].name}}


@pytest.mark.parametrize("header", ["Bearer", "Bearer nonsense", "Basic bWF5YTpzZWNyZXQ=", "nonsense", "Bearer a.b.c"])
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
    ],
    ids=["expired", "without an end", "for no id", "for nobody", "without a subject"],
)
def test_a_token_that_does_not_hold_is_refused(gateway: Gateway, claims: dict[str, object]) -> None:
    token = jwt.encode(claims, gateway.tokens.secret, algorithm="HS256")

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
