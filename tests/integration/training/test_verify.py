from pathlib import Path

import pytest

from training.errors import TrainingError
from training.verify import verifier


def test_the_fresh_process_runs_nothing_of_the_current_folder_and_its_last_words_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "was run"
    for name in ("training.py", "tensorflow.py", "numpy.py"):
        (tmp_path / name).write_text(f"open({str(marker)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with verifier() as process, pytest.raises(TrainingError) as failure:
        process.check(tmp_path / "nowhere", {}, scale=1.0)
    assert not marker.exists()
    message = str(failure.value)
    assert "the checking process ended with 1" in message
    assert f"SavedModel file does not exist at: {tmp_path / 'nowhere'}" in message
