"""Pictures of a folder keep the size of the published version, whose clients send pixels of it."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from training.classifier.data import load
from training.classifier.split import split
from training.classifier.train import Prepared, _files, _mean_and_deviation, prepare
from training.display import Display
from training.manifest import EXTRA, FILE_NAME
from training.options import ClassifierOptions, PublishOptions


def _add(folder: Path, count: int, *, side: int, mode: str = "L") -> None:
    random = np.random.default_rng(side)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.integers(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{side}-{number}.png")


@pytest.fixture
def published(tmp_path: Path) -> PublishOptions:
    """A version for grey pictures of 8x8 pixels."""
    extra = tmp_path / "models" / "pets" / "1" / EXTRA
    extra.mkdir(parents=True)
    size = {"height": 8, "width": 8, "channels": 1}
    (extra / FILE_NAME).write_text(json.dumps({"kind": "classifier", "input": size}))
    return PublishOptions(tmp_path / "models", "pets", force=False, tolerance=0.0)


def _prepared(folder: Path, place: PublishOptions) -> Prepared:
    options = ClassifierOptions(str(folder), seed=0, split_seed=0, epochs=1)
    return prepare(options, place, Display(Console(file=io.StringIO())))


def test_a_folder_that_has_grown_keeps_the_published_size(tmp_path: Path, published: PublishOptions) -> None:
    _add(tmp_path / "pets", 5, side=8)
    found = _prepared(tmp_path / "pets", published).data
    assert (found.images.shape, found.notes) == ((10, 8, 8, 1), ())
    _add(tmp_path / "pets", 9, side=10, mode="RGB")
    found = _prepared(tmp_path / "pets", published).data
    assert found.images.shape == (28, 8, 8, 1)
    told = "the images are 8x8 pixels, grey, those of the published version; they would be 10x10 pixels, in colour else"
    assert told in found.notes
    changed = _prepared(tmp_path / "pets", dataclasses.replace(published, allow_change=True)).data
    assert (changed.images.shape, changed.notes) == ((28, 10, 10, 3), ())


def test_a_published_version_is_examined_on_the_files_themselves(tmp_path: Path, published: PublishOptions) -> None:
    _add(tmp_path / "pets", 10, side=32)
    found = _prepared(tmp_path / "pets", published)
    test = found.parts.test
    files = _files(tmp_path / "pets", found.data, test, np.array([b"shrunk"] * len(test), object))
    rows = np.array([3, 1])
    names = [tmp_path / "pets" / found.data.files[row] for row in test.rows[rows]]
    assert files(rows) == [name.read_bytes() for name in names]


def test_what_came_from_no_files_is_asked_as_it_is() -> None:
    data = load("digits")
    test = split(data, 0).test
    shrunk = np.array([f"{row}".encode() for row in range(len(test))], object)
    assert _files(Path("digits"), data, test, shrunk)(np.array([2, 0])) == [b"2", b"0"]


def test_mean_and_deviation_are_those_of_all_values() -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (50, 4, 5, 3), np.uint8)
    assert _mean_and_deviation(pixels) == pytest.approx((pixels.mean(), pixels.std()))
    assert _mean_and_deviation(np.full((2, 3, 3, 1), 7, np.uint8)) == (7.0, 0.0)
