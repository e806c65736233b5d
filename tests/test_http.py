"""GraphQL over HTTP: the statuses and media types of its edition of September 2026."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.serving import Gateway, serving

MODERN = "application/graphql-response+json"
LEGACY = "application/json"
JSON = {"content-type": LEGACY}
VIEWER = "{ viewer { fullName } }"

Send = Callable[[Gateway, dict[str, str]], httpx2.Response]


def post(body: Any, **headers: str) -> Send:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda gateway, accept: gateway.client.post("/graphql", content=content, headers={**JSON, **names, **accept})


def get(**parameters: str) -> Send:
    return lambda gateway, accept: gateway.client.get("/graphql", params=parameters, headers=accept)


def call(method: str) -> Send:
    return lambda gateway, accept: gateway.client.request(method, "/graphql", headers=accept)


STATUSES: list[tuple[str, Send, int, int, int]] = [
    # what is sent, how, the status for the modern media type, for the legacy one, and for that with LEGACY_STATUS off
    ("data", post({"query": VIEWER}), 200, 200, 200),
    ("data by GET", get(query=VIEWER), 200, 200, 200),
    ("data and errors", post({"query": "{ viewer { id } users(first: 1) { nodes { email } } }"}), 294, 200, 200),
    ("data that is null", post({"query": "{ clones(first: -1) { nodes { id } } }"}), 294, 200, 200),
    ("a body that is no JSON", post(b'{"query":'), 400, 400, 400),
    ("variables of a GET that are no JSON", get(query=VIEWER, variables="{"), 400, 400, 400),
    ("a body without a query", post({"qeury": VIEWER}), 422, 422, 422),
    ("a GET without a query", get(query=""), 422, 422, 422),
    ("a list of requests", post([{"query": VIEWER}]), 422, 422, 422),
    ("a query that is no string", post({"query": 7}), 422, 422, 422),
    ("variables that are no object", post({"query": VIEWER, "variables": [7]}), 422, 422, 422),
    ("extensions that are no object", post({"query": VIEWER, "extensions": "x"}), 422, 422, 422),
    ("a document that does not parse", post({"query": "{"}), 400, 200, 400),
    ("a document that is not valid", post({"query": "{ colour }"}), 422, 200, 422),
    ("an ambiguous operation", post({"query": "query A { __typename } query B { __typename }"}), 422, 200, 422),
    ("an unknown operation", post({"query": "query A { __typename }", "operationName": "B"}), 422, 200, 422),
    (
        "variables that do not coerce",
        post({"query": "query($n: Int!) { clones(first: $n) { nodes { id } } }", "variables": {"n": "x"}}),
        422,
        200,
        422,
    ),
    ("a mutation by GET", get(query="mutation { __typename }"), 405, 405, 405),
    ("another method", call("PUT"), 405, 405, 405),
    ("another content type", post({"query": VIEWER}, content_type="text/plain"), 415, 415, 415),
    ("no content type", post({"query": VIEWER}, content_type=""), 415, 415, 415),
    ("another encoding", post({"query": VIEWER}, content_type="application/json; charset=latin-1"), 415, 415, 415),
    ("a content encoding", post(b"\x1f\x8b nonsense", content_encoding="gzip"), 415, 415, 415),
    ("a body that is too large", post({"query": VIEWER, "variables": {"a": "x" * 1_000_000}}), 413, 413, 413),
    ("an address that is too long", get(query=VIEWER, variables='{"a": "' + "x" * 20_000 + '"}'), 414, 414, 414),
    ("a bad token", post({"query": VIEWER}, authorization="Bearer nonsense"), 401, 401, 401),
    ("a form of another page", post(b"--x--", content_type="multipart/form-data; boundary=x"), 403, 403, 403),
]
NAMES = [name for name, *_ in STATUSES]


@pytest.fixture(scope="module")
def strict_gateway(demo_database: str) -> Iterator[Gateway]:
    """A gateway that tells legacy clients the status, too."""
    with serving(demo_database, {"legacy_status": False}) as running:
        yield running


def assert_answer(response: httpx2.Response, status: int, media_type: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    body = response.json()
    assert body.keys() <= {"data", "errors"}
    if media_type == MODERN:
        assert ("data" in body) == (status < 300)
    for error in body.get("errors", []):
        assert error["message"]
        assert error["extensions"].keys() == {"code", "errorId", "retryable"}


@pytest.mark.parametrize(("send", "status"), [(send, modern) for _, send, modern, _, _ in STATUSES], ids=NAMES)
def test_a_modern_client_gets_the_status_of_the_edition(gateway: Gateway, send: Send, status: int) -> None:
    response = send(gateway, {"accept": MODERN})

    assert_answer(response, status, MODERN)


@pytest.mark.parametrize(("send", "status"), [(send, legacy) for _, send, _, legacy, _ in STATUSES], ids=NAMES)
def test_a_legacy_client_gets_200_for_every_well_formed_request(gateway: Gateway, send: Send, status: int) -> None:
    response = send(gateway, {"accept": LEGACY})

    assert_answer(response, status, LEGACY if status == 200 else MODERN)


@pytest.mark.parametrize(("send", "status"), [(send, strict) for _, send, _, _, strict in STATUSES], ids=NAMES)
def test_a_legacy_client_gets_the_status_too_where_the_operator_wants_it(
    strict_gateway: Gateway, send: Send, status: int
) -> None:
    response = send(strict_gateway, {"accept": LEGACY})

    assert_answer(response, status, LEGACY if status == 200 else MODERN)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, LEGACY),
        ("", LEGACY),
        ("*/*", LEGACY),
        ("application/*", LEGACY),
        (f"{MODERN}, {LEGACY};q=0.9", MODERN),
        (f"{LEGACY}, {MODERN}", MODERN),
        (f"{LEGACY}, {MODERN};q=0.5", LEGACY),
        (f"{MODERN};q=0, */*", LEGACY),
        (f"{MODERN}, */*", MODERN),
        ("application/json; charset=utf-8", LEGACY),
        ("text/html, application/json;q=0.5", LEGACY),
        ("application/graphql+json, application/json", LEGACY),
        (f"{MODERN}, text/event-stream, multipart/mixed", MODERN),
    ],
)
def test_the_media_type_is_the_one_that_the_client_likes_best(
    gateway: Gateway, accept: str | None, media_type: str
) -> None:
    headers = dict(JSON) if accept is None else {**JSON, "accept": accept}
    with httpx2.Client(base_url=gateway.url, trust_env=False) as client:
        if accept is None:
            del client.headers["accept"]
        response = client.post("/graphql", content=json.dumps({"query": VIEWER}), headers=headers)

    assert_answer(response, 200, media_type)


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/*", f"{MODERN};q=0", "nonsense"])
def test_who_takes_neither_media_type_is_refused(gateway: Gateway, accept: str) -> None:
    response = gateway.client.post("/graphql", json={"query": VIEWER}, headers={"accept": accept})

    assert_answer(response, 406, MODERN)
    assert response.json()["errors"][0]["message"] == f"Accept {MODERN} or {LEGACY}."


def test_a_refused_method_says_which_are_allowed(gateway: Gateway) -> None:
    other = call("DELETE")(gateway, {})
    mutation = get(query="mutation { __typename }")(gateway, {})

    assert "POST" in other.headers["allow"]
    assert mutation.headers["allow"] == "POST"


def test_what_is_null_or_unknown_in_a_request_counts_as_absent(gateway: Gateway) -> None:
    body = {"query": VIEWER, "variables": None, "operationName": None, "extensions": None, "id": 7}

    response = post(body)(gateway, {"accept": MODERN})

    assert_answer(response, 200, MODERN)


def test_empty_parameters_of_a_get_count_as_absent(gateway: Gateway) -> None:
    response = get(query=VIEWER, variables="", operationName="", extensions="")(gateway, {"accept": MODERN})

    assert_answer(response, 200, MODERN)


def test_a_named_operation_is_chosen_by_get_too(gateway: Gateway) -> None:
    response = get(query="query A { a: __typename } query B { b: __typename }", operationName="B")(gateway, {})

    assert response.json() == {"data": {"b": "Query"}}


def test_a_head_is_answered_like_a_get_without_the_body(gateway: Gateway) -> None:
    response = gateway.client.head("/graphql", params={"query": VIEWER})

    assert response.status_code == 200
    assert response.content == b""


def test_a_subscription_over_plain_http_is_told_where_to_go(gateway: Gateway) -> None:
    answer = gateway.ask('subscription { cloneUpdated(id: "clone_0") { cursor } }')

    assert answer.response.status_code == 422
    assert "/graphql/stream" in answer.errors[0]["message"]


def test_an_answer_that_is_too_large_is_refused_with_what_to_do(demo_database: str) -> None:
    with serving(demo_database, {"max_response_bytes": 1_000}) as small:
        answer = small.ask("{ clones(first: 100) { nodes { id name bio } } }")

    assert answer.response.status_code == 422
    assert answer.codes == ["RESPONSE_TOO_LARGE"]
    assert "Ask for fewer rows" in answer.errors[0]["message"]


def test_without_the_explorer_a_browser_gets_no_page(demo_database: str) -> None:
    with serving(demo_database, {"explorer": False}) as bare:
        page = bare.client.get("/", headers={"accept": "text/html"})
        graph = bare.client.get("/graphql", headers={"accept": "text/html"})

    assert page.status_code == 404
    assert graph.status_code == 406


def test_an_operation_is_priced_without_running_it_whatever_its_type(gateway: Gateway) -> None:
    texts = ["{ clones { nodes { id } } }", 'subscription { cloneUpdated(id: "clone_") { cursor } }']

    for text in texts:
        headers = {"graphql-cost": "validate"}
        answer = gateway.client.post("/graphql", json={"query": text}, headers=headers).json()

        assert answer["data"] == {}
        assert answer["extensions"]["cost"]["requested"] > 0
