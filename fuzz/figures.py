"""What runs found, and the tables that tell it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Figures:
    """What became of one decoder, or of one way over the network.

    Attributes:
        seconds: That it took.
        memory_before: MB, once some inputs have been read.
        memory_after: MB, after all of them.
        reached: Places of the code that inputs reached, where that is known.
        findings: What is wrong, a text each.
    """

    name: str
    inputs: int = 0
    seconds: float = 0.0
    memory_before: int = 0
    memory_after: int = 0
    reached: int = 0
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        """Adds a later run of the same."""
        self.inputs += other.inputs
        self.seconds += other.seconds
        self.memory_before = min(filter(None, (self.memory_before, other.memory_before)), default=0)
        self.memory_after = max(self.memory_after, other.memory_after)
        self.reached = max(self.reached, other.reached)
        self.findings += other.findings


def save(figures: Sequence[Figures], file: Path) -> None:
    """Writes them, added to those that the file has."""
    known = {each.name: each for each in load(file)}
    for each in figures:
        if each.name in known:
            known[each.name].add(each)
        else:
            known[each.name] = each
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(each) for each in known.values()], indent=1))


def load(file: Path) -> list[Figures]:
    """Returns what was written."""
    return [Figures(**each) for each in json.loads(file.read_text())] if file.exists() else []


def table(figures: Sequence[Figures]) -> str:
    """Returns the figures as a table in Markdown, and their sum."""
    total = Figures("**all**")
    for each in figures:
        total.inputs += each.inputs
        total.seconds += each.seconds
        total.findings += each.findings
    lines = [
        "| what | inputs | s | inputs/s | MB, early | MB, in the end | findings |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in (*figures, total):
        rate = each.inputs / each.seconds if each.seconds else 0
        memory = f"{each.memory_before or ''} | {each.memory_after or ''}"
        lines.append(
            f"| {each.name} | {each.inputs:,} | {each.seconds:,.0f} | {rate:,.0f} | {memory} | {len(each.findings)} |"
        )
    return "\n".join(lines) + "\n"
