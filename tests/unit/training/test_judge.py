import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from training.display import Display
from training.errors import TrainingError
from training.gate import Judgement, NotComparableError, Rival, Verdict
from training.judge import Judge
from training.manifest import EXTRA, FILE_NAME, read_manifest
from training.options import PublishOptions


def _rerun(folder: Path, manifest: Mapping[str, Any]) -> Rival:
    """A model's error on the new test part is what its graph says."""
    graph = (folder / "saved_model.pb").read_text()
    if graph.startswith("other"):
        raise NotComparableError("it forecasts 'x'")
    return Rival(float(graph), 0.2, manifest.get("on", ""))


_JUDGEMENT = Judgement(
    measure="error",
    error=0.2,
    naive="guessing",
    naive_error=0.9,
    others={"AR(3)": 0.19},
    warnings=("the 80 % interval holds 0 %",),
    comparison="same data",
    limit=lambda error, tolerance: error + tolerance,
    rerun=_rerun,
)


def _published(models: Path, version: int, graph: str, **manifest: object) -> None:
    extra = models / "model" / str(version) / EXTRA
    extra.mkdir(parents=True)
    (extra / FILE_NAME).write_text(json.dumps(manifest))
    (extra.parent / "saved_model.pb").write_text(graph)


def _judge(models: Path, tolerance: float = 0.01, judgement: Judgement = _JUDGEMENT) -> Judge:
    options = PublishOptions(models, "model", force=False, tolerance=tolerance)
    return Judge(judgement, options, Display(Console(file=io.StringIO())))


def _bars(verdict: Verdict) -> list[str]:
    return [bar.what for bar in verdict.bars]


def test_the_first_version_is_compared_with_guessing_alone_and_says_so(tmp_path: Path) -> None:
    verdict = _judge(tmp_path).verdict()
    assert _bars(verdict) == ["guessing"]
    assert verdict.remarks == ("there is no published version to compare it with",)


def test_a_tie_with_guessing_is_refused(tmp_path: Path) -> None:
    judgement = dataclasses.replace(_JUDGEMENT, error=0.9)
    assert _judge(tmp_path, judgement=judgement).verdict().result == "refused"


def test_a_version_is_run_where_the_test_part_has_changed(tmp_path: Path) -> None:
    _published(tmp_path, 1, "0.1", evaluation={"measure": "error", "comparison": "other data", "error": 99.0})
    verdict = _judge(tmp_path).verdict()
    assert [bar.what for bar in verdict.failures] == ["published version 1"]
    assert _judge(tmp_path, tolerance=0.1).verdict().result == "passed"


def test_a_version_measured_on_the_same_data_is_not_run_again(tmp_path: Path) -> None:
    _published(tmp_path, 1, "no number", evaluation={"measure": "error", "comparison": "same data", "error": 0.1})
    assert [bar.what for bar in _judge(tmp_path).verdict().failures] == ["published version 1"]


@pytest.mark.parametrize("evaluation", [{"measure": "accuracy"}, {"error": None}, {"error": "0.1"}, 7])
def test_a_record_of_another_kind_counts_for_nothing(tmp_path: Path, evaluation: Any) -> None:
    record = {"measure": "error", "comparison": "same data", "error": 0.1}
    _published(tmp_path, 1, "0.3", evaluation=record | evaluation if isinstance(evaluation, dict) else evaluation)
    assert _judge(tmp_path).verdict().bars[1].error == 0.3


def test_the_best_version_counts_and_not_the_newest(tmp_path: Path) -> None:
    for version, error in enumerate(("0.4", "0.1", "0.5"), 1):
        _published(tmp_path, version, error)
    verdict = _judge(tmp_path).verdict()
    assert _bars(verdict) == ["guessing", "published version 2"]
    assert verdict.result == "refused"
    assert "of 3 published versions" in verdict.remarks[0]


def test_a_version_compared_on_a_part_says_on_which(tmp_path: Path) -> None:
    _published(tmp_path, 1, "0.4", on="on the first 3 steps")
    assert _bars(_judge(tmp_path).verdict()) == ["guessing", "published version 1 on the first 3 steps"]


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        ("other", "version 1: it forecasts 'x'"),
        ("no number", "version 1: it does not run: could not convert"),
        ("nan", "version 1: its answers are not finite numbers"),
    ],
)
def test_what_cannot_be_compared_is_said_and_why(tmp_path: Path, graph: str, reason: str) -> None:
    _published(tmp_path, 1, graph)
    verdict = _judge(tmp_path).verdict()
    assert _bars(verdict) == ["guessing"]
    [remark] = verdict.remarks
    assert "could be compared with none of the published versions" in remark
    assert reason in remark


def test_new_data_that_cannot_be_read_any_more_are_no_fault_of_a_version(tmp_path: Path) -> None:
    _published(tmp_path, 1, "0.1")

    def rerun(_: Path, __: Mapping[str, Any]) -> Rival:
        raise TrainingError("a.png: could be read before")

    with pytest.raises(TrainingError, match=r"a\.png"):
        _judge(tmp_path, judgement=dataclasses.replace(_JUDGEMENT, rerun=rerun)).verdict()


def test_only_the_newest_are_run(tmp_path: Path) -> None:
    for version in range(1, 13):
        _published(tmp_path, version, "0.1" if version == 1 else "0.4")
    verdict = _judge(tmp_path).verdict()
    assert verdict.result == "passed"
    assert "version 2: only the newest 10 are run; version 1: only" in verdict.remarks[0]


def test_a_version_that_came_meanwhile_is_measured_when_asked_again(tmp_path: Path) -> None:
    for version in range(1, 11):
        _published(tmp_path, version, "0.4")
    judge = _judge(tmp_path)
    assert judge.verdict().result == "passed"
    _published(tmp_path, 11, "0.1")
    assert judge.verdict().result == "refused"


def test_what_refuses_nothing_is_a_warning(tmp_path: Path) -> None:
    judgement = dataclasses.replace(_JUDGEMENT, others={"AR(3)": 0.19, "AR(9)": 0.17})
    warnings = _judge(tmp_path, judgement=judgement).verdict().warnings
    assert warnings == ("the 80 % interval holds 0 %", "AR(9) is clearly better: error 0.17, against 0.2")


@pytest.mark.parametrize("content", ["{", "[]", b"\xff"])
def test_a_damaged_manifest_is_reported_with_its_path(tmp_path: Path, content: str | bytes) -> None:
    folder = tmp_path / "model" / "1"
    path = folder / EXTRA / FILE_NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingError, match=FILE_NAME):
        read_manifest(folder)
    assert FILE_NAME in _judge(tmp_path).verdict().remarks[0]
