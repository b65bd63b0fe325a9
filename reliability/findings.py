"""What a run found: each claim with what was measured of it; kept from run to run, so that they fill one table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    Attributes:
        what: Was done.
        claim: What must hold; empty for a figure that is only told.
        measured: In words and figures.
        holds: Whether it did; None where it could not be tried here, and `measured` says why.
    """

    what: str
    claim: str
    measured: str
    holds: bool | None = True


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """Returns those that did not hold."""
    return [finding for finding in findings if finding.holds is False]


def save(file: Path, name: str, findings: Sequence[Finding]) -> None:
    """Puts the findings of one run in place of those that it had before."""
    kept = load(file) | {name: list(findings)}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({each: list(map(asdict, found)) for each, found in kept.items()}, indent=1))


def load(file: Path) -> dict[str, list[Finding]]:
    """Returns the findings of all runs by their names; none where there is no file."""
    if not file.exists():
        return {}
    return {name: [Finding(**each) for each in found] for name, found in json.loads(file.read_text()).items()}
