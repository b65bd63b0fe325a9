"""The page at /, in a real browser: models are tried on it, and it shows what the API answers.

With ``TENSORGATE_SCREENSHOTS`` set, the pictures in ``docs/images`` are made anew.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from playwright.sync_api import Browser, FloatRect, Page, expect

from service.wire import tensorflow_serving_pb2 as serving
from tensorgate.v1 import tensorgate_pb2 as tg
from tests.browser import needs_chromium, running_browser
from tests.processes import ROOT, ServerProcess, server_process

IMAGES = ROOT / "docs" / "images"
AXE = ROOT / "page/node_modules/axe-core/axe.min.js"
SEVEN = ((0.3, 0.2), (0.7, 0.2), (0.5, 0.55), (0.42, 0.85))
"""Where the pen goes, in shares of the pad's sides."""

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def others() -> Iterator[ServerProcess]:
    """Serves models of which none is a default one."""
    with server_process("--backend", "tests.documented:DocumentedBackend") as server:
        server.announcement()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
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
    pad = page.locator(".pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(*_place(box, points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*_place(box, point), steps=6)
    page.mouse.up()


def _place(box: FloatRect, point: tuple[float, float]) -> tuple[float, float]:
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
    page.get_by_role("tab", name=name, exact=True).click()
    return page.locator("#snippet").inner_text()


def test_a_drawn_seven_is_a_seven(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    draw(page, SEVEN)
    expect(page.locator(".verdict strong")).to_have_text("7")
    expect(page.get_by_role("list", name="Scores of the classes").locator("li")).to_have_count(10)
    page.wait_for_timeout(500)  # for the last request, of the whole drawing
    best = answered(default_server, snippet(page, "curl"))["results"][0]["classes"][0]
    assert best["label"] == "7"
    expect(page.locator(".best .bar-value")).to_have_text(f"{100 * best['score']:.1f} %")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".verdict")).to_have_text("The scores appear here.")


@pytest.mark.parametrize("digit", ["0", "3", "8"])
def test_an_example_is_chosen_by_keyboard(page: Page, default_server: ServerProcess, digit: str) -> None:
    page.goto(default_server.rest + "/#digits")
    page.get_by_label(f"Example: a handwritten {digit}").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".verdict strong")).to_have_text(digit)


def test_a_picture_is_taken_as_it_is_and_ink_on_paper_is_cut_out(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    page.locator("input[accept='image/*']").first.set_input_files(ROOT / "examples/seven.png")
    expect(page.locator(".verdict strong")).to_have_text("7")
    expect(page.get_by_label("It is ink on paper")).not_to_be_checked()
    assert "--data-binary @'seven.png'" in snippet(page, "curl")
    page.locator("input[accept='image/*']").first.set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": _photograph()}
    )
    expect(page.get_by_label("It is ink on paper")).to_be_checked()
    expect(page.locator(".verdict strong")).to_have_text("7")


def _photograph() -> bytes:
    """Returns a seven, dark and small, on bright paper."""
    import io

    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (900, 700), (225, 220, 205))
    ImageDraw.Draw(picture).line([(500, 200), (640, 200), (570, 330), (540, 430)], (40, 40, 70), 24, joint="curve")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_file_that_is_no_picture_is_refused_in_words(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#digits")
    page.locator("input[accept='image/*']").first.set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.get_by_role("alert")).to_contain_text("notes.png is no picture")


def test_the_chart_shows_what_the_api_answers(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#sunspots")
    expect(page.locator(".chart canvas")).to_be_visible()
    page.get_by_label("Horizon").fill("4")
    page.get_by_text("As a table").click()
    rows = page.locator("table.numbers tbody tr")
    expect(rows).to_have_count(4)
    [forecast] = answered(default_server, snippet(page, "curl"))["forecasts"]
    assert len(forecast["values"]) == 4
    expected = [forecast["values"][3], *(one["values"][3] for one in forecast["quantiles"])]
    shown = [float(text.replace(",", "")) for text in rows.nth(3).locator("td").all_inner_texts()]
    assert shown == pytest.approx(expected, rel=1e-3, abs=1e-3)
    over = page.locator(".chart .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(*_place(box, (0.999, 0.5)))
    value = page.locator(".u-legend .u-series", has_text="forecast").locator(".u-value")
    expect(value).to_have_text(rows.nth(3).locator("td").first.inner_text())


def test_a_series_is_uploaded_and_its_column_chosen(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#sunspots")
    table = "when;low;high\n" + "\n".join(f"2020-01-{day:02};{day % 5};{100 + day % 5}" for day in range(1, 41))
    page.locator("input[accept*='.csv']").set_input_files(
        {"name": "two.csv", "mimeType": "text/csv", "buffer": table.encode()}
    )
    expect(page.get_by_label("Column").locator("option")).to_have_text(["low", "high"])
    expect(page.get_by_label("Column")).to_have_value("1")
    expect(page.locator("#snippet")).to_contain_text("[[101,102,103,104,100")
    page.get_by_label("Column").select_option("low")
    expect(page.locator("#snippet")).to_contain_text("[[1,2,3,4,0")


@pytest.mark.parametrize(
    ("text", "words"),
    [("1, 2, 3", "expected at least 33"), ("1\ntwo\n3", "Line 2"), ("[1, null]", "Item 2"), ("", "no series yet")],
)
def test_what_is_wrong_with_a_series_is_said_at_it(
    page: Page, default_server: ServerProcess, text: str, words: str
) -> None:
    page.goto(default_server.rest + "/#sunspots")
    field = page.get_by_label("Series, the newest value last")
    field.fill(text)
    expect(page.locator("#series-problem")).to_contain_text(words)
    expect(field).to_have_attribute("aria-invalid", "true")


def test_any_model_has_a_form(page: Page, others: ServerProcess) -> None:
    page.goto(others.rest + "/#double")
    page.get_by_label("x float32").fill("[1, 2.5]")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".output pre")).to_have_text("[2,\n 5]")
    assert answered(others, snippet(page, "curl"))["outputs"] == [2, 5]


def test_what_is_wrong_with_a_tensor_is_said_at_it(page: Page, others: ServerProcess) -> None:
    page.goto(others.rest + "/#shades")
    page.get_by_role("button", name="Tensors").click()
    field = page.get_by_label("images float32")
    field.fill("[[1, 2")
    expect(page.locator("#problem-images")).to_contain_text("no JSON")
    expect(page.get_by_role("button", name="Run it")).to_be_disabled()
    field.fill("[[1, 2]]")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#problem-images")).to_contain_text("images")


def test_each_request_is_there_as_code(page: Page, default_server: ServerProcess) -> None:
    page.goto(default_server.rest + "/#sunspots")
    for name, words in {
        "curl": "/api/v1/models/sunspots/forecast",
        "Python": "TensorgateServiceStub",
        "grpcurl": "tensorgate.v1.TensorgateService/Forecast",
        "TypeScript": "await fetch(",
    }.items():
        assert words in snippet(page, name)
    compile(snippet(page, "Python"), "snippet", "exec")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == snippet(page, "Python")


@pytest.mark.parametrize(
    ("model", "tensors", "message"),
    [
        ("digits", False, tg.ClassifyRequest),
        ("sunspots", False, tg.ForecastRequest),
        ("sunspots", True, serving.PredictRequest),
    ],
)
def test_the_code_works(
    page: Page, default_server: ServerProcess, model: str, tensors: bool, message: type[Message]
) -> None:
    page.goto(f"{default_server.rest}/#{model}")
    if model == "digits":
        page.get_by_label("Example: a handwritten 4").click()
    if tensors:
        page.get_by_role("button", name="Tensors").click()
    answered(default_server, snippet(page, "curl"))
    code = snippet(page, "Python").replace("127.0.0.1:8001", default_server.grpc)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
    if (node := shutil.which("node")) is not None:
        script = snippet(page, "TypeScript")
        subprocess.run([node, "--input-type=module", "--eval", script], check=True, timeout=60)
    sent = re.search(r"-d '(.*)' \\\n", snippet(page, "grpcurl"), re.DOTALL)
    assert sent is not None
    json_format.Parse(sent[1], message())


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
    expect(card.locator("img")).to_have_count(3)
    page.wait_for_function("[...document.querySelectorAll('.card img')].every((one) => one.naturalWidth > 100)")


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


def test_a_key_is_asked_for_and_shown(page: Page, default_server: ServerProcess) -> None:
    def guard(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            problem = {"code": "unauthenticated", "detail": "who are you?"}
            route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))

    page.route("**/api/**", guard)
    page.goto(default_server.rest + "/#digits")
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_contain_text("does not accept this key")
    page.get_by_label("Key").fill("right")
    page.get_by_role("button", name="Use it").click()
    draw(page, SEVEN)
    expect(page.locator(".verdict strong")).to_have_text("7")
    assert "Bearer $TENSORGATE_KEY" in snippet(page, "curl")
    assert "right" not in snippet(page, "curl")


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
