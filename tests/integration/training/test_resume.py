"""A run that is killed, and gone on with, ends as one that was left in peace."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from .conftest import Run, Trainer


def test_a_killed_run_is_gone_on_with_to_the_same_bits(trainer: Trainer, series: Path, wave: Run) -> None:
    def asked(epochs: int) -> list[str]:
        return [
            "forecaster", "--data", str(series), "--time-column", "month", "--column", "wave", "--column", "driver",
            "--window", "14", "--horizon", "6", "--epochs", str(epochs),
        ]  # fmt: skip

    with trainer.start(*asked(2)) as process:
        while not list(trainer.models.glob(".wave-of-2000-*.unfinished/*.npz")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert [path.name[:14] for path in trainer.models.iterdir() if path.suffix == ".unfinished"] == [".wave-of-2000-"]

    refused = trainer.run(*asked(3), "--resume")
    assert refused.code == 2
    assert "--epochs was 2, is now 3" in refused.error

    resumed = trainer.run(*asked(2), "--resume")
    assert resumed.code == 0, resumed.error
    assert "Going on with the run that was interrupted" in resumed.output
    assert [path.name for path in trainer.models.iterdir()] == ["wave-of-2000"]
    found, expected = (_outcome(models / "wave-of-2000" / "1") for models in (trainer.models, wave.models))
    assert found == expected


def _outcome(version: Path) -> tuple[str, dict[str, Any]]:
    extra = version / "assets.extra"
    manifest = json.loads((extra / "tensorgate.json").read_text())
    return manifest["weights_sha256"], json.loads((extra / "metrics.json").read_text())
