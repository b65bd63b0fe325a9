"""Real runs of the training commands, each in its own process, on data small enough for seconds."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from service.backends.savedmodel.loaded import LoadedModel
from service.codecs.drift_reference import decode_reference
from service.core.drift_reference import Reference


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A finished training run."""

    code: int
    output: str
    error: str
    models: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Trainer:
    """Runs `python -m training` in a fresh process."""

    models: Path

    def run(self, *arguments: str) -> Run:
        process = self.start(*arguments)
        output, error = process.communicate()
        return Run(process.returncode, output, error, self.models)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command: Sequence[str] = [sys.executable, "-m", "training", *arguments, "--models", str(self.models)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "120"},
        )


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path / "models")


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A classifier of digits after five passes over the data."""
    return Trainer(tmp_path_factory.mktemp("classifier") / "models").run("classifier", "--epochs", "5")


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file: a year's wave and what drives it, month by month."""
    months = np.arange(150)
    noise = np.random.default_rng(0).normal(size=(2, len(months)))
    driver = np.sin(2 * np.pi * months / 12) + 0.1 * noise[0]
    wave = 50 + 20 * np.roll(driver, 1) + noise[1]
    lines = [
        f"{2000 + month // 12}-{month % 12 + 1:02d}-01,{value:.4f},{cause:.4f}"
        for month, value, cause in zip(months, wave, driver, strict=True)
    ]
    path = tmp_path_factory.mktemp("series") / "Wave of 2000.csv"
    path.write_text("\n".join(["month,wave,driver", *lines]) + "\n")
    return path


@pytest.fixture(scope="session")
def wave(tmp_path_factory: pytest.TempPathFactory, series: Path) -> Run:
    """A forecaster over both columns of the file."""
    return Trainer(tmp_path_factory.mktemp("forecaster") / "models").run(
        "forecaster", "--data", str(series), "--time-column", "month", "--column", "wave", "--column", "driver",
        "--window", "14", "--horizon", "6", "--epochs", "2",
    )  # fmt: skip


def reference_of(version: Path) -> Reference:
    """Reads the drift reference of a version as the server does."""
    data = (version / "assets.extra" / "tensorgate_reference.json").read_bytes()
    return decode_reference(data, LoadedModel(version, threads=1).signatures)
