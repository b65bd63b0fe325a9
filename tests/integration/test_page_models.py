"""The page at /, with models that are neither pictures nor series, that take pixels alone, or that are not there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format
from playwright.sync_api import Page, expect

from service.wire import tensorflow_serving_pb2 as serving
from tensorgate.v1 import tensorgate_pb2 as tg
from tests.access import add
from tests.browser import needs_chromium
from tests.page import SEVEN, answered, draw, snippet
from tests.processes import ROOT, ServerProcess, server_process

pytestmark = needs_chromium
BACKEND = ("--backend", "tests.page_models:PageBackend")


@pytest.fixture(scope="module")
def odd() -> Iterator[ServerProcess]:
    with server_process(*BACKEND) as server:
        server.announcement()
        yield server


def run_it(page: Page) -> None:
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".output pre").first).to_be_visible()


def python_prints(page: Page, server: ServerProcess) -> str:
    """Runs the Python code that the page shows; returns what it prints."""
    code = snippet(page, "Python").replace("127.0.0.1:8001", server.grpc)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def grpcurl_message(page: Page) -> str:
    """Returns the message that the page has grpcurl send."""
    sent = re.search(r"-d '(.*)' \\\n", snippet(page, "grpcurl"), re.DOTALL)
    assert sent is not None
    return sent[1]


def test_strings_go_and_come(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#text")
    page.get_by_label("text string").fill('["abc", "é"]')
    run_it(page)
    outputs = page.locator(".output")
    expect(outputs.filter(has_text="length").locator("pre")).to_have_text("[3,\n 2]")
    assert "b'cba'" in python_prints(page, odd)
    request = json_format.Parse(grpcurl_message(page), serving.PredictRequest())
    assert list(request.inputs["text"].string_val) == [b"abc", "é".encode()]


def test_bytes_that_are_no_text_go_as_base64(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#text@1")
    page.get_by_label("text string").fill('[{"b64": "/wA="}]')
    run_it(page)
    expect(page.locator(".output").filter(has_text="length").locator("pre")).to_have_text("[2]")
    assert r"b'\x00\xff'" in python_prints(page, odd)
    request = json_format.Parse(grpcurl_message(page), serving.PredictRequest())
    assert list(request.inputs["text"].string_val) == [b"\xff\0"]


def test_two_inputs_have_a_field_each(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#sum")
    page.get_by_label("a float32 [?, 2]").fill("[[1, 2]]")
    page.get_by_label("b float32 [?, 2]").fill("[[10, 20], [30, 40]]")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("alert").filter(has_text="rows")).to_have_count(1)
    page.get_by_label("b float32 [?, 2]").fill("[[10, 20]]")
    run_it(page)
    expect(page.locator(".output").filter(has_text="sum").locator("pre")).to_have_text("[[11,22]]")
    assert answered(odd, snippet(page, "curl"))["outputs"]["difference"] == [[-9, -18]]
    assert "sum [[11. 22.]]" in python_prints(page, odd)


def test_a_tensor_of_five_dimensions_fits_onto_the_page(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#film")
    expect(page.get_by_label("x float32 [?, 8, 16, 16, 3]")).to_be_visible()
    run_it(page)
    expect(page.locator(".output pre")).to_have_text("[[0,0,0,0,0,0,0,0]]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#snippet").bounding_box()["height"] < 480  # type: ignore[index]
    assert "brightness [[0. 0. 0. 0. 0. 0. 0. 0.]]" in python_prints(page, odd)


def test_a_model_of_pixels_alone_is_drawn_for(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#plain")
    draw(page, SEVEN)
    expect(page.locator(".verdict strong")).to_have_text(re.compile("dark|grey|bright"))
    page.wait_for_timeout(500)  # for the last request, of the whole drawing
    best = answered(odd, snippet(page, "curl"))["results"][0]["classes"][0]["label"]
    assert python_prints(page, odd).startswith(best)
    request = json_format.Parse(grpcurl_message(page), tg.ClassifyRequest())
    assert list(request.images[0].pixels.shape) == [4, 4, 1]
    assert len(request.images[0].pixels.values) == 16


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gone", "Version 4 is not served: saved_model.pb: expected a SavedModel"),
        ("slow", "Version 1 is being loaded."),
        ("shades@3", "Version 3 is not served: half of it is missing"),
    ],
)
def test_what_is_not_loaded_says_why_and_has_no_form(page: Page, odd: ServerProcess, model: str, words: str) -> None:
    page.goto(f"{odd.rest}/#{model}")
    expect(page.get_by_role("main").get_by_role("status")).to_have_text(words)
    expect(page.locator("h3", has_text="Try it")).to_have_count(0)


def test_a_model_or_version_that_there_is_not_is_said_to_be_none(page: Page, odd: ServerProcess) -> None:
    page.goto(odd.rest + "/#nobody")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("There is no model nobody")
    page.goto(odd.rest + "/#shades@9")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("There is no version 9 of shades")


def test_with_a_key_all_of_it_works_for_the_models_that_it_is_for(page: Page, tmp_path: Path) -> None:
    key = add(tmp_path / "access.toml", ["text", "plain", "shades"])
    with server_process(*BACKEND, "--access-file", str(tmp_path / "access.toml")) as server:
        server.announcement()
        page.goto(server.rest + "/#text")
        expect(page.get_by_label("Key")).to_be_visible()
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("navigation", name="Models").get_by_role("link")).to_have_count(3)
        page.get_by_label("text string").fill('["abc"]')
        run_it(page)
        assert 'key=os.environ["TENSORGATE_KEY"]' in snippet(page, "Python")
        page.locator("summary", has_text="Model card").click()
        expect(page.locator(".card img")).to_have_attribute("src", re.compile("^blob:"))
        page.locator("summary", has_text="Drift").click()
        expect(page.locator(".fold-body").last).to_contain_text("Drift is not watched")
        assert key not in page.content()


@pytest.mark.parametrize(("action", "words"), [("read", "the right to infer"), ("infer", "the right to read")])
def test_a_key_with_half_the_rights_is_told_which_is_missing(
    page: Page, tmp_path: Path, action: str, words: str
) -> None:
    key = add(tmp_path / "access.toml", ["text"], [action])
    with server_process(*BACKEND, "--access-file", str(tmp_path / "access.toml")) as server:
        server.announcement()
        page.goto(server.rest + "/#text")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Use it").click()
        if action == "read":
            page.get_by_role("button", name="Run it").click()
        expect(page.get_by_role("alert").filter(has_text=words)).to_have_count(1)


def test_a_rollout_is_shown_beside_its_model(page: Page, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    rollout = "stable_version: 1 canary_version: 2 step_weights: [5, 100] step_seconds: 3600 start_time: 1"
    config.write_text(
        'model_config_list { config { name: "shades" base_path: "shades" model_version_policy { all {} } '
        f"tensorgate {{ rollout {{ {rollout} }} }} }} "
        'config { name: "steps" base_path: "steps" } }'
    )
    backend = ("--backend", "tests.fakes:ControllableFake", "--model-config-file", str(config))
    with server_process(*backend) as server:
        server.announcement()
        page.goto(server.rest + "/#shades")
        shown = page.get_by_role("region", name="Rollout of version 2")
        expect(shown).to_contain_text("step 1 of 2 (5 %, 100 %), of the requests that name no version")
        expect(shown.get_by_role("row").filter(has_text="2, canary")).to_contain_text("5 %")
        expect(shown.get_by_role("row").filter(has_text="1, stable")).to_contain_text("95 %")
        page.goto(server.rest + "/#steps")
        expect(page.get_by_role("heading", name="steps")).to_be_visible()
        expect(page.get_by_role("region", name="Rollout")).to_have_count(0)
