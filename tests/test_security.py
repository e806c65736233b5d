"""What browsers are told, which pages of other origins may call, and whose address is believed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from gateway.security import REQUEST_HEADERS
from tests.serving import Gateway, serving
from tests.test_explorer import browser, complaints, needs_browser, page, run, visit  # noqa: F401 (fixtures)
from tests.test_logs import Lines, lines, operations  # noqa: F401 (a fixture)
from tests.test_process import run as command

APP = "https://app.example.com"
STRANGER = "https://evil.example.com"
QUERY = {"query": "{ __typename }"}


@pytest.fixture(scope="module")
def public(demo_database: str) -> Iterator[Gateway]:
    """A gateway that pages of one other origin may call."""
    with serving(demo_database, {"cors_origins": APP}) as running:
        yield running


def preflight(gateway: Gateway, origin: str, method: str = "POST", headers: str = "content-type") -> httpx2.Response:
    return gateway.client.options(
        "/graphql",
        headers={
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": headers,
        },
    )


@pytest.mark.parametrize(
    "address",
    ["/", "/graphql", "/graphql?query={__typename}", "/schema.graphql", "/health/live", "/metrics", "/nowhere"],
)
def test_no_answer_is_sniffed_or_framed_or_opened_by_others(gateway: Gateway, address: str) -> None:
    headers = gateway.client.get(address).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize("address", ["/graphql?query={__typename}", "/schema.graphql", "/nowhere", "/health"])
def test_what_is_no_page_may_load_nothing(gateway: Gateway, address: str) -> None:
    policy = gateway.client.get(address).headers["content-security-policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_the_page_may_run_only_scripts_of_this_origin(gateway: Gateway) -> None:
    policy = gateway.client.get("/").headers["content-security-policy"]

    directives = dict(each.split(" ", 1) for each in policy.split("; "))
    host = gateway.url.removeprefix("http://")
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["worker-src"] == "'self'"
    assert directives["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    assert "unsafe-eval" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("host", ["a;script-src *", "a b", "x'", "a,b", "[::1", "é"])
def test_the_name_that_a_client_asks_for_adds_nothing_to_the_policy(gateway: Gateway, host: str) -> None:
    response = gateway.client.get("/", headers={b"host": host.encode("latin-1")})

    if response.status_code == 200:
        assert "connect-src 'self';" in response.headers["content-security-policy"]


@needs_browser
def test_the_explorer_works_and_asks_for_nothing_that_its_policy_forbids(
    gateway: Gateway,
    page: Page,  # noqa: F811
) -> None:
    page.add_init_script(
        "window.forbidden = []; document.addEventListener('securitypolicyviolation', event =>"
        " forbidden.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`))"
    )

    visit(page, gateway)
    run(page)
    page.locator(".graphiql-query-editor").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nquery X { cl")
    page.keyboard.press("Control+Space")
    page.locator(".suggest-widget .monaco-list-row").first.wait_for()

    assert page.evaluate("forbidden") == []
    assert page.workers


FORBIDDEN = [
    ("script-src-elem", "const it = document.createElement('script'); it.textContent = '0'; document.body.append(it)"),
    (
        "script-src-elem",
        "const it = document.createElement('script'); it.src = '//127.0.0.1:1'; document.body.append(it)",
    ),
    ("script-src", "setTimeout('0')"),
    ("connect-src", "fetch('http://127.0.0.1:1/').catch(() => {})"),
    ("connect-src", "new WebSocket('ws://127.0.0.1:1/')"),
    ("img-src", "new Image().src = 'http://127.0.0.1:1/'"),
    ("frame-src", "const it = document.createElement('iframe'); it.src = '/'; document.body.append(it)"),
]


@needs_browser
def test_the_policy_holds_in_a_browser(gateway: Gateway, browser: Browser) -> None:  # noqa: F811
    shown = browser.new_page()
    shown.goto(gateway.url)

    for directive, attempt in FORBIDDEN:
        stopped = shown.evaluate(
            "new Promise(resolve => { document.addEventListener('securitypolicyviolation',"
            f" event => resolve(event.effectiveDirective), {{once: true}}); {attempt} }})"
        )
        assert stopped == directive


def test_a_page_of_an_origin_that_is_named_may_call(public: Gateway) -> None:
    asked = preflight(public, APP, headers=", ".join(REQUEST_HEADERS))
    answer = public.client.post("/graphql", json=QUERY, headers={"origin": APP})

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == APP
    for name in REQUEST_HEADERS:
        assert name in asked.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-expose-headers"] == "x-request-id, retry-after"
    assert "Origin" in answer.headers["vary"]
    for response in (asked, answer):
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", [STRANGER, "null", "https://app.example.com.evil.com", "http://app.example.com"])
def test_a_page_of_another_origin_may_not(public: Gateway, gateway: Gateway, origin: str) -> None:
    for each in (public, gateway):
        asked = preflight(each, origin)
        answer = each.client.post("/graphql", json=QUERY, headers={"origin": origin})

        assert asked.status_code >= 400
        assert "access-control-allow-origin" not in asked.headers
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_may_not_use_methods_or_headers_that_nobody_needs(public: Gateway) -> None:
    assert preflight(public, APP, method="DELETE").status_code == 400
    assert preflight(public, APP, headers="cookie, x-forwarded-for").status_code == 400


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/plain; a=json"],
)
def test_what_a_form_can_send_unasked_is_not_executed(gateway: Gateway, lines: Lines, content_type: str) -> None:  # noqa: F811
    response = gateway.client.post(
        "/graphql", content=json.dumps(QUERY), headers={"content-type": content_type, "origin": STRANGER}
    )

    (line,) = operations(lines)
    assert response.status_code in (403, 415)
    assert "type" not in line


def test_a_link_only_reads_and_nothing_that_a_browser_adds_signs_one_in(gateway: Gateway) -> None:
    token = gateway.token("maya")
    cookies = {"cookie": f"authorization=Bearer {token}; token={token}; session={token}"}

    read = gateway.client.get("/graphql", params={"query": "{ viewer { email } }"}, headers=cookies)
    changed = gateway.client.get("/graphql", params={"query": "mutation { __typename }"}, headers=cookies)

    assert read.json() == {"data": {"viewer": None}}
    assert changed.status_code in (405, 422)
    assert "set-cookie" not in read.headers


def principals(gateway: Gateway, captured: list[Any], *forwarded: str) -> list[str]:
    for each in forwarded:
        gateway.client.post("/graphql", json=QUERY, headers={"x-forwarded-for": each} if each else {})
    return [line["principal"] for line in operations(captured)]


def test_a_stranger_cannot_choose_the_address_that_he_is_counted_by(
    demo_database: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,  # noqa: F811
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    with serving(demo_database) as direct:
        found = principals(direct, lines, "", "198.51.100.1", "198.51.100.2", "192.0.2.1")

    assert len(set(found)) == 1


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(
    demo_database: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,  # noqa: F811
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    with serving(demo_database) as behind:
        one, forging, also_forging, other = principals(
            behind,
            lines,
            "198.51.100.1",
            "203.0.113.9, 198.51.100.1",
            "127.0.0.1, 203.0.113.9, 198.51.100.1",
            "198.51.100.2",
        )

    assert one == forging == also_forging
    assert one != other


@pytest.mark.parametrize(
    ("trusted", "sentence"),
    [
        ("*", "anybody can choose the address"),
        ("10.0.0.1, proxy.example.com", "no address and no network: proxy.example.com."),
    ],
)
def test_the_doctor_finds_proxies_that_cannot_be_trusted(trusted: str, sentence: str) -> None:
    result = command("doctor", DATABASE_URL="postgresql://127.0.0.1:1/nowhere", FORWARDED_ALLOW_IPS=trusted)

    assert result.returncode == 1
    assert sentence in result.stdout
