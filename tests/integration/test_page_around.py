"""What the page at / shows beside the place to try a model: versions, cards, drift, live figures; and keys.

With ``TENSORGATE_SCREENSHOTS`` set, the pictures in ``docs/images`` are made anew.
"""

import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.access import add
from tests.browser import needs_chromium
from tests.page import SEVEN, draw, snippet
from tests.processes import ROOT, ServerProcess, server_process

IMAGES = ROOT / "docs" / "images"
AXE = ROOT / "page/node_modules/axe-core/axe.min.js"

pytestmark = needs_chromium


def test_versions_labels_and_failures_are_shown(page: Page, others: ServerProcess) -> None:
    page.goto(others.rest + "/#digits")
    expect(page.get_by_role("list", name="Versions")).to_contain_text("stable")
    page.goto(others.rest + "/#shades@3")
    expect(page.get_by_role("main")).to_contain_text("half of it is missing")
    page.goto(others.rest + "/#shades@1")
    expect(page.locator(".versions a[aria-current]")).to_contain_text("version 1")


def test_a_model_card_is_shown_with_its_plots(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    page.locator("summary", has_text="Model card").click()
    card = page.locator(".card")
    expect(card.get_by_role("cell", name="support vector machine")).to_be_visible()
    expect(card.locator("img")).to_have_count(4)
    for image in card.locator("img").all():
        expect(image).to_have_attribute("src", re.compile("^blob:"))
        assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100


def test_drift_is_shown(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    page.locator("summary", has_text="Drift").click()
    expect(page.locator(".drift").first).to_be_visible()
    expect(page.locator(".fold-body")).to_contain_text("classify_bytes · output scores")


def test_live_figures_come_from_the_metrics(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    expect(page.locator(".tile", has_text="Waiting").locator(".figure")).to_have_text("0")
    draw(page, SEVEN)
    expect(page.locator(".tile", has_text="Rows in a batch").locator(".figure")).to_have_text(re.compile(r"[0-9]"))
    expect(page.locator(".tile", has_text="Requests a second").locator(".figure")).to_have_text(re.compile(r"[1-9]"))


def test_a_key_is_asked_for_and_shown(page: Page, tmp_path: Path) -> None:
    right = add(tmp_path / "access.toml", ["shades"])
    settings = ("--backend", "tests.fakes:FakeBackend", "--access-file", str(tmp_path / "access.toml"))
    with server_process(*settings) as server:
        server.announcement()
        page.goto(server.rest + "/#shades")
        page.get_by_label("Key").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("alert")).to_contain_text("does not accept this key")
        page.get_by_label("Key").fill(right)
        page.get_by_role("button", name="Use it").click()
        draw(page, SEVEN)
        expect(page.locator(".verdict strong")).to_have_text(re.compile("dark|grey|bright"))
        expect(page.get_by_role("navigation", name="Models").get_by_role("link")).to_have_count(1)
        expect(page.locator(".tile", has_text="Requests a second").locator(".figure")).to_have_text(re.compile("[1-9]"))
        assert "Bearer $TENSORGATE_KEY" in snippet(page, "curl")
        assert right not in page.content()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make page does it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("model", "width"), [("digits", 1280), ("digits", 390), ("sunspots", 390)])
def test_it_is_accessible(browser: Browser, default_server: ServerProcess, scheme: Any, model: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{default_server.rest}/#{model}")
    expect(page.locator("h3", has_text="Try it")).to_be_visible()
    for summary in page.locator(".fold > summary").all():
        summary.click()
    expect(page.locator(".card img").first).to_be_visible()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then((result) => result.violations)")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.skipif("TENSORGATE_SCREENSHOTS" not in os.environ, reason="TENSORGATE_SCREENSHOTS is not set")
@pytest.mark.parametrize(("model", "scheme"), [("digits", "light"), ("sunspots", "dark")])
def test_its_pictures_are_made(browser: Browser, default_server: ServerProcess, model: str, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 860}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{default_server.rest}/#{model}")
    if model == "digits":
        draw(page, SEVEN)
        expect(page.locator(".verdict strong")).to_have_text("7")
    page.wait_for_timeout(6000)  # for figures to be there
    IMAGES.mkdir(exist_ok=True)
    file = IMAGES / f"page-{model}.png"
    page.screenshot(path=file)
    assert file.stat().st_size < 150_000
    context.close()


def test_pictures_are_small() -> None:
    for file in IMAGES.glob("*.png"):
        assert file.stat().st_size < 150_000, file


def test_its_files_may_do_no_more_than_they_need(others: ServerProcess) -> None:
    for path in ("/", "/page/page.js", "/page/page.css", "/page/NOTICE.txt"):
        response = httpx.get(others.rest + path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert _inline(Path(ROOT / "service/transport/page/index.html").read_text()) == []


def _inline(html: str) -> list[str]:
    return re.findall(r"<script(?![^>]*src)|<style|\sstyle=|\son\w+=", html)
