"""The page at /docs, in a real browser: what it shows, and that its examples work when sent."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.processes import ServerProcess, server_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend") as server:
        server.announcement()
        yield server


@pytest.fixture
def page(server: ServerProcess) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.on("request", lambda request: problems.append(request.url) if server.rest not in request.url else None)
        page.goto(server.rest + "/docs")
        yield page
        browser.close()
        assert problems == []


def test_it_lists_every_operation(page: Page) -> None:
    expect(page.locator("details")).to_have_count(9)
    expect(page.locator("h1")).to_have_text("Tensorgate API")


@pytest.mark.parametrize(
    ("operation", "words"),
    [("classify", '"label": "'), ("forecast", '"level": 0.9'), ("listModels", '"shades"'), ("readyz", '"ready"')],
)
def test_an_example_works_when_sent(page: Page, operation: str, words: str) -> None:
    view = page.locator(f"#{operation}")
    view.locator("summary").click()
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status")).to_contain_text("200")
    expect(view.locator(".result")).to_contain_text(words)
    expect(view.locator(".curl")).to_contain_text("curl ")


def test_each_example_can_be_chosen(page: Page) -> None:
    view = page.locator("#classify")
    view.locator("summary").click()
    view.locator("select").select_option("Pixels")
    assert '"pixels"' in view.locator("textarea").input_value()
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status")).to_contain_text("200")


def test_a_refusal_is_shown_as_one(page: Page) -> None:
    view = page.locator("#forecast")
    view.locator("summary").click()
    view.locator("textarea").fill('{"series": []}')
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status.bad")).to_contain_text("422")
    expect(view.locator(".result")).to_contain_text("invalid_input")
