"""The page at /, in a real browser: models are tried on it, and it shows what the API answers."""

import re
import shutil
import subprocess
import sys

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from playwright.sync_api import Page, expect

from service.wire import tensorflow_serving_pb2 as serving
from tensorgate.v1 import tensorgate_pb2 as tg
from tests.browser import needs_chromium
from tests.page import SEVEN, answered, draw, place, snippet
from tests.processes import ROOT, ServerProcess

IMAGES = ROOT / "docs" / "images"
AXE = ROOT / "page/node_modules/axe-core/axe.min.js"

pytestmark = needs_chromium


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
    page.mouse.move(*place(box, (0.999, 0.5)))
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
        "Python": "from tensorgate.client import Client",
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
