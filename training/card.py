"""The pieces of a model card that every family writes alike, in Markdown."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.gate import Verdict


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column left- and the others right-aligned."""
    rule = [":---", *["---:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rule, *rows))


def notes(found: Sequence[str]) -> str:
    """What was found out and decided while the data were read, as a list; empty for nothing."""
    return "".join(f"\n- {note}." for note in found) + "\n" if found else ""


def gate_section(verdict: Verdict) -> str:
    """What the quality gate found and warns of, and, when it was overruled, that it was."""
    lines = [f"- {sentence}." for sentence in (*verdict.sentences(), *verdict.remarks)]
    lines += [f"- **Warning**: {sentence}." for sentence in verdict.warnings]
    if verdict.result == "forced":
        lines.insert(0, "**The quality gate refused this model; it was published by force (`--force`).**\n")
    else:
        lines.insert(0, "Passed.\n")
    return "\n".join(lines)


def finite(history: Mapping[str, Sequence[float]]) -> dict[str, list[float | None]]:
    """A training's figures per epoch as JSON has them: None for those of epochs that diverged."""
    return {name: [value if math.isfinite(value) else None for value in values] for name, values in history.items()}


def write_report(folder: Path, card: str, metrics: Mapping[str, Any]) -> None:
    """Writes `model_card.md` and `metrics.json`."""
    (folder / "model_card.md").write_text(card.strip() + "\n", encoding="utf-8")
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
