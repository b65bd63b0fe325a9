"""What training exports loads, and agrees, in the TensorFlow release of the pinned TensorFlow Serving image."""

import io
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.processes import ROOT

SCRIPT = Path(__file__).parent / "run_signature.py"
OTHER = ROOT / ".venv-compat"

Arrays = Mapping[str, Any]


def questions() -> dict[tuple[str, str], Arrays]:
    """Returns inputs for each signature, by model and signature."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, 8, 8, 1))
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image[:, :, 0].astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    return {
        ("digits", "serving_default"): {"images": pixels.astype(np.float32)},
        ("digits", "classify_bytes"): {"image_bytes": np.array(files, object)},
        ("sunspots", "serving_default"): {"history": None},
    }


def versions() -> tuple[str, str]:
    """Returns the release that is pinned here, and the one of the image."""
    pinned = re.search(r"^tensorflow-cpu==(\S+)", (ROOT / "requirements/compat.txt").read_text(), re.MULTILINE)
    image = re.search(r"^TFSERVING_TAG=(\S+)", (ROOT / ".env").read_text(), re.MULTILINE)
    assert pinned
    assert image
    return pinned[1], image[1]


def test_the_release_is_that_of_the_image() -> None:
    pinned, image = versions()
    assert pinned == image


def run(python: Path, model: Path, signature: str, inputs: Path, outputs: Path) -> str:
    command = [str(python), str(SCRIPT), str(model), signature, str(inputs), str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("model", "signature"), questions())
def test_every_signature_agrees(default_models: Path, tmp_path: Path, model: str, signature: str) -> None:
    if not (OTHER / ".done").exists():
        pytest.skip(".venv-compat is missing: make test-compat")
    folder = default_models / model / "1"
    inputs = dict(questions()[model, signature])
    if model == "sunspots":
        window = 1000  # longer than any window: cut below
        inputs["history"] = np.random.default_rng(1).uniform(0, 200, (4, window)).astype(np.float32)
        inputs["history"] = inputs["history"][:, : window_of(folder)]
    np.savez(tmp_path / "inputs.npz", **inputs)
    files = {name: tmp_path / f"{name}.npz" for name in ("here", "there")}
    run(Path(sys.executable), folder, signature, tmp_path / "inputs.npz", files["here"])
    release = run(OTHER / "bin" / "python", folder, signature, tmp_path / "inputs.npz", files["there"])
    assert release == versions()[0]
    with np.load(files["here"], allow_pickle=True) as here, np.load(files["there"], allow_pickle=True) as there:
        assert sorted(here.files) == sorted(there.files)
        for name in here.files:
            if here[name].dtype == object:
                assert here[name].tolist() == there[name].tolist()
            else:
                np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-5)


def window_of(folder: Path) -> int:
    """Returns how many steps of history a forecaster looks at."""
    from service.backends.savedmodel.loaded import LoadedModel

    shape = LoadedModel(folder).signatures["serving_default"].inputs["history"].shape
    assert shape
    assert shape[1]
    return shape[1]
