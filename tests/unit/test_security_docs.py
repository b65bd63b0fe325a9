"""The promises of docs/security.md are shown by tests that there are."""

import re

import pytest

from tests.processes import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and line.count("|") == 5 and not line.startswith(("| ---", "| threat"))
]
BY_OTHERS = "by whatever"
"""How a row begins what another program promises."""


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_promise_names_a_test_that_exists(row: list[str]) -> None:
    _, promised, _, shown_by = row
    named = re.findall(r"`(tests/[\w/]+\.py)`", shown_by)
    assert named or promised.startswith(BY_OTHERS)
    for file in named:
        assert (ROOT / file).is_file(), file
    assert re.sub(r"`tests/[\w/]+\.py`|, ", "", shown_by) == ""


def test_there_are_rows() -> None:
    assert len(ROWS) > 20
