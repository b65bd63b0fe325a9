"""The page at /docs where access is controlled, in a real browser: open to all, it asks with a key that it is given."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.access import add
from tests.browser import needs_chromium, running_browser
from tests.processes import server_process

pytestmark = needs_chromium


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[tuple[Page, str]]:
    """The page, and a key."""
    expect.set_options(timeout=30_000)  # the page has much to lay out
    key = add(tmp_path / "access.toml", ["shades"])
    settings = ("--backend", "tests.fakes:FakeBackend", "--access-file", str(tmp_path / "access.toml"))
    with server_process(*settings) as server, running_browser() as browser:
        server.announcement()
        page = browser.new_page()
        page.goto(server.rest + "/docs")
        yield page, key


def test_who_has_a_key_can_ask(shown: tuple[Page, str]) -> None:
    page, key = shown
    view = page.locator("#operations-Typed_API-listModels")
    view.locator(".opblock-summary-control").click()
    view.get_by_role("button", name="Execute").click()
    expect(view.locator(".live-responses-table")).to_contain_text("401")
    page.locator(".auth-wrapper .authorize").first.click()
    dialog = page.locator(".dialog-ux")
    dialog.get_by_label("auth-bearer-value").fill(key)
    dialog.get_by_role("button", name="Apply credentials").first.click()
    dialog.get_by_role("button", name="Close").first.click()
    view.get_by_role("button", name="Execute").click()
    expect(view.locator(".live-responses-table td.response-col_status").last).to_contain_text("200")
    expect(view.locator(".live-responses-table")).to_contain_text("shades")
    expect(view.locator(".live-responses-table")).not_to_contain_text("steps")
