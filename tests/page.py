"""The page at / in a browser: opening it, drawing on it, and the code that it shows."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import Browser, FloatRect, Page, expect

from tests.processes import ServerProcess

SEVEN = ((0.3, 0.2), (0.7, 0.2), (0.5, 0.55), (0.42, 0.85))
"""Where the pen goes, in shares of the pad's sides."""


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    """Opens a tab; it is an error when the page has one, does what its policy forbids, or asks anybody else."""
    expect.set_options(timeout=30_000)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Policy" in message.text else None)
    page.on("request", lambda request: problems.append(request.url) if _is_elsewhere(request.url) else None)
    yield page
    context.close()
    assert problems == []


def _is_elsewhere(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def draw(page: Page, points: tuple[tuple[float, float], ...]) -> None:
    """Draws a line through points on the pad, in shares of its sides."""
    pad = page.locator(".pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(*place(box, points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(box, point), steps=6)
    page.mouse.up()


def place(box: FloatRect, point: tuple[float, float]) -> tuple[float, float]:
    """Returns the point of a box at shares of its sides."""
    return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]


def answered(server: ServerProcess, code: str) -> Any:
    """Sends what a curl command of the page says, and returns the answer."""
    match = re.search(r"-d '(.*)' \\\n\s+'(.*)'", code, re.DOTALL)
    assert match is not None, code
    assert match[2].startswith(server.rest + "/")
    response = httpx.post(match[2], json=json.loads(match[1]))
    assert response.status_code == 200, response.text
    return response.json()


def snippet(page: Page, name: str) -> str:
    """Returns a request as code, in the language of that name."""
    page.get_by_role("tab", name=name, exact=True).click()
    return page.locator("#snippet").inner_text()
