import io
import json
import shutil
import signal
from pathlib import Path

import pytest
import tensorflow as tf
from rich.console import Console

from training.display import Display
from training.errors import PublicationRefusedError
from training.gate import Judgement, Rival
from training.options import PublishOptions
from training.pipeline import Candidate, publish

from .conftest import Trainer

_HOPELESS = ("forecaster", "--preset", "plain", "--epochs", "1", "--horizon", "1")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_a_bad_model_is_refused_and_force_publishes_it_and_says_so(trainer: Trainer, tmp_path: Path) -> None:
    refused = trainer.run(*_HOPELESS)
    assert refused.code == 3
    assert "not published: mean absolute error over the horizon" in refused.error
    assert "not better than repeating the last value" in refused.error
    assert "Traceback" not in refused.error
    assert not list(tmp_path.iterdir())

    forced = trainer.run(*_HOPELESS, "--force")
    assert forced.code == 0, forced.error
    extra = trainer.models / "sunspots" / "1" / "assets.extra"
    card = (extra / "model_card.md").read_text()
    assert "published by force" in card
    assert "there is no published version to compare it with" in card
    assert "**Warning**: AR(9) is clearly better" in card
    assert json.loads((extra / "tensorgate.json").read_text())["evaluation"]["gate"] == "forced"


@pytest.mark.parametrize(
    ("number", "stage", "published_before", "message"),
    [
        (signal.SIGINT, "Training on", True, "interrupted: the models folder is as it was"),
        (signal.SIGTERM, "Reloading", False, "interrupted: nothing was published; --resume goes on with it"),
    ],
)
def test_an_interrupted_run_publishes_nothing(
    trainer: Trainer, tmp_path: Path, number: signal.Signals, stage: str, published_before: bool, message: str
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
    assert message in error
    assert "Traceback" not in error
    for left in trainer.models.glob(".*.unfinished"):
        shutil.rmtree(left)
    if not published_before and "resume" in message:
        trainer.models.rmdir()
    assert _content(tmp_path) == before


def test_what_another_run_publishes_meanwhile_counts(tmp_path: Path) -> None:
    judgement = Judgement(
        measure="error",
        error=0.2,
        naive="guessing",
        naive_error=0.9,
        others={},
        warnings=(),
        comparison="",
        limit=lambda error, tolerance: error + tolerance,
        rerun=lambda folder, _: Rival(float((folder / "error").read_text()), 0.2),
    )

    def export(folder: Path, _dtype: str) -> None:
        tf.saved_model.save(tf.Module(), str(folder))
        (tmp_path / "model" / "1").mkdir(parents=True)
        (tmp_path / "model" / "1" / "error").write_text("0.1")

    candidate = Candidate(
        kind="generic",
        judgement=judgement,
        facts={},
        methods={},
        cases={},
        scale=1.0,
        reference={},
        about_reference="",
        export=export,
        variables=[],
        report=lambda _folder, _verdict: None,
    )
    options = PublishOptions(tmp_path, "model", force=False, tolerance=0.0)
    with pytest.raises(PublicationRefusedError, match=r"error 0\.2 is worse than published version 1 \(0\.1\)"):
        publish(candidate, options, Display(Console(file=io.StringIO())))
    assert _content(tmp_path).keys() == {"model", "model/1", "model/1/error"}
