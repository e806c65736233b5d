import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from gateway import explorer
from gateway.explorer import BUILT, examples
from tests.serving import Gateway, serving

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
NAMELESS = """[...document.querySelectorAll("button, input, select, textarea, a, meter")]
    .filter(control => !control.closest(".monaco-editor"))
    .filter(control => !(control.ariaLabel || control.textContent.trim() || control.labels?.length))
    .map(control => control.outerHTML)"""
PALE = """selector => {
    const rgb = colour => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = colour => [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
        const part = colour[index] / 255;
        return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    }, 0);
    const behind = element => {
        const layers = [];
        for (let each = element; each; each = each.parentElement) {
            layers.push(rgb(getComputedStyle(each).backgroundColor));
        }
        return layers.reverse().reduce(
            (under, over) => under.map((part, index) => part + (over[index] - part) * over[3] / 255),
            [255, 255, 255],
        );
    };
    return [...document.querySelectorAll(selector)]
        .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .filter(element => element.checkVisibility())
        .map(element => {
            const [low, high] = [behind(element), rgb(getComputedStyle(element).color)]
                .map(luminance).sort((one, other) => one - other);
            return [(high + 0.05) / (low + 0.05), element.outerHTML];
        })
        .filter(([contrast]) => contrast < 4.5);
}"""

expect.set_options(timeout=20_000)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def development(demo_database: str) -> Iterator[Gateway]:
    """A gateway that tells plans."""
    with serving(demo_database, {"development": True}) as running:
        yield running


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of: errors of scripts, of loading, of the content security policy."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page in a light browser that has nothing to complain of."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    assert complaints == []


def visit(page: Page, gateway: Gateway) -> None:
    page.goto(gateway.url)
    page.locator(".graphiql-query-editor .view-line").first.wait_for()


def answer(page: Page) -> Locator:
    """The answer, as far as the page shows it."""
    return page.get_by_role("region", name="Result Window").locator(".view-lines")


def run(page: Page) -> None:
    page.get_by_role("button", name="Execute query").click()
    expect(answer(page)).to_contain_text('"data"')


def open_example(page: Page, name: str) -> None:
    page.get_by_label("Search examples").fill(name)
    page.get_by_label("Search examples").press("Enter")


def forgive(complaints: list[str], status: int) -> None:
    """Let the browser complain of answers with this status, and of nothing else."""
    assert [text for text in complaints if f"status of {status}" not in text] == []
    complaints.clear()


@needs_browser
def test_a_newcomer_runs_the_first_example_and_sees_the_answer_without_internet(gateway: Gateway, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    visit(page, gateway)
    run(page)

    expect(answer(page)).to_contain_text('"fullName": "Maya Lindqvist"')
    expect(answer(page)).to_contain_text('"assistantId"')
    assert {url.split("/")[2] for url in asked} == {gateway.url.removeprefix("http://")}


@needs_browser
def test_one_can_be_anybody_of_the_cast(gateway: Gateway, page: Page) -> None:
    visit(page, gateway)
    open_example(page, "viewer")
    page.get_by_test_id("viewer-select").select_option("grace@example.com")

    run(page)

    expect(answer(page)).to_contain_text('"role": "ADMIN"')


@needs_browser
def test_cost_and_plan_stand_beside_the_answer_and_not_in_it(development: Gateway, page: Page) -> None:
    visit(page, development)
    open_example(page, "viewer")

    run(page)
    page.get_by_role("button", name="statements").click()

    cost, plan = page.get_by_test_id("cost"), page.get_by_test_id("plan")
    for figure in ("Requested", "Actual", "Remaining"):
        expect(cost.get_by_text(figure)).to_be_visible()
    expect(plan.get_by_role("listitem").first).to_contain_text("SELECT")
    expect(plan.get_by_role("listitem").first).to_contain_text("ms")
    expect(answer(page)).not_to_contain_text("extensions")


@needs_browser
def test_an_operation_is_priced_without_being_run(gateway: Gateway, page: Page) -> None:
    visit(page, gateway)
    page.get_by_role("button", name="Show Last operation").click()

    page.get_by_role("button", name="Price only").click()

    expect(page.get_by_role("region", name="Last operation")).to_contain_text("Priced, not run")
    expect(page.get_by_test_id("cost")).to_contain_text("Requested")
    expect(page.get_by_test_id("plan")).to_have_count(0)
    expect(answer(page)).to_have_text("")


@needs_browser
def test_what_cannot_be_priced_says_why(gateway: Gateway, page: Page, complaints: list[str]) -> None:
    visit(page, gateway)
    page.locator(".graphiql-query-editor .view-line").first.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text("nonsense")
    page.get_by_role("button", name="Show Last operation").click()

    page.get_by_role("button", name="Price only").click()

    panel = page.get_by_role("region", name="Last operation")
    expect(panel.get_by_role("alert")).to_have_text("Syntax Error: Unexpected Name 'nonsense'.")
    forgive(complaints, 400)


@needs_browser
def test_a_field_is_found_and_its_example_runs_as_the_right_person(gateway: Gateway, page: Page) -> None:
    visit(page, gateway)
    page.get_by_role("link", name="Subscription").click()
    expect(page.get_by_role("button", name="cloneUpdated")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Execute query")).to_be_in_viewport()
    page.get_by_label("Search examples").fill("vectorstores")

    page.get_by_role("region", name="Examples").get_by_role("listitem").first.get_by_role("button").click()
    run(page)

    expect(page.get_by_role("tab", name="VectorStores")).to_be_visible()
    expect(page.get_by_test_id("viewer-select")).to_have_value("grace@example.com")
    expect(answer(page)).to_contain_text('"vectorId"')


@needs_browser
def test_a_subscription_streams_until_it_is_stopped(own_gateway: Gateway, page: Page) -> None:
    example = next(example for example in examples() if example.name == "cloneUpdated")
    rename = 'mutation ($id: ID!) { updateClone(input: {id: $id, name: "Renamed"}) { userErrors { message } } }'
    visit(page, own_gateway)
    open_example(page, "cloneUpdated")

    run(page)
    expect(answer(page)).to_contain_text('"cursor"')
    own_gateway.ask(rename, as_="maya", id=(example.variables or {})["id"])
    expect(answer(page)).to_contain_text('"name": "Renamed"')
    expect(page.get_by_role("button", name="Streaming")).to_contain_text("2 events")
    page.get_by_role("button", name="Stop query").click()

    expect(page.get_by_role("button", name="Stopped")).to_be_visible()


@needs_browser
def test_a_subscription_that_cannot_be_says_why(gateway: Gateway, page: Page, complaints: list[str]) -> None:
    visit(page, gateway)
    open_example(page, "cloneUpdated")
    page.get_by_test_id("viewer-select").select_option("")
    page.get_by_test_id("token-input").fill("nonsense")
    page.get_by_test_id("token-input").press("Enter")

    page.get_by_role("button", name="Execute query").click()

    expect(answer(page)).to_contain_text("The token is not valid here.")
    expect(page.get_by_role("button", name="Broken off")).to_be_visible()
    forgive(complaints, 401)


@needs_browser
def test_the_theme_follows_the_system_until_one_is_chosen_and_kept(gateway: Gateway, page: Page) -> None:
    def is_dark() -> bool:
        return bool(page.evaluate("getComputedStyle(document.body).backgroundColor === 'rgb(33, 42, 59)'"))

    visit(page, gateway)
    editor = page.locator(".graphiql-query-editor .monaco-editor").first
    assert not is_dark()
    page.emulate_media(color_scheme="dark")
    expect(editor).to_contain_class("vs-dark")
    assert is_dark()

    page.get_by_role("radio", name="Light").check(force=True)
    page.reload()
    editor.wait_for()

    assert not is_dark()
    expect(page.get_by_role("radio", name="Light")).to_be_checked()
    expect(editor).not_to_contain_class("vs-dark")


@needs_browser
def test_a_token_that_is_no_good_is_told_in_a_sentence(gateway: Gateway, page: Page, complaints: list[str]) -> None:
    visit(page, gateway)
    page.get_by_test_id("viewer-select").select_option("")

    page.get_by_test_id("token-input").fill("Bearer nonsense")
    page.get_by_test_id("token-input").press("Enter")

    expect(page.get_by_test_id("viewer-status")).to_contain_text("The token")
    expect(answer(page)).not_to_contain_text("stack")
    page.get_by_test_id("token-input").fill(gateway.token("grace"))
    page.get_by_test_id("token-input").press("Enter")
    expect(page.get_by_test_id("viewer-status")).to_have_text("Your token goes with every request.")
    forgive(complaints, 401)


@needs_browser
def test_controls_have_names_and_text_has_contrast_in_both_themes(development: Gateway, page: Page) -> None:
    visit(page, development)
    run(page)

    assert page.evaluate(NAMELESS) == []
    for theme in ("Light", "Dark"):
        page.get_by_role("radio", name=theme).check(force=True)
        assert page.evaluate(PALE, ".bar *, .panel *, .summary *") == []
    page.get_by_role("button", name="statements").click()
    expect(page.get_by_test_id("plan")).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    for theme in ("Light", "Dark"):
        page.get_by_role("radio", name=theme).check(force=True)
        assert page.evaluate(PALE, ".panel *, .summary *") == []


@needs_browser
def test_the_bar_is_one_line_at_1024_pixels(gateway: Gateway, page: Page) -> None:
    page.set_viewport_size({"width": 1024, "height": 700})
    visit(page, gateway)

    page.get_by_test_id("viewer-select").select_option("")
    expect(page.get_by_test_id("token-input")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == 1024
    assert page.evaluate("document.querySelector('.bar').offsetHeight") < 60


def test_the_page_is_served_at_the_root_and_to_browsers_at_graphql(gateway: Gateway) -> None:
    assert BUILT.exists(), "run make explorer"
    page = gateway.client.get("/").text
    assert "<html" in page
    assert gateway.client.get("/graphql", headers={"accept": "text/html"}).text == page


def test_a_page_that_was_not_built_says_how_to_and_loads_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "BUILT", BUILT / "nowhere")

    page = gateway.client.get("/").text

    assert "make explorer" in page
    assert "src=" not in page
