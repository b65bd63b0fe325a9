"""What a new user has after ``make run``: the two default models, and a server of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, ServerProcess, server_process

TRAINING_SECONDS = 300


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains both default models; or takes the folder that TENSORGATE_TEST_MODELS names, to save that time."""
    if given := os.environ.get("TENSORGATE_TEST_MODELS"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("models")
    for family in ("classifier", "forecaster"):
        command = [sys.executable, "-m", "service", "train", family, "--models", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TRAINING_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[ServerProcess]:
    with server_process("--models", str(models)) as server:
        assert "Tensorgate serves digits, sunspots" in server.announcement()
        yield server
        assert server.stop() == 0
