"""What a run is asked to do."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FULL_MINUTES = 10.0
"""Of the longest runs, at full length; the others are as much shorter as they are."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes:
        group: What it belongs to.
        only: The names of what is run.
        minutes: Of the longest runs.
        write: Whether the table goes into the document.
    """

    group: str
    only: tuple[str, ...]
    minutes: float = FULL_MINUTES
    write: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """Where one part of a run works, and how long.

    Attributes:
        folder: For its files.
        models: A models folder with the model that it asks.
        share: Of the full length, 0 to 1.
    """

    folder: Path
    models: Path
    share: float = 1.0

    def seconds(self, full: float, *, least: float = 1.0) -> float:
        """Returns how many seconds something takes that takes so many at full length."""
        return max(least, full * self.share)

    def count(self, full: int, *, least: int = 1) -> int:
        """Returns how often something is done that is done so often at full length."""
        return max(least, round(full * self.share))


def parse(arguments: Sequence[str], groups: Mapping[str, Sequence[str]]) -> Options:
    """Reads the command line.

    Args:
        arguments: Of it.
        groups: What there is to run, in groups.
    """
    parser = argparse.ArgumentParser(
        prog="python -m reliability", description="Load and faults: what must hold, and what was measured of it."
    )
    parts = "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items())
    parser.add_argument("group", choices=groups, help="which of them")
    parser.add_argument("--only", default="", metavar="NAMES", help=f"parts of it alone, with commas ({parts})")
    parser.add_argument(
        "--minutes", type=float, default=FULL_MINUTES, help="of the longest runs; others in proportion [%(default)g]"
    )
    parser.add_argument("--write", action="store_true", help="write the table into its document")
    chosen = parser.parse_args(arguments)
    known = groups[chosen.group]
    only = tuple(word.strip() for word in chosen.only.split(",") if word.strip()) or tuple(known)
    if unknown := set(only) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not 0 < chosen.minutes <= FULL_MINUTES:
        parser.error(f"--minutes: expected more than 0 and at most {FULL_MINUTES:g}, not {chosen.minutes:g}")
    return Options(chosen.group, only, minutes=chosen.minutes, write=chosen.write)
