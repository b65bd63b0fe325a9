"""What a run is asked to do."""

import argparse
from dataclasses import dataclass
from pathlib import Path

PARTS = ("decoders", "wire")


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes:
        only: The parts to run.
        targets: Words of which one must be in a decoder's name; none for all decoders.
        inputs: Of all decoders together.
        wire_inputs: Over the network, to both servers together.
        seconds: That the run may take in all.
        limit: Seconds that one input may take.
        seed: Of what is made up; 0 for another one each time.
        keep: Whether inputs that reach new code are added to the corpora of the repository.
        output: The folder of findings and figures.
        report: Whether nothing is attacked, and the figures of all runs so far are told.
    """

    only: tuple[str, ...]
    targets: tuple[str, ...]
    inputs: int
    wire_inputs: int
    seconds: int
    limit: int
    seed: int
    keep: bool
    output: Path
    report: bool = False


def parse(arguments: list[str]) -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Attacks this server by inputs made up.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas: {', '.join(PARTS)} [both]")
    parser.add_argument("--targets", default="", help="only decoders with one of these words in their name")
    parser.add_argument("--inputs", type=int, default=500_000, help="of all decoders together [%(default)s]")
    parser.add_argument("--wire-inputs", type=int, default=50_000, help="over the network [%(default)s]")
    parser.add_argument("--seconds", type=int, default=300, help="that all of it may take [%(default)s]")
    parser.add_argument("--limit", type=int, default=10, help="seconds that one input may take [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of what is made up; 0 for another one each time")
    parser.add_argument("--keep", action="store_true", help="add inputs that reach new code to fuzz/corpus")
    parser.add_argument(
        "--output", type=Path, default=Path("build/fuzz"), help="for findings and figures [%(default)s]"
    )
    parser.add_argument("--report", action="store_true", help="attack nothing: tell the figures of all runs so far")
    chosen = parser.parse_args(arguments)
    only = _words(chosen.only)
    if unknown := set(only) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if min(chosen.inputs, chosen.wire_inputs, chosen.seconds, chosen.limit) < 1:
        parser.error("numbers of inputs and of seconds are from 1 on")
    return Options(
        only=tuple(part for part in PARTS if part in only),
        targets=_words(chosen.targets),
        inputs=chosen.inputs,
        wire_inputs=chosen.wire_inputs,
        seconds=chosen.seconds,
        limit=chosen.limit,
        seed=chosen.seed,
        keep=chosen.keep,
        output=chosen.output,
        report=chosen.report,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
