"""The table of findings: for the terminal, and for a document between two marks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reliability.findings import Finding

BEGIN, END = "<!-- figures: make faults, make soak -->", "<!-- end of figures -->"
_HOLDS = {True: "yes", False: "**no**", None: "not tried"}


def as_markdown(found: Mapping[str, Sequence[Finding]], order: Sequence[str]) -> str:
    """Returns the table, the runs in that order."""
    rows = [["what", "must hold", "measured", "holds"], ["---"] * 4]
    for name in order:
        rows += [
            [finding.what, finding.claim, finding.measured, _HOLDS[finding.holds]] for finding in found.get(name, ())
        ]
    return "".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |\n" for row in rows)


def write(document: Path, table: str, begin_mark: str = BEGIN) -> None:
    """Puts the table between the marks of a document.

    Args:
        document: In which the marks are lines of their own.
        table: As `as_markdown` makes it.
        begin_mark: The first of the marks; `END` is the other.

    Raises:
        ValueError: When it has not both.
    """
    before, begin, rest = document.read_text().partition(begin_mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document}: expected the lines {begin_mark!r} and {END!r}")
    document.write_text(f"{before}{begin_mark}\n\n{table}\n{END}{after}")
