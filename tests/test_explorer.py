import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from gateway.explorer import BUILT
from tests.serving import CAST, Gateway

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
ANSWER = """[...document.querySelectorAll(".graphiql-response .view-line")]
    .map(line => line.textContent).join("\\n").replaceAll("\\u00a0", " ")"""

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


@needs_browser
def test_a_newcomer_runs_the_first_example_and_sees_the_answer_without_internet(gateway: Gateway, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: pytest.fail(str(error)))

    page.goto(gateway.url)
    page.locator(".graphiql-query-editor .view-line").first.wait_for()
    with page.expect_response("**/graphql") as answered:
        page.get_by_role("button", name="Execute query").click()
    page.locator(".graphiql-response .view-line").first.wait_for()

    data = answered.value.json()["data"]
    assert data["viewer"]["clones"]["nodes"][0]["domain"]["experts"]["nodes"]
    assert '"viewer"' in page.evaluate(ANSWER)
    hosts = {url.split("/")[2] for url in asked if url.startswith("http")}
    assert hosts == {gateway.url.removeprefix("http://")}


@needs_browser
def test_one_can_be_anybody_of_the_cast(gateway: Gateway, page: Page) -> None:
    page.goto(gateway.url)
    page.get_by_test_id("viewer-select").select_option("grace@example.com")
    page.locator(".graphiql-query-editor .view-line").first.wait_for()

    with page.expect_request("**/graphql") as request:
        page.get_by_role("button", name="Execute query").click()

    token = request.value.headers["authorization"].removeprefix("Bearer ")
    assert gateway.tokens.read(token) == CAST["grace"].id
    expect(page.get_by_test_id("viewer-select")).to_have_value("grace@example.com")


def test_the_page_is_served_at_the_root_and_to_browsers_at_graphql(gateway: Gateway) -> None:
    assert BUILT.exists(), "run make explorer"
    page = gateway.client.get("/").text
    assert "<html" in page
    assert gateway.client.get("/graphql", headers={"accept": "text/html"}).text == page
