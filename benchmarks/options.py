"""What a run of the benchmark is asked to do."""

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("limits", "tensorgate", "baseline", "peers", "gateway", "json", "loading")
MORE_SECTIONS = ("soak",)
"""Run only when they are named: they take minutes."""
LEAST_ROUNDS = 3
"""Of a report."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes:
        only: The sections to run.
        servers: Words of which one must be in a server's name; none for all servers.
        rounds: How often each server is started and measured.
        seconds: Of each burst.
        baseline: Another checkout, whose server is measured too.
        server_options: More options of `tensorgate serve`.
        peers_call: How peers call the SavedModel: see `peers/bare_model.py`.
        write: Whether docs/benchmarks.md is written.
        again: Whether it is written of the last run's figures.
    """

    only: tuple[str, ...] = SECTIONS
    servers: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 3.0
    baseline: Path | None = None
    server_options: tuple[str, ...] = ()
    peers_call: str = "function"
    write: bool = False
    again: bool = False


def parse(arguments: list[str]) -> Options:
    """Reads the command line."""
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures Tensorgate beside its peers.")
    sections = f"{', '.join(SECTIONS)} (all by default), {', '.join(MORE_SECTIONS)}"
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"sections, with commas: {sections}")
    parser.add_argument("--servers", default="", help="only servers with one of these words in their name")
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="[%(default)s]")
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="of each burst [%(default)s]")
    parser.add_argument("--baseline", type=Path, metavar="DIR", help="another checkout, to be compared with")
    parser.add_argument("--server-options", default="", help="more options of tensorgate serve, as one word")
    parser.add_argument("--peers-call", choices=("function", "session"), default=defaults.peers_call)
    parser.add_argument(
        "--write", action="store_true", help=f"write docs/benchmarks.md; {LEAST_ROUNDS} rounds at least"
    )
    parser.add_argument("--again", action="store_true", help="measure nothing: write it of the last run's figures")
    chosen = parser.parse_args(arguments)
    only, known = _words(chosen.only), (*SECTIONS, *MORE_SECTIONS)
    if unknown := set(only) - set(known):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if chosen.write and chosen.rounds < LEAST_ROUNDS:
        parser.error(f"a report takes at least {LEAST_ROUNDS} rounds")
    if chosen.baseline and not (chosen.baseline / "service" / "__main__.py").exists():
        parser.error(f"no checkout of this project: {chosen.baseline}")
    return Options(
        only=tuple(section for section in known if section in only),
        servers=_words(chosen.servers.lower()),
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        baseline=chosen.baseline.resolve() if chosen.baseline else None,
        server_options=tuple(shlex.split(chosen.server_options)),
        peers_call=chosen.peers_call,
        write=chosen.write or chosen.again,
        again=chosen.again,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
