import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from training.checkpoints import Checkpoints, checkpoints
from training.display import Display
from training.errors import ChangeRefusedError, PlaceError, PublicationRefusedError, TrainingError
from training.options import PublishOptions

ASKED = {"--epochs": 5, "--data": "wave.csv", "tensorflow": "2.21.0"}


class Opened:
    """Opens checkpoints in one folder; `said` is what it showed."""

    def __init__(self, models: Path) -> None:
        self.place = PublishOptions(models, "wave", force=False, tolerance=0.0)
        self._said = io.StringIO()

    def __call__(self, *, resume: bool = False, **changed: object) -> contextlib.AbstractContextManager[Checkpoints]:
        display = Display(Console(file=self._said, width=300))
        return checkpoints(self.place, {**ASKED, **changed}, resume=resume, display=display)

    @property
    def said(self) -> str:
        return self._said.getvalue()


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "models")


def interrupted(opened: Opened, epochs: int = 3) -> None:
    with pytest.raises(KeyboardInterrupt, match="--resume goes on with it"):
        run_into(opened, KeyboardInterrupt(), epochs)


def run_into(opened: Opened, error: BaseException, epochs: int = 3) -> None:
    with opened() as kept:
        kept.check_data("abc")
        kept.save("training", {"epochs": epochs}, {"weights": np.arange(4)})
        raise error


def test_an_interrupted_run_is_gone_on_with(opened: Opened) -> None:
    interrupted(opened)
    with opened(resume=True) as kept:
        kept.check_data("abc")
        saved = kept.load("training")
        assert saved is not None
        assert saved[0] == {"epochs": 3}
        assert saved[1]["weights"].tolist() == [0, 1, 2, 3]
        assert kept.load("another phase") is None
    assert "Going on with" in opened.said
    assert not list(opened.place.models.iterdir())


@pytest.mark.parametrize("resume", [False, True])
def test_without_one_a_run_starts_from_the_beginning(opened: Opened, *, resume: bool) -> None:
    with opened(resume=resume) as kept:
        assert kept.load("training") is None
    assert ("no interrupted run of wave: starting from the beginning" in opened.said) == resume
    assert not opened.place.models.exists()


def test_a_run_that_does_not_go_on_removes_it_and_says_so(opened: Opened) -> None:
    interrupted(opened)
    with opened() as kept:
        assert kept.load("training") is None
        assert not list(opened.place.models.glob(".wave-*"))
    assert "--resume would have gone on with it" in opened.said


def test_other_options_and_releases_are_refused_by_name_and_harm_nothing(opened: Opened) -> None:
    interrupted(opened)
    changed = {"--epochs": 6, "tensorflow": "2.22.0"}
    message = r"--epochs was 5, is now 6; tensorflow was 2\.21\.0, is now 2\.22\.0"
    with pytest.raises(TrainingError, match=message), opened(resume=True, **changed):
        pass
    with opened(resume=True) as kept:
        assert kept.load("training") is not None


def test_other_data_are_refused(opened: Opened) -> None:
    interrupted(opened)
    with pytest.raises(TrainingError, match="data was abc, is now def"), opened(resume=True) as kept:
        kept.check_data("def")
    with opened(resume=True) as kept:
        kept.check_data("abc")
        assert kept.load("training") is not None


def test_data_that_were_read_late_are_compared_from_then_on(opened: Opened) -> None:
    with contextlib.suppress(KeyboardInterrupt), opened() as kept:
        kept.save("training", {"epochs": 1}, {})
        raise KeyboardInterrupt
    with contextlib.suppress(KeyboardInterrupt), opened(resume=True) as kept:
        kept.check_data("abc")
        kept.check_data("ghi", "content of --weights")
        raise KeyboardInterrupt
    with opened(resume=True) as kept:
        with pytest.raises(TrainingError, match="content of --weights was ghi, is now jkl"):
            kept.check_data("jkl", "content of --weights")
        with pytest.raises(TrainingError, match="data was abc, is now def"):
            kept.check_data("def")


def test_a_living_run_keeps_what_it_has(opened: Opened) -> None:
    with opened() as first:
        first.save("training", {"epochs": 1}, {})
        with opened(resume=True) as second:
            assert second.load("training") is None
        assert first.load("training") is not None


def test_another_name_is_another_run(opened: Opened, tmp_path: Path) -> None:
    interrupted(opened)
    other = Opened(tmp_path / "models")
    other.place = PublishOptions(tmp_path / "models", "wave-2", force=False, tolerance=0.0)
    interrupted(other)
    assert len(list((tmp_path / "models").glob(".*.unfinished"))) == 2


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (PublicationRefusedError("worse"), False),
        (ChangeRefusedError("another window"), True),
        (TrainingError("not mounted"), True),
        (PlaceError("full"), True),
        (MemoryError(), True),
    ],
)
def test_what_can_be_tried_again_stays(opened: Opened, error: Exception, *, stays: bool) -> None:
    with pytest.raises(type(error)):
        run_into(opened, error)
    assert bool(list(opened.place.models.glob(".wave-*"))) == stays


def test_a_damaged_file_is_named(opened: Opened) -> None:
    interrupted(opened)
    [file] = opened.place.models.glob("*/training.npz")
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(TrainingError, match=r"training\.npz: cannot be read"), opened(resume=True) as kept:
        kept.load("training")
