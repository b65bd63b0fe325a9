"""A decoder is attacked in a process of its own, whose last words are its figures."""

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import corpora, figures
from fuzz.decoders import _figures
from fuzz.figures import Figures
from fuzz.options import parse
from tests.processes import ROOT

SAID = """#1000\tpulse  cov: 9 ft: 12 corp: 1/1b exec/s: 1 rss: 50Mb
#9000\tpulse  cov: 9 ft: 19 corp: 1/1b exec/s: 1 rss: 51Mb
stat::number_of_executed_units: 20000
stat::peak_rss_mb:              52
"""


def test_a_process_attacks_until_there_are_as_many_inputs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz.decoder", "grpc-timeout", "--inputs", "500", "--findings", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = _figures("grpc-timeout", done.returncode, done.stderr, 1.0)
    assert (seen.inputs, seen.findings) == (500, [])
    assert seen.memory_after > 0
    assert not list(tmp_path.iterdir())


def test_the_words_of_libfuzzer_are_read() -> None:
    assert _figures("x", 0, SAID, 2.0) == Figures("x", 20000, 2.0, 50, 52, 19, [])
    [finding] = _figures("x", 77, SAID + "ValueError: odd\n", 2.0).findings
    assert finding == "status 77:\nValueError: odd"


def test_figures_of_several_runs_are_added(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "figures.json"
    figures.save([Figures("x", 10, 1.0, 50, 60, 3)], file)
    figures.save([Figures("x", 5, 2.0, 55, 70, 2, ["odd"]), Figures("y", 1, 1.0)], file)
    assert figures.load(file) == [Figures("x", 15, 3.0, 50, 70, 3, ["odd"]), Figures("y", 1, 1.0)]
    assert "| **all** | 16 | 4 | 4 |  |  | 1 |" in figures.table(figures.load(file))


def test_a_corpus_keeps_the_short_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "FOLDER", tmp_path / "corpus")
    folder = tmp_path / "inputs"
    folder.mkdir()
    for number in range(100):
        (folder / str(number)).write_bytes(b"x" * number * 10)
    corpora.keep("one", folder)
    kept = corpora.inputs("one")
    assert sorted(map(len, kept)) == [number * 10 for number in range(64)]
    corpora.unpack("one", tmp_path / "again")
    assert {file.read_bytes() for file in (tmp_path / "again").iterdir()} == set(kept)
    assert corpora.inputs("none") == []


def test_options_say_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--only", "wire"]).only == ("wire",)
    for wrong in (["--only", "nothing"], ["--inputs", "0"]):
        with pytest.raises(SystemExit):
            parse(wrong)
    assert "no such part: nothing" in capsys.readouterr().err
