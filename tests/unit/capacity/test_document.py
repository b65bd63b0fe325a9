"""docs/scaling.md: its commands are ones that there are, and its tables those of what was measured."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks import tables
from capacity import options, report
from capacity.measured import PUBLISHED, Measured
from tests.processes import ROOT

TEXT = report.DOCUMENT.read_text()
COMMANDS = re.findall(r"python -m capacity ([^\n`]+)", TEXT)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_its_commands_can_be_given(command: str) -> None:
    words = shlex.split(command)
    if "--help" in words:
        with pytest.raises(SystemExit) as ended:
            options.parse(words)
        assert ended.value.code == 0
    elif len(words) > 1:
        options.parse(words)


def test_it_names_commands_of_both_kinds() -> None:
    assert {shlex.split(command)[0] for command in COMMANDS} == {"plan", "runs"}


def test_its_targets_of_make_exist_and_take_their_options() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "\ncapacity:" in makefile
    for given in re.findall(r'CAPACITY_ARGS="?([^"`]+)"?', TEXT):
        options.parse(["measure", *shlex.split(given)])


def test_its_tables_are_of_what_was_measured() -> None:
    measured = Measured.load(PUBLISHED)
    for made in (report.costs, report.full, report.idle, report.plans):
        assert tables.as_markdown(made(measured)) in TEXT, made.__name__
    assert tables.as_markdown(report.pools()) in TEXT


def test_what_was_measured_at_different_times_is_told_apart() -> None:
    first, second = {"machine": "A", "date": "then"}, {"machine": "A", "date": "now"}
    together = report.about(Measured(about={"costs": first, "idle": dict(first)}))
    assert together == [["", ""], ["machine", "A"], ["date", "then"]]
    apart = report.about(Measured(about={"costs": first, "full": first, "idle": second}))
    assert ["date (costs, full)", "then"] in apart
    assert ["date (idle)", "now"] in apart


def test_tables_are_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "scaling.md"
    document.write_text(TEXT)
    monkeypatch.setattr(report, "DOCUMENT", document)
    monkeypatch.setattr(report, "_REQUESTS", 50)
    report.write(Measured.load(PUBLISHED))
    written = document.read_text()
    assert written.count("<!-- figures: make capacity, ") == written.count("<!-- end of figures -->") == 8
    marks = re.compile(r"(<!-- figures: .*? -->).*?<!-- end of figures -->", re.DOTALL)
    assert marks.sub(r"\1", written) == marks.sub(r"\1", TEXT)
