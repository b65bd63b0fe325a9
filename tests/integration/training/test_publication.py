import json
import signal
from pathlib import Path

import pytest

from .conftest import Trainer

_HOPELESS = ("forecaster", "--preset", "plain", "--epochs", "1", "--horizon", "1")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_a_bad_model_is_refused_and_force_publishes_it_and_says_so(trainer: Trainer, tmp_path: Path) -> None:
    refused = trainer.run(*_HOPELESS)
    assert refused.code == 3
    assert "not published: mean absolute error over the horizon" in refused.error
    assert "worse than repeating the last value" in refused.error
    assert "Traceback" not in refused.error
    assert not list(tmp_path.iterdir())

    forced = trainer.run(*_HOPELESS, "--force")
    assert forced.code == 0, forced.error
    extra = trainer.models / "sunspots" / "1" / "assets.extra"
    assert "published by force" in (extra / "model_card.md").read_text()
    assert json.loads((extra / "tensorgate.json").read_text())["evaluation"]["gate"] == "forced"


@pytest.mark.parametrize(
    ("number", "stage", "published_before"),
    [(signal.SIGINT, "Training on", True), (signal.SIGTERM, "Reloading", False)],
)
def test_an_interrupted_run_leaves_the_models_folder_as_it_was(
    trainer: Trainer, tmp_path: Path, number: signal.Signals, stage: str, published_before: bool
) -> None:
    if published_before:
        (trainer.models / "sunspots" / "1").mkdir(parents=True)
        (trainer.models / "sunspots" / "1" / "saved_model.pb").write_bytes(b"graph")
    before = _content(tmp_path)
    with trainer.start(*_HOPELESS, "--force") as process:
        assert process.stdout is not None
        assert any(stage in line for line in process.stdout)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: the models folder is as it was" in error
    assert "Traceback" not in error
    assert _content(tmp_path) == before
