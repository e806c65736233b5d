"""Tokens of an identity provider: it publishes its keys on this machine, and rotates, withdraws and delays them."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway import keys
from gateway.settings import Settings, SettingsError
from tests.serving import CAST, Gateway, serving
from tests.test_process import ask, run, started

WHO = "{ viewer { fullName } }"
MAYA = {"data": {"viewer": {"fullName": CAST["maya"].name}}}
TO_JWK: dict[str, Any] = {"RS": RSAAlgorithm.to_jwk, "PS": RSAAlgorithm.to_jwk, "ES": ECAlgorithm.to_jwk}


@dataclass
class Key:
    """A key pair of the provider's, and what it publishes of it."""

    algorithm: str
    id: str | None
    private: Any
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def public(self) -> dict[str, Any]:
        to_jwk = TO_JWK.get(self.algorithm[:2], OKPAlgorithm.to_jwk)
        named = {"kid": self.id} if self.id else {}
        return {**to_jwk(self.private.public_key(), as_dict=True), **named, **self.more}

    def sign(self, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        claims = {"sub": str(CAST["maya"].id), "exp": int(time.time()) + 100, **claims}
        named = {"kid": self.id} if self.id else {}
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            self.private,
            self.algorithm,
            {**named, **(headers or {})},
        )


def rsa_key(id_: str | None, algorithm: str = "RS256", bits: int = 2048) -> Key:
    return Key(algorithm, id_, rsa.generate_private_key(65537, bits))


def ec_key(id_: str | None) -> Key:
    return Key("ES256", id_, ec.generate_private_key(ec.SECP256R1()))


RSA, EC = rsa_key("rsa-1"), ec_key("ec-1")
ED = Key("EdDSA", "ed-1", ed25519.Ed25519PrivateKey.generate())


class Provider:
    """An identity provider: the keys that it publishes, how often it was asked, and whether it answers."""

    def __init__(self, *published: Key) -> None:
        self.body: Any = {}
        self.publish(*published)
        self.status = 200
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()
        self.was_asked = threading.Event()

    def publish(self, *published: Key) -> None:
        self.body = {"keys": [each.public for each in published]}

    @contextmanager
    def running(self) -> Iterator[str]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider.was_asked.set()
                provider.answers.wait(30)
                body = json.dumps(provider.body).encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys/"
        finally:
            self.answers.set()
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Provider(RSA, EC, ED)


@pytest.fixture
def trusting(provider: Provider, demo_database: str) -> Iterator[Gateway]:
    """A gateway that reads tokens with the provider's keys."""
    with provider.running() as url, serving(demo_database, {"jwt_jwks_url": url}) as gateway:
        yield gateway


def send(gateway: Gateway, token: str) -> httpx2.Response:
    return gateway.client.post("/graphql", json={"query": WHO}, headers={"authorization": f"Bearer {token}"})


def codes(response: httpx2.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json()["errors"]]


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_token_signed_with_a_published_key_says_who_one_is(trusting: Gateway, key: Key) -> None:
    assert send(trusting, key.sign()).json() == MAYA


def test_a_token_of_the_secret_is_read_beside_those_of_published_keys(trusting: Gateway) -> None:
    assert trusting.ask(WHO, as_="maya").body == MAYA
    assert send(trusting, RSA.sign()).json() == MAYA


def test_the_keys_are_fetched_once_for_all_who_wait_for_them(trusting: Gateway, provider: Provider) -> None:
    provider.answers.clear()
    tokens = [RSA.sign(jti=str(number)) for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(send, trusting, token) for token in tokens]
        provider.was_asked.wait(10)
        meanwhile = trusting.ask(WHO)
        provider.answers.set()
        answered = [answer.result().json() for answer in answers]

    assert meanwhile.data == {"viewer": None}
    assert answered == [MAYA] * 8
    assert provider.asked == 1


def test_a_key_that_is_new_is_fetched_when_its_first_token_comes(trusting: Gateway, provider: Provider) -> None:
    assert send(trusting, RSA.sign()).json() == MAYA
    newer = rsa_key("rsa-2")
    provider.publish(RSA, newer)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: send(trusting, newer.sign(jti=str(number))).json(), range(4)))

    assert answers == [MAYA] * 4
    assert provider.asked == 2


def test_a_key_that_was_withdrawn_is_refused_once_the_keys_are_old(
    trusting: Gateway, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(trusting, RSA.sign()).json() == MAYA
    provider.publish(EC)
    monkeypatch.setattr(keys, "LIFETIME", 0.0)

    assert send(trusting, RSA.sign(jti="another")).status_code == 401


def test_tokens_that_name_keys_nobody_has_do_not_make_us_ask_for_each(trusting: Gateway, provider: Provider) -> None:
    assert send(trusting, RSA.sign()).json() == MAYA
    stranger = rsa_key("made up")

    answers = [send(trusting, stranger.sign(headers={"kid": str(number)})).status_code for number in range(20)]

    assert answers == [401] * 20
    assert provider.asked <= 3
    assert send(trusting, RSA.sign(jti="another")).json() == MAYA


def test_old_keys_go_on_being_used_while_the_provider_is_away(
    provider: Provider, demo_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as provider_runs:
        url = provider_runs.enter_context(provider.running())
        with serving(demo_database, {"jwt_jwks_url": url}) as gateway:
            assert send(gateway, RSA.sign()).json() == MAYA
            provider_runs.close()
            monkeypatch.setattr(keys, "LIFETIME", 0.0)

            answers = [send(gateway, RSA.sign(jti=str(number))) for number in range(3)]
            unknown = send(gateway, rsa_key("rsa-2").sign())

    assert [answer.json() for answer in answers] == [MAYA] * 3
    assert unknown.status_code == 401


def test_old_keys_are_used_while_newer_ones_are_slow_to_come(
    trusting: Gateway, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(trusting, RSA.sign()).json() == MAYA
    monkeypatch.setattr(keys, "LIFETIME", 0.0)
    monkeypatch.setattr(keys, "PATIENCE", 0.1)
    provider.answers.clear()

    answer = send(trusting, RSA.sign(jti="another"))
    provider.answers.set()

    assert answer.json() == MAYA
    assert provider.asked == 2


def test_without_any_key_the_answer_is_to_try_again(
    trusting: Gateway, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.status = 500
    first = send(trusting, RSA.sign())
    second = send(trusting, RSA.sign(jti="another"))
    asked = provider.asked
    provider.status = 200
    monkeypatch.setattr(keys, "PAUSE", 0.0)

    assert (first.status_code, codes(first)) == (503, ["UNAVAILABLE"])
    assert first.json()["errors"][0]["extensions"]["retryable"] is True
    assert int(first.headers["retry-after"]) > 0
    assert second.status_code == 503
    assert asked == 1
    assert trusting.ask(WHO, as_="maya").body == MAYA
    assert send(trusting, RSA.sign()).json() == MAYA


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"keys": []}),
        (200, []),
        (200, {"keys": None}),
        (200, {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa-1"}, {"kty": "RSA"}, 7, {"kid": "rsa-1"}]}),
        (200, {"keys": [{**RSA.public, "use": "enc"}]}),
        (200, {"keys": [{**RSA.public, "key_ops": ["encrypt"]}]}),
        (302, {"keys": [RSA.public]}),
        (404, {"keys": [RSA.public]}),
    ],
    ids=["no keys", "a list", "null", "none usable", "for encryption", "not to verify", "elsewhere", "not found"],
)
def test_what_is_no_set_of_keys_is_as_good_as_none(
    trusting: Gateway, provider: Provider, status: int, body: Any
) -> None:
    provider.status, provider.body = status, body

    assert send(trusting, RSA.sign()).status_code == 503


def public_pem(key: Key) -> bytes:
    pem: bytes = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def forged(header: dict[str, Any], secret: bytes) -> str:
    """A token that an attacker puts together by hand, because no library would."""
    claims = {"sub": str(CAST["grace"].id), "exp": int(time.time()) + 100}
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    signature = hmac.digest(secret, signed, hashlib.sha256)
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "token",
    [
        forged({"alg": "HS256", "kid": "rsa-1"}, public_pem(RSA)),
        forged({"alg": "HS256", "kid": "rsa-1"}, json.dumps(RSA.public).encode()),
        forged({"alg": "HS256", "kid": "rsa-1"}, b""),
        forged({"alg": "RS256", "kid": "rsa-1"}, public_pem(RSA)),
        forged({"alg": "RS256", "kid": "rsa-1"}, b"a secret for the tests, long enough"),
        forged({"alg": "HS512", "kid": "rsa-1"}, public_pem(RSA)),
        forged({"alg": "none", "kid": "rsa-1"}, b""),
        forged({"alg": "None"}, b""),
        forged({"alg": ["RS256"], "kid": "rsa-1"}, b""),
        forged({"alg": {}, "kid": "rsa-1"}, b""),
        forged({"alg": None, "kid": "rsa-1"}, b""),
        forged({"kid": "rsa-1"}, b""),
        forged({"alg": "RS256", "kid": 7}, b""),
        forged({"alg": "RS256", "kid": "rsa-1", "jku": "http://127.0.0.1:1/", "crit": ["jku"]}, b""),
        forged({"alg": "RS256", "jwk": rsa_key(None).public}, b""),
    ],
)
def test_a_public_key_is_no_secret_and_a_secret_no_public_key(trusting: Gateway, token: str) -> None:
    answer = send(trusting, token)

    assert (answer.status_code, codes(answer)) == (401, ["UNAUTHENTICATED"])


def test_a_key_is_used_for_its_own_algorithm_only(trusting: Gateway, provider: Provider) -> None:
    elliptic = Key("ES256", "rsa-1", EC.private)
    other_hash = Key("RS512", "rsa-1", RSA.private)
    provider.publish(Key("RS256", "rsa-1", RSA.private, {"alg": "RS256"}), EC)

    assert send(trusting, elliptic.sign()).status_code == 401
    assert send(trusting, other_hash.sign()).status_code == 401
    assert send(trusting, RSA.sign()).json() == MAYA


def test_only_the_algorithms_that_the_operator_allows_are_read(provider: Provider, demo_database: str) -> None:
    probabilistic = Key("PS256", "rsa-1", RSA.private)
    settings = {"jwt_algorithms": "PS256, ES256"}

    with provider.running() as url, serving(demo_database, {"jwt_jwks_url": url, **settings}) as gateway:
        assert send(gateway, probabilistic.sign()).json() == MAYA
        assert send(gateway, EC.sign()).json() == MAYA
        assert send(gateway, RSA.sign()).status_code == 401


def test_a_short_key_is_not_believed(trusting: Gateway, provider: Provider) -> None:
    short = rsa_key("short", bits=1024)
    provider.publish(short)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = short.sign()

    assert send(trusting, token).status_code == 401


def test_a_token_without_a_key_id_is_read_where_one_key_fits(trusting: Gateway, provider: Provider) -> None:
    nameless = Key("RS256", None, RSA.private)
    assert send(trusting, nameless.sign()).json() == MAYA

    provider.publish(RSA, rsa_key("rsa-2"), EC)
    answer = send(trusting, rsa_key("rsa-2").sign())

    assert answer.status_code == 401
    assert send(trusting, nameless.sign(jti="another")).status_code == 401
    assert send(trusting, Key("ES256", None, EC.private).sign()).json() == MAYA


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "graph", "iss": "https://id.example"}, None),
        ({"aud": ["other", "graph"], "iss": "https://id.example"}, None),
        ({"aud": "graph", "iss": "https://id.example", "nbf": int(time.time())}, None),
        ({"iss": "https://id.example"}, "not valid here"),
        ({"aud": "other", "iss": "https://id.example"}, "another audience"),
        ({"aud": "graph"}, "not valid here"),
        ({"aud": "graph", "iss": "https://id.example/"}, "another issuer"),
        ({"aud": "graph", "iss": "https://id.example", "exp": int(time.time()) - 60}, "expired"),
        ({"aud": "graph", "iss": "https://id.example", "exp": None}, "not valid here"),
        ({"aud": "graph", "iss": "https://id.example", "exp": "soon"}, "not valid here"),
        ({"aud": "graph", "iss": "https://id.example", "exp": 10**400}, "not valid here"),
        ({"aud": "graph", "iss": "https://id.example", "nbf": int(time.time()) + 3600}, "not valid yet"),
        ({"aud": "graph", "iss": "https://id.example", "iat": int(time.time()) + 3600}, "not valid yet"),
        ({"aud": "graph", "iss": "https://id.example", "sub": "auth0|123"}, "not valid here"),
    ],
)
def test_time_audience_and_issuer_must_hold(
    provider: Provider, demo_database: str, claims: dict[str, Any], reason: str | None
) -> None:
    settings = {"jwt_audience": "graph", "jwt_issuer": "https://id.example"}

    with provider.running() as url, serving(demo_database, {"jwt_jwks_url": url, **settings}) as gateway:
        answer = send(gateway, EC.sign(**claims))

    if reason is None:
        assert answer.json() == MAYA
    else:
        assert answer.status_code == 401
        assert reason in answer.json()["errors"][0]["message"]


def test_a_token_for_another_audience_is_refused_where_none_is_set(trusting: Gateway) -> None:
    answer = send(trusting, RSA.sign(aud="another application"))

    assert answer.status_code == 401
    assert "audience" in answer.json()["errors"][0]["message"]


def test_a_real_database_is_served_with_published_keys_alone(provider: Provider, demo_database: str) -> None:
    with provider.running() as url:
        environment = {"DATABASE_URL": demo_database, "JWT_JWKS_URL": url, "NO_PROXY": "127.0.0.1"}
        with started("serve", "--port", "0", **environment) as (_, address):
            answer = ask(address, WHO, EC.sign())
            forgery = ask(address, WHO, forged({"alg": "HS256", "kid": "rsa-1"}, public_pem(RSA)))
        signed = run("token", CAST["maya"].email, **environment)

    assert answer.json() == MAYA
    assert forgery.status_code == 401
    assert (signed.returncode, signed.stdout) == (1, "")
    assert "JWT_SECRET" in signed.stderr


def test_doctor_says_whether_the_keys_can_be_had(provider: Provider, demo_database: str) -> None:
    with provider.running() as url:
        well = run("doctor", DATABASE_URL=demo_database, JWT_JWKS_URL=url, NO_PROXY="127.0.0.1")
    ill = run("doctor", DATABASE_URL=demo_database, JWT_JWKS_URL=url, NO_PROXY="127.0.0.1")

    assert "ok  Tokens are read with the keys of JWT_JWKS_URL" in well.stdout
    assert "no  The keys of JWT_JWKS_URL cannot be had" in ill.stdout
    assert ill.returncode == 1


def test_an_algorithm_that_is_none_for_public_keys_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match="HS256 is none for public keys"):
        Settings.read(jwt_algorithms="RS256,HS256")
