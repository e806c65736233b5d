"""Persisted documents: those a client teaches the gateway (automatic), and those an operator trusts."""

import asyncio
import hashlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from gateway.cli import cli
from tests.conftest import execute
from tests.serving import CAST, Gateway, serving

HEALTH = "query Health { domainHealth { domain { name } } }"
NAMES = "query Names($first: Int = 2) { domains(first: $first) { nodes { name } } }"
WHO = "query Who { viewer { fullName } }"
INTROSPECTION = "{ __schema { queryType { name } } }"

needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no redis-server here")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def by_hash(text: str) -> dict[str, Any]:
    """The extensions with which Apollo's clients name a document."""
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


def post(gateway: Gateway, as_: str | None = None, **request: Any) -> httpx2.Response:
    return gateway.client.post("/graphql", json=request, headers=gateway.headers(as_))


def get(gateway: Gateway, **parameters: Any) -> httpx2.Response:
    encoded = {key: value if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()}
    return gateway.client.get("/graphql", params=encoded)


def codes(response: httpx2.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json().get("errors", [])]


def documents(database_url: str, *arguments: str | Path) -> Result:
    """What `clonegraph documents` says, without the second that a process of its own takes to start."""
    environment = {"DATABASE_URL": database_url, "COLUMNS": "200"}
    return CliRunner().invoke(cli, ["documents", *map(str, arguments)], env=environment)


def push(database_url: str, folder: Path, manifest: Any) -> Result:
    path = folder / "manifest.json"
    path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return documents(database_url, "push", path)


def apollo(*texts: str) -> dict[str, Any]:
    """The manifest that Apollo's tool would write of these operations."""
    operations = [
        {"id": sha256(text), "name": text.split()[1].partition("(")[0], "type": "query", "body": text} for text in texts
    ]
    return {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}


@pytest.fixture
def trusting(own_database: str) -> Iterator[Gateway]:
    """A gateway that executes trusted documents only."""
    with serving(own_database, {"documents": "trusted"}) as gateway:
        yield gateway


# Automatic persisted queries


def test_a_client_sends_a_hash_then_the_document_and_from_then_on_the_hash(gateway: Gateway) -> None:
    query = f"{NAMES} # by POST"
    first = post(gateway, extensions=by_hash(query))
    second = post(gateway, query=query, extensions=by_hash(query), variables={"first": 1})
    third = post(gateway, extensions=by_hash(query), variables={"first": 1})

    assert first.status_code == 200
    assert first.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert codes(first) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert "data" not in first.json()
    assert len(second.json()["data"]["domains"]["nodes"]) == 1
    assert third.json() == second.json()


def test_the_same_goes_by_get(gateway: Gateway) -> None:
    query = f"{NAMES} # by GET"
    first = get(gateway, extensions=by_hash(query), operationName="Names")
    second = get(gateway, query=query, extensions=by_hash(query))
    third = get(gateway, extensions=by_hash(query), variables={"first": 2})

    assert (first.status_code, codes(first)) == (200, ["PERSISTED_QUERY_NOT_FOUND"])
    assert third.json() == second.json()
    assert len(third.json()["data"]["domains"]["nodes"]) == 2


def test_a_hash_may_be_written_in_capitals(gateway: Gateway) -> None:
    query = f"{NAMES} # in capitals"
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": sha256(query).upper()}}

    assert post(gateway, query=query, extensions=extensions).status_code == 200
    assert post(gateway, extensions=extensions).json()["data"]


def test_the_hash_of_another_document_is_refused_and_nothing_is_kept(gateway: Gateway) -> None:
    other = f"{NAMES} # never sent"
    refusal = post(gateway, query=HEALTH, extensions=by_hash(other))

    assert (refusal.status_code, codes(refusal)) == (422, ["BAD_REQUEST"])
    assert codes(post(gateway, extensions=by_hash(other))) == ["PERSISTED_QUERY_NOT_FOUND"]


def test_a_document_that_is_not_valid_is_not_kept(gateway: Gateway) -> None:
    query = "{ nothingOfTheKind }"

    assert codes(post(gateway, query=query, extensions=by_hash(query))) == ["GRAPHQL_VALIDATION_FAILED"]
    assert codes(post(gateway, extensions=by_hash(query))) == ["PERSISTED_QUERY_NOT_FOUND"]


@pytest.mark.parametrize(
    "persisted",
    [
        {"version": 2, "sha256Hash": "a" * 64},
        {"version": 1},
        {"version": 1, "sha256Hash": 7},
        {"sha256Hash": "a" * 64},
        "a" * 64,
        [],
    ],
)
def test_what_does_not_name_a_document_is_refused(gateway: Gateway, persisted: Any) -> None:
    answer = post(gateway, extensions={"persistedQuery": persisted})

    assert (answer.status_code, codes(answer)) == (422, ["BAD_REQUEST"])


@pytest.mark.parametrize("hash_", ["", "x", "a" * 64, "a" * 100_000, "a\0b", "%", "é" * 64])
def test_a_hash_that_nobody_has_sent_is_not_found(gateway: Gateway, hash_: str) -> None:
    answer = post(gateway, extensions={"persistedQuery": {"version": 1, "sha256Hash": hash_}})

    assert codes(answer) == ["PERSISTED_QUERY_NOT_FOUND"]


@contextmanager
def redis(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis on this port, for as long as the block."""
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@needs_redis
def test_what_one_node_was_taught_the_others_know(demo_database: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"redis_url": f"redis://127.0.0.1:{port}/0"}

    with redis(port, tmp_path), serving(demo_database, settings) as one, serving(demo_database, settings) as other:
        taught = post(one, query=HEALTH, extensions=by_hash(HEALTH))
        known = post(other, extensions=by_hash(HEALTH))
        unknown = post(other, extensions=by_hash(NAMES))

    assert known.json() == taught.json()
    assert codes(unknown) == ["PERSISTED_QUERY_NOT_FOUND"]


@needs_redis
def test_while_redis_is_away_each_node_knows_what_it_was_taught_itself(demo_database: str, tmp_path: Path) -> None:
    port = free_port()

    with serving(demo_database, {"redis_url": f"redis://127.0.0.1:{port}/0"}) as gateway:
        with redis(port, tmp_path):
            first = post(gateway, query=HEALTH, extensions=by_hash(HEALTH))
        taught = post(gateway, query=NAMES, extensions=by_hash(NAMES))
        known = [post(gateway, extensions=by_hash(text)) for text in (HEALTH, NAMES)]
        unknown = post(gateway, extensions=by_hash(WHO))

    assert [answer.json() for answer in known] == [first.json(), taught.json()]
    assert codes(unknown) == ["PERSISTED_QUERY_NOT_FOUND"]


# Trusted documents


def test_only_trusted_documents_are_executed_where_the_operator_says_so(trusting: Gateway, tmp_path: Path) -> None:
    pushed = push(trusting.database_url, tmp_path, apollo(WHO, NAMES))

    answers = [
        post(trusting, "maya", documentId=sha256(WHO)),
        post(trusting, "maya", documentId=f"sha256:{sha256(WHO)}"),
        post(trusting, "maya", extensions=by_hash(WHO)),
        post(trusting, "maya", query=WHO),
        post(trusting, "maya", query=WHO, extensions=by_hash(WHO)),
    ]
    by_get = get(trusting, documentId=f"sha256:{sha256(NAMES)}", variables={"first": 1})

    assert pushed.stdout == "2 documents are trusted, 2 of them new.\n"
    assert [answer.json() for answer in answers] == [{"data": {"viewer": {"fullName": CAST["maya"].name}}}] * 5
    assert len(by_get.json()["data"]["domains"]["nodes"]) == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"query": HEALTH},
        {"query": INTROSPECTION},
        {"query": f"{WHO} "},
        {"query": "not even a document"},
        {"query": HEALTH, "extensions": by_hash(HEALTH)},
        {"query": HEALTH, "extensions": by_hash(WHO)},
        {"extensions": by_hash(HEALTH)},
        {"documentId": "nobody's"},
        {"documentId": ""},
        {"documentId": "a" * 10_000},
        {"documentId": "a\0b"},
        {"query": WHO, "documentId": "nobody's"},
    ],
    ids=str,
)
def test_whatever_else_is_sent_is_refused_with_a_way_out(
    trusting: Gateway, tmp_path: Path, request_: dict[str, Any]
) -> None:
    push(trusting.database_url, tmp_path, apollo(WHO))

    for answer in (post(trusting, **request_), post(trusting, "grace", **request_)):
        assert (answer.status_code, codes(answer)) == (403, ["DOCUMENT_NOT_TRUSTED"])
        assert "clonegraph documents push" in answer.json()["errors"][0]["message"]
        assert "data" not in answer.json()


def test_a_document_that_was_just_pushed_or_removed_is_so_on_a_running_gateway(
    trusting: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = trusting.database_url
    assert post(trusting, documentId="health").status_code == 403
    deadline = time.monotonic() + 10

    push(url, tmp_path, {"health": HEALTH})
    while (answer := post(trusting, documentId="health")).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    listed = documents(url, "list").stdout
    removed = documents(url, "remove", "health")
    again = documents(url, "remove", "health")

    assert answer.json()["data"]["domainHealth"]
    assert "health" in listed
    assert "query Health" in listed
    assert removed.exit_code == 0
    assert again.exit_code == 1
    assert asyncio.run(execute(url, "SELECT id FROM trusted_documents")) == []


def test_trusted_documents_are_found_where_others_are_executed_too(own_gateway: Gateway, tmp_path: Path) -> None:
    push(own_gateway.database_url, tmp_path, {"who": WHO})

    assert post(own_gateway, documentId="who").json() == {"data": {"viewer": None}}
    assert post(own_gateway, extensions=by_hash(WHO)).json() == {"data": {"viewer": None}}
    assert post(own_gateway, query=HEALTH).json()["data"]
    unknown = post(own_gateway, documentId="nobody's")
    assert (unknown.status_code, codes(unknown)) == (422, ["PERSISTED_QUERY_NOT_FOUND"])


def test_an_id_of_the_application_s_own_is_found_as_a_hash_too(trusting: Gateway, tmp_path: Path) -> None:
    push(trusting.database_url, tmp_path, {"Who-V1": WHO})

    answer = post(trusting, extensions={"persistedQuery": {"version": 1, "sha256Hash": "Who-V1"}})

    assert answer.json() == {"data": {"viewer": None}}


RELAY = {"0f3b6e6d1f4f0a1a8f7d5c2c3d1e9b7a": WHO, "8c1a0b": NAMES}


@pytest.mark.parametrize(
    ("manifest", "ids"),
    [
        (apollo(WHO, NAMES), [sha256(WHO), sha256(NAMES)]),
        (RELAY, list(RELAY)),
        ({f"sha256:{sha256(WHO)}": WHO}, [f"sha256:{sha256(WHO)}"]),
    ],
    ids=["of Apollo's", "of relay-compiler and graphql-codegen", "of hashes with their prefix"],
)
def test_manifests_are_taken_as_people_have_them(
    own_gateway: Gateway, tmp_path: Path, manifest: dict[str, Any], ids: list[str]
) -> None:
    first = push(own_gateway.database_url, tmp_path, manifest)
    again = push(own_gateway.database_url, tmp_path, manifest)

    assert first.stdout == f"{len(ids)} documents are trusted, {len(ids)} of them new.\n"
    assert again.stdout == f"{len(ids)} documents are trusted, 0 of them new.\n"
    for id_ in ids:
        assert post(own_gateway, documentId=id_).status_code == 200


def test_all_mistakes_of_a_manifest_are_told_and_nothing_of_it_is_stored(empty: str, tmp_path: Path) -> None:
    manifest = {
        "fine": WHO,
        "typo": "query Typo {\n  viewer { fulName }\n}",
        "torn": "query Torn { viewer {",
        "unknown": "{ nothing { of } the }",
        f"sha256:{'0' * 64}": HEALTH,
        "x" * 300: HEALTH,
    }

    result = push(empty, tmp_path, manifest)

    assert result.exit_code == 1
    assert "nothing was stored" in result.stderr
    for told in ("typo: Cannot query field 'fulName'", "line 2, column 12", "torn: Syntax Error", "unknown: Cannot"):
        assert told in result.stderr
    assert f"the hash of this text is sha256:{sha256(HEALTH)}" in result.stderr
    assert "an id must have 1 to 256 characters" in result.stderr
    assert "fine" not in result.stderr
    assert asyncio.run(execute(empty, "SELECT id FROM trusted_documents")) == []


def test_an_id_keeps_its_meaning(empty: str, tmp_path: Path) -> None:
    push(empty, tmp_path, {"who": WHO})

    result = push(empty, tmp_path, {"who": HEALTH, "names": NAMES})

    assert result.exit_code == 1
    assert "who" in result.stderr.splitlines()[-1]
    rows = asyncio.run(execute(empty, "SELECT id, text FROM trusted_documents ORDER BY id"))
    assert [tuple(row) for row in rows] == [(f"sha256:{sha256(WHO)}", WHO), ("who", WHO)]


def test_a_large_manifest_is_stored_at_once(empty: str, tmp_path: Path) -> None:
    manifest = {str(number): f"query Who{number} {{ viewer {{ fullName }} }}" for number in range(500)}

    result = push(empty, tmp_path, manifest)

    assert result.stdout == "500 documents are trusted, 500 of them new.\n"
    assert asyncio.run(execute(empty, "SELECT count(*) FROM trusted_documents"))[0][0] == 1_000


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "It must be a manifest"),
        ("{}", "has no documents"),
        ('{"who": 7}', "It must be a manifest"),
        ('{"format": "apollo-persisted-query-manifest", "operations": []}', "has no documents"),
        ('{"format": "apollo-persisted-query-manifest", "operations": [{"id": "who"}]}', "It must be a manifest"),
        ('{"format": "apollo-persisted-query-manifest", "version": 1}', "It must be a manifest"),
        (
            json.dumps({"format": "apollo-persisted-query-manifest", "operations": [
                {"id": "who", "body": WHO}, {"id": "who", "body": HEALTH},
            ]}),
            "two documents with the id who",
        ),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_told_what_one_is(empty: str, tmp_path: Path, manifest: str, told: str) -> None:
    result = push(empty, tmp_path, manifest)

    assert result.exit_code == 1
    assert told in result.stderr


def test_a_manifest_that_is_not_there_is_told_so(empty: str, tmp_path: Path) -> None:
    result = documents(empty, "push", tmp_path / "nowhere.json")

    assert result.exit_code == 1
    assert "nowhere.json cannot be read" in result.stderr


@pytest.fixture
def empty(own_database: str) -> str:
    """A database without trusted documents."""
    return own_database
