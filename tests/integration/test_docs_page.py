"""The page at /docs, in a real browser: what it shows, and that its examples work when sent."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import needs_chromium, running_browser
from tests.processes import ServerProcess, server_process

TYPED, TFSERVING, OPEN_INFERENCE = "Typed API", "TensorFlow Serving", "Open Inference Protocol"
OPERATIONS = "Operations"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend", "--allow-model-control") as server:
        server.announcement()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)  # the page has much to lay out
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(server: ServerProcess, browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Policy" in message.text else None)
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on("request", lambda request: None if _is_from(server, request.url) else problems.append(request.url))
    page.goto(server.rest + "/docs")
    yield page
    page.close()
    assert problems == []


def _is_from(server: ServerProcess, url: str) -> bool:
    return url.startswith((server.rest + "/", "data:"))


def opened(page: Page, tag: str, operation: str) -> Locator:
    view = page.locator(f"#operations-{tag.replace(' ', '_')}-{operation}")
    view.locator(".opblock-summary-control").click()
    return view


def sent(view: Locator) -> Locator:
    """Sends the request as it stands there; returns where the answer is shown."""
    view.get_by_role("button", name="Execute").click()
    return view.locator(".live-responses-table")


def test_it_lists_every_operation(page: Page) -> None:
    expect(page.locator(".opblock")).to_have_count(46)
    expect(page.locator("h1, h2").first).to_contain_text("Tensorgate")
    for tag in (TYPED, TFSERVING, OPEN_INFERENCE, OPERATIONS):
        expect(page.locator(f".opblock-tag[data-tag='{tag}']")).to_be_visible()


@pytest.mark.parametrize(
    ("tag", "operation", "words"),
    [
        (TYPED, "classify", '"label": "'),
        (TYPED, "forecast", '"level": 0.9'),
        (TYPED, "listModels", '"shades"'),
        (TYPED, "setLabel", '"stable": 1'),
        (TFSERVING, "tfservingPredict", '"outputs": ['),
        (TFSERVING, "tfservingMetadataOfVersion", '"DT_FLOAT"'),
        (OPEN_INFERENCE, "openInferenceModelInfer", '"datatype": "FP32"'),
        (OPEN_INFERENCE, "openInferenceRepositoryIndex", '"READY"'),
        (OPERATIONS, "readyz", '"ready"'),
    ],
)
def test_an_example_works_when_sent(page: Page, tag: str, operation: str, words: str) -> None:
    view = opened(page, tag, operation)
    answer = sent(view)
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text(words)
    expect(view.locator(".curl")).to_contain_text("curl ")


def test_what_every_request_has_is_shown_with_each(page: Page) -> None:
    view = opened(page, TYPED, "classify")
    for name in ("X-Request-Id", "X-Request-Timeout"):
        expect(view.locator(f"tr[data-param-name='{name}']")).to_be_visible()


def test_each_example_can_be_chosen(page: Page) -> None:
    view = opened(page, TYPED, "classify")
    view.locator(".examples-select select").select_option("pixels")
    expect(view.locator("textarea.body-param__text")).to_have_value(re.compile('"pixels"'))
    expect(sent(view).locator(".response-col_status").last).to_contain_text("200")


def test_a_refusal_is_shown_as_one(page: Page) -> None:
    view = opened(page, TYPED, "forecast")
    view.locator("textarea.body-param__text").fill('{"series": []}')
    answer = sent(view)
    expect(answer.locator(".response-col_status").last).to_contain_text("422")
    expect(answer).to_contain_text("invalid_input")


def test_its_files_may_do_no_more_than_they_need(server: ServerProcess) -> None:
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"):
        response = httpx.get(server.rest + path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
