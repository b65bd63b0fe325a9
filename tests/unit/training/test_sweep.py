import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("optuna")

from training import cli
from training.checkpoints import checkpoints
from training.display import Display
from training.errors import PublicationRefusedError, TrainingError
from training.forecaster.split import boundaries
from training.manifest import EXTRA, FILE_NAME
from training.options import PublishOptions
from training.progress import Progress, TrialEndedError
from training.sweep import Settings, Sweep


class Trained:
    """Stands for a training whose loss is least at a learning rate of 0.002, and which no window above 20 fits."""

    def __init__(self, usual: float = 0.5) -> None:
        self.asked: list[Settings] = []
        self._usual = usual

    def __call__(self, settings: Settings, progress: Progress) -> None:
        assert progress.trial
        self.asked.append(settings)
        boundaries(63, window=int(settings.get("window", 1)), horizon=5)
        rate = settings.get("learning_rate")
        raise TrialEndedError(self._usual if rate is None else abs(rate - 0.002))


def sweep(trials: int, **changed: Any) -> Sweep:
    return Sweep(
        **{"kind": "forecaster", "trials": trials, "minutes": None, "fixed": frozenset(), "seed": 0, **changed}
    )


def display() -> tuple[Display, io.StringIO]:
    said = io.StringIO()
    return Display(Console(file=said, width=200)), said


def test_the_usual_settings_are_tried_first_and_the_best_are_taken() -> None:
    train = Trained()
    shown, said = display()
    best, found = sweep(8).run(train, Progress(shown))
    assert train.asked[0] == {}
    assert len(train.asked) == len(found["trials"]) == 8
    assert all(3e-4 <= asked["learning_rate"] <= 1e-2 and 5 <= asked["epochs"] <= 40 for asked in train.asked[1:])
    losses = [trial["loss"] for trial in found["trials"]]
    assert None in losses
    least = min(loss for loss in losses if loss is not None)
    assert best == found["best"] == found["trials"][losses.index(least)]["settings"]
    assert "Trials, the best first" in said.getvalue()
    assert "cannot be trained" in said.getvalue()


def test_the_usual_settings_win_when_they_are_best() -> None:
    assert sweep(3).run(Trained(usual=0.0), Progress(display()[0]))[0] == {}


def test_what_is_given_is_not_varied() -> None:
    train = Trained()
    sweep(3, fixed=frozenset({"epochs", "window"})).run(train, Progress(display()[0]))
    assert [set(asked) for asked in train.asked] == [set(), {"learning_rate"}, {"learning_rate"}]


def test_no_trial_begins_after_its_time_but_there_is_one() -> None:
    train = Trained()
    sweep(50, minutes=1e-9).run(train, Progress(display()[0]))
    assert train.asked == [{}]


def test_unusable_data_end_it() -> None:
    def train(_settings: Settings, _progress: Progress) -> None:
        raise TrainingError("the series is too short")

    with pytest.raises(TrainingError, match="too short"):
        sweep(3).run(train, Progress(display()[0]))


@pytest.mark.parametrize(
    "error", [TrainingError("not mounted"), PublicationRefusedError("not published: another window")]
)
def test_what_is_no_matter_of_the_settings_ends_it_at_any_trial(error: TrainingError) -> None:
    train = Trained()

    def failing(settings: Settings, progress: Progress) -> None:
        if len(train.asked) == 2:
            raise error
        train(settings, progress)

    with pytest.raises(type(error), match=str(error)):
        sweep(5).run(failing, Progress(display()[0]))


@pytest.mark.parametrize("change", [False, True])
def test_the_window_of_a_published_model_stays_unless_a_change_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, change: bool
) -> None:
    extra = tmp_path / "wave" / "1" / EXTRA
    extra.mkdir(parents=True)
    (extra / FILE_NAME).write_text(json.dumps({"kind": "forecaster", "input": {"window": 10}}))
    windows = []

    def train(arguments: argparse.Namespace, _options: PublishOptions, progress: Progress) -> None:
        windows.append(arguments.window)
        if progress.trial:
            raise TrialEndedError(1.0)
        raise PublicationRefusedError("that is all")

    monkeypatch.setattr(cli, "_trainer", lambda _family: train)
    parser = argparse.ArgumentParser()
    cli.add_commands(parser)
    command = ["forecaster", "--name", "wave", "--models", str(tmp_path), "--sweep", "4"]
    assert cli.run(parser.parse_args([*command, *["--allow-change"] * change])) == cli.REFUSED
    assert len(windows) == 5
    assert (set(windows) == {10}) != change
    assert ("The window stays 10" in capsys.readouterr().out) != change


def test_a_sweep_is_not_gone_on_with_on_other_data(tmp_path: Path) -> None:
    place = PublishOptions(tmp_path, "wave", force=False, tolerance=0.0)
    train = Trained()

    def reading(data: str, trials: int) -> None:
        def trial(settings: Settings, progress: Progress) -> None:
            progress.check_data(data)
            if len(train.asked) == trials:
                raise KeyboardInterrupt
            train(settings, progress)

        shown = display()[0]
        with checkpoints(place, {}, resume=True, display=shown) as kept:
            sweep(2).run(trial, Progress(shown, kept))

    with pytest.raises(KeyboardInterrupt):
        reading("abc", 1)
    with pytest.raises(TrainingError, match="data was abc, is now def"):
        reading("def", 2)
    reading("abc", 2)
    assert len(train.asked) == 2


def test_a_sweep_that_is_gone_on_with_tries_what_it_would_have_tried(tmp_path: Path) -> None:
    whole = Trained()
    sweep(5).run(whole, Progress(display()[0]))
    place = PublishOptions(tmp_path, "wave", force=False, tolerance=0.0)
    parts = Trained()

    def interrupted(settings: Settings, progress: Progress) -> None:
        if len(parts.asked) == 3:
            raise KeyboardInterrupt
        parts(settings, progress)

    for train, resume in ((interrupted, False), (parts, True)):
        shown = display()[0]
        try:
            with checkpoints(place, {}, resume=resume, display=shown) as kept:
                sweep(5).run(train, Progress(shown, kept))
        except KeyboardInterrupt:
            assert not resume
    assert parts.asked == whole.asked
