import json
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.manifest import EXTRA, FILE_NAME, read_manifest
from training.options import PublishOptions
from training.pipeline import Judgement, judge

_JUDGEMENT = Judgement("error", 0.2, "guessing", 0.9, "same data", lambda error, tolerance: error + tolerance)


def _published(models: Path, version: int, evaluation: object) -> None:
    extra = models / "model" / str(version) / EXTRA
    extra.mkdir(parents=True)
    (extra / FILE_NAME).write_text(json.dumps({"evaluation": evaluation}))


def _options(models: Path, tolerance: float = 0.01) -> PublishOptions:
    return PublishOptions(models, "model", force=False, tolerance=tolerance)


def test_the_first_version_is_compared_with_the_naive_baseline_only(tmp_path: Path) -> None:
    assert [bar.what for bar in judge(_JUDGEMENT, _options(tmp_path)).bars] == ["guessing"]


def test_the_newest_version_is_compared_when_it_was_measured_on_the_same_data(tmp_path: Path) -> None:
    _published(tmp_path, 1, {"comparison": "same data", "error": 0.5})
    _published(tmp_path, 2, {"comparison": "same data", "error": 0.1})
    verdict = judge(_JUDGEMENT, _options(tmp_path))
    assert [bar.what for bar in verdict.failures] == ["published version 2"]
    assert judge(_JUDGEMENT, _options(tmp_path, tolerance=0.1)).result == "passed"


@pytest.mark.parametrize("evaluation", [{"comparison": "other data", "error": 0.1}, {}])
def test_a_version_measured_on_other_data_is_not_compared(tmp_path: Path, evaluation: object) -> None:
    _published(tmp_path, 1, evaluation)
    assert judge(_JUDGEMENT, _options(tmp_path)).result == "passed"


def test_a_version_that_something_else_wrote_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    assert judge(_JUDGEMENT, _options(tmp_path)).result == "passed"


@pytest.mark.parametrize("content", ["{", "[]", b"\xff"])
def test_a_damaged_manifest_is_reported_with_its_path(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / EXTRA).mkdir()
    path = tmp_path / EXTRA / FILE_NAME
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingError, match=FILE_NAME):
        read_manifest(tmp_path)
