"""The two default models, asked by clients that others wrote: all of them get the same numbers."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.foreign.process import Address, ForeignClient
from tests.processes import ROOT
from tests.questions import Array, Question, Said, texts

pytestmark = pytest.mark.timeout(900)  # the first test waits for both default trainings
ROWS = 20


@pytest.fixture(scope="session")
def images() -> Array:
    pixels: Array = np.rint(load_digits().images[:ROWS] * 255 / 16).astype(np.float32)[..., np.newaxis]
    return pixels


@pytest.fixture(scope="module")
def reference(triton: ForeignClient, defaults: Address, images: Array) -> Said:
    return triton.ask(defaults, "grpc", Question("digits", {"images": images}))


def test_digits_are_recognized(reference: Said) -> None:
    scores = reference.outputs["scores"]
    assert scores.shape == (ROWS, 10)
    labels = reference.outputs["classes"][np.arange(ROWS), scores.argmax(axis=1)]
    assert (labels.astype(int) == load_digits().target[:ROWS]).mean() > 0.9


@pytest.mark.parametrize("name", ["http", "http-aio", "grpc-aio"])
def test_digits_by_tritonclient(
    triton: ForeignClient, defaults: Address, images: Array, reference: Said, name: str
) -> None:
    assert_as(triton.ask(defaults, name, Question("digits", {"images": images})).outputs, reference.outputs)


@pytest.mark.parametrize("name", ["v2", "grpc"])
def test_digits_by_kserve(kserve: ForeignClient, defaults: Address, images: Array, reference: Said, name: str) -> None:
    assert_as(kserve.ask(defaults, name, Question("digits", {"images": images})).outputs, reference.outputs)


@pytest.mark.parametrize("name", ["grpc", "http"])
def test_digits_by_ovmsclient(
    ovmsclient: ForeignClient, defaults: Address, images: Array, reference: Said, name: str
) -> None:
    place = {"model_name": "digits", "model_version": reference.version}
    assert_as(ovmsclient.call(defaults, name, "predict", inputs={"images": images}, **place), reference.outputs)


def test_image_files(triton: ForeignClient, kserve: ForeignClient, defaults: Address) -> None:
    seven = (ROOT / "examples/seven.png").read_bytes()
    question = Question("digits", {"image_bytes": texts([seven])}, signature="classify_bytes")
    for client, names in ((triton, ("http", "grpc")), (kserve, ("v2", "grpc"))):
        for name in names:
            outputs = client.ask(defaults, name, question).outputs
            assert _text(outputs["classes"].ravel()[outputs["scores"].argmax()]) == "7"


def test_forecasts(triton: ForeignClient, kserve: ForeignClient, ovmsclient: ForeignClient, defaults: Address) -> None:
    [history] = triton.call(defaults, "http", "get_model_metadata", model_name="sunspots")["inputs"]
    assert (history["name"], history["datatype"]) == ("history", "FP32")
    series = (80 + 60 * np.sin(np.arange(history["shape"][1]) * 2 * np.pi / 11)).astype(np.float32)[np.newaxis]
    question = Question("sunspots", {"history": series})
    reference = triton.ask(defaults, "grpc", question)
    assert reference.outputs["quantiles"].shape == (*reference.outputs["forecast"].shape, 5)
    for name in ("http", "http-aio", "grpc-aio"):
        assert_as(triton.ask(defaults, name, question).outputs, reference.outputs)
    for name in ("v2", "grpc"):
        assert_as(kserve.ask(defaults, name, question).outputs, reference.outputs)
    place = {"model_name": "sunspots", "model_version": reference.version}
    for name in ("grpc", "http"):
        assert_as(ovmsclient.call(defaults, name, "predict", inputs={"history": series}, **place), reference.outputs)


def assert_as(outputs: Any, expected: Any) -> None:
    assert outputs.keys() == expected.keys()
    for name, array in expected.items():
        if array.dtype == object:
            assert [_text(item) for item in outputs[name].ravel()] == [_text(item) for item in array.ravel()]
        else:
            np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-6)


def _text(item: Any) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)
