"""What training exports answers alike in the TensorFlow releases of the last three TensorFlow Serving images."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tests.narrow_models import network, pictures, write
from tests.processes import ROOT
from training.verify import Case, run_signature, verifier
from training.warmup import FILE_NAME

RELEASES = ("2.18", "2.19", "2.20")
MODELS = ("digits", "sunspots")


def pinned(release: str) -> str:
    found = re.search(
        r"^tensorflow-cpu==(\S+)", (ROOT / f"requirements/compat/{release}.txt").read_text(), re.MULTILINE
    )
    assert found
    return found[1]


def test_the_newest_release_is_that_of_the_image() -> None:
    image = re.search(r"^TFSERVING_TAG=(\S+)", (ROOT / ".env").read_text(), re.MULTILINE)
    assert image
    assert image[1] == pinned(RELEASES[-1])
    assert sorted(path.stem for path in (ROOT / "requirements/compat").glob("*.txt")) == sorted(RELEASES)


def questions(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns for each signature the largest batch of its warm-up requests, which are rows of the test part."""
    found: dict[str, dict[str, Any]] = {}
    for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / FILE_NAME)):
        log = PredictionLog.FromString(record.numpy())
        request = getattr(log, log.WhichOneof("log_type")).request
        if log.HasField("predict_log"):
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        else:
            examples = [example.SerializeToString() for example in request.input.example_list.examples]
            inputs = {"inputs": np.array(examples, object)}
        found[request.model_spec.signature_name] = inputs  # the batches grow
    return found


@pytest.fixture(scope="module", params=MODELS)
def exported(request: pytest.FixtureRequest, default_models: Path) -> tuple[Path, dict[str, Case]]:
    """Returns a version, and what its signatures answer in the release that trained it."""
    folder = default_models / request.param / "1"
    model = tf.saved_model.load(str(folder))
    asked = questions(folder)
    assert set(asked) == set(model.signatures)
    return folder, {name: Case(inputs, run_signature(model.signatures[name], inputs)) for name, inputs in asked.items()}


def scale(cases: dict[str, Case]) -> float:
    """Returns the unit of the outputs: of probabilities 1, of forecasts how far they are spread."""
    return max(
        1.0,
        *(
            float(np.std(values))
            for case in cases.values()
            for values in case.outputs.values()
            if values.dtype != object
        ),
    )


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Case]]:
    """Returns a SavedModel whose weights are stored in fewer bits, and what it answers here."""
    folder = tmp_path_factory.mktemp("narrow")
    write(network(), folder, "int8")
    inputs = {"images": pictures(32)}
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return folder, {"serving_default": Case(inputs, run_signature(signature, inputs))}


@pytest.mark.parametrize("release", RELEASES)
def test_weights_in_fewer_bits_agree(narrow: tuple[Path, dict[str, Case]], release: str) -> None:
    check(narrow, release)


@pytest.mark.parametrize("release", RELEASES)
def test_every_signature_agrees(exported: tuple[Path, dict[str, Case]], release: str) -> None:
    check(exported, release)


def check(model: tuple[Path, dict[str, Case]], release: str) -> None:
    """Has a release answer, and compares."""
    environment = ROOT / ".venv-compat" / release
    if not (environment / ".done").exists():
        pytest.skip(f".venv-compat/{release} is missing: make compat")
    folder, cases = model
    with verifier(str(environment / "bin" / "python")) as other:
        other.check(folder, cases, scale=scale(cases))
