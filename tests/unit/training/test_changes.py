import json
from pathlib import Path
from typing import Any

import pytest

from training.changes import check_change, promised_size
from training.errors import PublicationRefusedError
from training.manifest import EXTRA, FILE_NAME
from training.options import PublishOptions

_FORECASTER = {"kind": "forecaster", "input": {"columns": ["a"], "window": 10}, "output": {"horizon": 3}}
_SIZE = {"height": 8, "width": 6, "channels": 1}
_CLASSIFIER = {"kind": "classifier", "input": _SIZE, "output": {"classes": ["a", "b"]}}


def _publish(models: Path, version: int, manifest: dict[str, Any]) -> None:
    extra = models / "model" / str(version) / EXTRA
    extra.mkdir(parents=True)
    (extra / FILE_NAME).write_text(json.dumps(manifest))


def _options(models: Path, *, allow_change: bool = False) -> PublishOptions:
    return PublishOptions(models, "model", force=True, tolerance=0, allow_change=allow_change)


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            _CLASSIFIER,
            _FORECASTER,
            "kind classifier, now forecaster; height 8, now none; width 6, now none; channels 1, now none; "
            "classes a, b, now none",
        ),
        (_CLASSIFIER, {**_CLASSIFIER, "input": {**_SIZE, "height": 9}}, "height 8, now 9"),
        (_CLASSIFIER, {**_CLASSIFIER, "input": {**_SIZE, "channels": 3}}, "channels 1, now 3"),
        (_FORECASTER, {**_FORECASTER, "input": {"columns": ["a", "b"], "window": 10}}, "columns a, now a, b"),
        (_FORECASTER, {**_FORECASTER, "input": {"columns": ["a"], "window": 12}}, "window 10, now 12"),
        (_FORECASTER, {**_FORECASTER, "output": {"horizon": 4}}, "horizon 3, now 4"),
        (_CLASSIFIER, {**_CLASSIFIER, "output": {"classes": ("a", "c")}}, "classes a, b, now a, c"),
    ],
)
def test_a_change_of_what_clients_rely_on_is_refused_unless_it_is_asked_for(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    _publish(tmp_path, 1, now)
    _publish(tmp_path, 2, before)
    with pytest.raises(PublicationRefusedError, match=f"version 2 of 'model' has {message}.*--allow-change"):
        check_change(_options(tmp_path), now)
    check_change(_options(tmp_path, allow_change=True), now)


def test_the_published_size_binds_unless_a_change_is_asked_for(tmp_path: Path) -> None:
    assert promised_size(_options(tmp_path)) is None
    _publish(tmp_path, 1, _CLASSIFIER)
    assert promised_size(_options(tmp_path)) == (8, 6, 1)
    assert promised_size(_options(tmp_path, allow_change=True)) is None
    _publish(tmp_path, 2, _FORECASTER)
    assert promised_size(_options(tmp_path)) is None


def test_nothing_published_nothing_changed_and_nothing_known_pass(tmp_path: Path) -> None:
    check_change(_options(tmp_path), _FORECASTER)
    _publish(tmp_path, 1, _CLASSIFIER)
    check_change(_options(tmp_path), {**_CLASSIFIER, "input": {**_SIZE, "dtype": "uint8"}})
    (tmp_path / "model" / "2").mkdir()
    check_change(_options(tmp_path), _FORECASTER)
