"""A run is not gone on with on files that are others than those it began with."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from training.checkpoints import checkpoints
from training.classifier import train as training
from training.display import Display
from training.errors import PlaceError, TrainingError
from training.options import ClassifierOptions, PublishOptions
from training.progress import Progress


def _write_pictures(folder: Path, *, compression: int) -> None:
    """Ten pictures of each of two classes; the compression loses nothing."""
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png", compress_level=compression)


def _nothing(_folder: Path) -> None:
    pass


def _rewrite_pictures(folder: Path) -> None:
    _write_pictures(folder / "pets", compression=0)


def _change_weights(folder: Path) -> None:
    (folder / "mobilenetv2.h5").write_bytes(b"others")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_nothing, "disk full"),
        (_rewrite_pictures, "interrupted run of 'pets' was another one: data was"),
        (_change_weights, "interrupted run of 'pets' was another one: content of --weights was"),
    ],
)
def test_rewritten_pictures_and_other_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], message: str
) -> None:
    _write_pictures(tmp_path / "pets", compression=9)
    weights = tmp_path / "mobilenetv2.h5"
    weights.write_bytes(b"weights")
    options = ClassifierOptions(str(tmp_path / "pets"), seed=0, split_seed=0, epochs=1, weights=str(weights))
    place = PublishOptions(tmp_path / "models", "pets", force=False, tolerance=0.0)

    def failing(*_: object, progress: Progress, **__: object) -> NoReturn:
        assert progress.checkpoints is not None
        progress.checkpoints.save("training", {}, {})
        raise PlaceError("disk full")

    def run(*, resume: bool) -> None:
        display = Display(Console(file=io.StringIO()))
        with checkpoints(place, {}, resume=resume, display=display) as kept:
            training.train(options, place, Progress(display, kept))

    monkeypatch.setattr(training, "fit", failing)
    with pytest.raises(PlaceError):
        run(resume=False)
    change(tmp_path)
    with pytest.raises(TrainingError, match=message):
        run(resume=True)
