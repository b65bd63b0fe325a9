"""Keras models of one's own: exported, served, and asked over the typed API and the generic protocols."""

import asyncio
import contextlib
import io
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tensorgate
from service.app.lifecycle import Server
from service.app.settings import load
from tests.foreign.process import environment_folder
from tests.processes import ROOT
from training.errors import PublicationRefusedError, TrainingError
from training.keras_export import _forecaster
from training.signature_change import broken_by

pytestmark = [pytest.mark.over_rest, pytest.mark.timeout(300)]
COLOURS = ["red", "green", "blue"]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "keras.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def colours(activation: str = "softmax") -> keras.Model:
    """Scores by the strongest colour of images [N,4,5,3], raw pixels."""
    model = keras.Sequential(
        [
            keras.Input((4, 5, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation=activation),
        ]
    )
    model.layers[-1].set_weights([np.eye(3) * 20, np.zeros(3)])
    return model


def steps(outputs: int = 2) -> keras.Model:
    model = keras.Sequential([keras.Input((6, 1)), keras.layers.Flatten(), keras.layers.Dense(outputs, use_bias=False)])
    model.layers[-1].set_weights([np.eye(6, outputs, -4)])
    return model


def quantiles() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(6), keras.layers.Reshape((2, 3))])


def product() -> keras.Model:
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    return keras.Model([left, right], keras.layers.Multiply()([left, right]))


@pytest.fixture(scope="module")
async def rest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    models = tmp_path_factory.mktemp("models")
    assert tensorgate.export(colours(), models / "colours", kind="classifier", classes=COLOURS) == models / "colours/1"
    tensorgate.export(steps(), models / "steps", kind="forecaster")
    tensorgate.export(quantiles(), models / "quantiles", kind="forecaster", quantile_levels=[0.1, 0.5, 0.9])
    tensorgate.export(product(), models / "product")
    short, whole, archive = BLOCKS[:3]
    with contextlib.chdir(models.parent):  # where the docs have models/pets
        for block, model in ((archive, colours()), (short, colours()), (whole, colours("linear"))):
            known = {"model": model, "keras": keras, "tensorgate": tensorgate}
            exec(block.replace("models/", f"{models.name}/"), known)  # noqa: S102  # of our own docs
    assert sorted(folder.name for folder in (models / "pets").iterdir()) == ["1", "2", "3"]
    settings = load({"models": models, "version_policy": "all", "rest_port": 0, "grpc_port": 0})
    async with Server(settings) as server:
        await server.ready()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=60) as client:
            yield client


async def test_a_classifier_takes_pixels_and_files(rest: httpx.AsyncClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (50, 40), (10, 240, 20)).save(file, "PNG")
    response = await rest.post(
        "/api/v1/models/colours/classify", content=file.getvalue(), headers={"content-type": "image/png"}
    )
    assert response.status_code == 200, response.text
    assert response.json()["results"][0]["classes"][0]["label"] == "green"
    pixels = [[[250, 0, 5]] * 5] * 4
    response = await rest.post("/api/v1/models/colours/classify", json={"images": [{"pixels": pixels}], "top_k": 1})
    assert [one["label"] for one in response.json()["results"][0]["classes"]] == ["red"]


async def test_a_forecaster_without_quantiles_is_one(rest: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"series": [[1, 2, 3, 4, 5, 6]]}
    response = await rest.post("/api/v1/models/steps/forecast", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["forecasts"] == [{"values": [5.0, 6.0], "quantiles": []}]
    refused = await rest.post("/api/v1/models/steps/forecast", json=body | {"quantiles": [0.5]})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


async def test_any_other_model_answers_the_generic_protocols(rest: httpx.AsyncClient) -> None:
    inputs = {"left": [[1, 2, 3]], "right": [[4, 5, 6]]}
    response = await rest.post("/v1/models/product:predict", json={"inputs": inputs})
    assert response.json() == {"outputs": [[4.0, 10.0, 18.0]]}
    ready = (await rest.get("/readyz")).json()
    assert ready["models"].keys() == {"colours", "pets", "product", "quantiles", "steps"}


def test_a_model_may_take_its_inputs_by_name(tmp_path: Path) -> None:
    rooms, area = keras.Input((1,), name="rooms"), keras.Input((2,), name="area")
    model = keras.Model({"rooms": rooms, "area": area}, {"price": keras.layers.Concatenate()([rooms, area])})
    assert tensorgate.export(model, tmp_path / "price").is_dir()


async def test_what_keras_alone_exports_is_a_classifier_too(rest: httpx.AsyncClient) -> None:
    pets = (await rest.get("/api/v1/models/pets")).json()
    assert {version["kind"] for version in pets["versions"]} == {"image_classifier"}
    labels = [version["image_classifier"]["labels"] for version in pets["versions"]]
    assert labels == [["cat", "dog", "horse"]] * 3
    assert [version["image_classifier"]["accepts_encoded"] for version in pets["versions"]] == [True, True, False]


async def test_the_docs_ask_it(rest: httpx.AsyncClient, tmp_path: Path) -> None:
    Image.new("RGB", (5, 4), (250, 0, 0)).save(tmp_path / "photo.png")
    by_requests, by_triton = (block.replace("127.0.0.1:8000", rest.base_url.netloc.decode()) for block in BLOCKS[3:])
    python = environment_folder("triton") / "bin" / "python"
    for interpreter, block, words in ((sys.executable, by_requests, "'cat'"), (str(python), by_triton, "[[")):
        done = await asyncio.to_thread(
            subprocess.run, [interpreter, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, words in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (colours, {"kind": "classifier", "classes": ["a"]}, "classes: expected the names of 3 classes, got 1"),
        (colours, {"kind": "classifier"}, "classes: expected the names of 3 classes, got none"),
        (lambda: colours("linear"), {"kind": "classifier", "classes": COLOURS}, "Softmax"),
        (steps, {"kind": "classifier", "classes": COLOURS}, r"takes images \[N,H,W,C\].*takes \[N,6,1\]"),
        (product, {"kind": "classifier", "classes": COLOURS}, "one input and one output; this model has 2 and 1"),
        (colours, {"kind": "forecaster"}, r"takes a history \[N,T\] or \[N,T,F\]; this model takes \[N,4,5,3\]"),
        (steps, {"kind": "forecaster", "quantile_levels": [0.5]}, r"gives \[N,H,Q\], Q being 1; this model"),
        (steps, {"kind": "forecaster", "quantile_levels": [0.9, 0.1]}, "between 0 and 1, ascending"),
        (steps, {"kind": "other"}, "kind: expected generic, classifier or forecaster, got 'other'"),
    ],
)
def test_what_is_not_of_the_kind_is_told_and_not_published(
    tmp_path: Path, make: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        tensorgate.export(make(), tmp_path / "models" / "mine", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("make", "levels"), [(steps, []), (quantiles, [0.1, 0.5, 0.9])])
def test_what_a_forecaster_says_of_examples_is_checked_too(make: Any, levels: list[float]) -> None:
    plan = _forecaster(make(), levels)
    assert plan.methods == {"regress_examples": "tensorflow/serving/regress"}
    forecast, first = (plan.cases[name].outputs for name in ("serving_default", "regress_examples"))
    np.testing.assert_array_equal(first["outputs"], forecast["forecast"][:, :1])
    assert forecast["quantiles"].shape == (4, 2, len(levels))


def test_a_path_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="path: expected models/NAME"):
        tensorgate.export(steps(), tmp_path / ".hidden")


def test_a_version_that_clients_would_have_to_change_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "colours"
    assert tensorgate.export(colours(), path, kind="classifier", classes=COLOURS).name == "1"
    with pytest.raises(PublicationRefusedError) as caught:
        tensorgate.export(colours(), path)
    for words in ("version 1", "kind classifier, now generic", "it has no signature classify", "allow_change=True"):
        assert words in str(caught.value)
    assert [folder.name for folder in path.iterdir()] == ["1"]
    larger = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    with pytest.raises(PublicationRefusedError, match="height 4, now 6"):
        tensorgate.export(larger, path, kind="classifier", classes=COLOURS)
    assert tensorgate.export(colours(), path, classes=COLOURS, kind="classifier", allow_change=True).name == "2"


@pytest.mark.parametrize(
    ("name", "width", "output", "broken"),
    [
        ("x", 4, "y", ""),
        ("z", 4, "y", "it has no input x, but z"),
        ("x", 5, "y", "the input x is float32 [?, 5], and was float32 [?, 4]"),
        ("x", None, "y", ""),
        ("x", 4, "w", "it has no output y, but w"),
    ],
)
def test_signatures_that_break_clients_are_told(
    tmp_path: Path, name: str, width: int | None, output: str, broken: str
) -> None:
    def save(folder: Path, name: str, width: int | None, output: str) -> Path:
        spec = tf.TensorSpec([None, width], tf.float32, name)
        function = tf.function(lambda taken: {output: 2 * taken}, input_signature=[spec])
        tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": function})
        return folder

    old, new = save(tmp_path / "1", "x", 4, "y"), save(tmp_path / "2", name, width, output)
    assert broken_by(old, new) == (f"in the signature serving_default, {broken}" if broken else "")
    assert broken_by(tmp_path, new) == ""
