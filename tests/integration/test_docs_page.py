"""The page at /docs, in a real browser: what it shows, and that its examples work when sent."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

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


def opened(page: Page, operation: str) -> Locator:
    """Opens an operation, and its group where that is closed."""
    view = page.locator(f"#{operation}")
    group = page.locator("details.group").filter(has=view)
    if group.get_attribute("open") is None:
        group.locator("> summary").click()
    view.locator("summary").click()
    return view


def test_it_lists_every_operation(page: Page) -> None:
    expect(page.locator("details.operation")).to_have_count(39)
    expect(page.locator("h1")).to_have_text("Tensorgate API")
    for tag in ("Typed API", "TensorFlow Serving", "Open Inference Protocol", "Operations"):
        expect(page.get_by_role("heading", name=tag, exact=True)).to_be_visible()


def test_only_the_first_group_is_open_until_another_is_asked_for(page: Page) -> None:
    expect(page.locator("#classify")).to_be_visible()
    expect(page.locator("#readyz")).to_be_hidden()
    page.get_by_role("heading", name="Operations", exact=True).click()
    expect(page.locator("#readyz")).to_be_visible()


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("classify", '"label": "'),
        ("forecast", '"level": 0.9'),
        ("listModels", '"shades"'),
        ("tfservingPredict", '"predictions": ['),
        ("tfservingMetadataOfVersion", '"DT_FLOAT"'),
        ("openInferenceModelInfer", '"datatype": "FP32"'),
        ("readyz", '"ready"'),
    ],
)
def test_an_example_works_when_sent(page: Page, operation: str, words: str) -> None:
    view = opened(page, operation)
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status")).to_contain_text("200")
    expect(view.locator(".result")).to_contain_text(words)
    expect(view.locator(".curl")).to_contain_text("curl ")


def test_each_example_can_be_chosen(page: Page) -> None:
    view = opened(page, "classify")
    view.locator("select").select_option("Pixels")
    assert '"pixels"' in view.locator("textarea").input_value()
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status")).to_contain_text("200")


def test_a_refusal_is_shown_as_one(page: Page) -> None:
    view = opened(page, "forecast")
    view.locator("textarea").fill('{"series": []}')
    view.get_by_role("button", name="Send").click()
    expect(view.locator(".status.bad")).to_contain_text("422")
    expect(view.locator(".result")).to_contain_text("invalid_input")
