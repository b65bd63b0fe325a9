"""What a run of the benchmark is asked to do."""

import argparse
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("limits", "tensorgate", "peers", "gateway", "open-loop", "streaming", "models", "growth")
MORE_SECTIONS = ("soak",)
"""Run only when they are named: they take minutes."""
_COMPARED = ("limits", "tensorgate", "peers", "gateway")


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes:
        only: The sections to run.
        servers: Words of which one must be in a server's name; none for all servers.
        rounds: How often each server is started and measured.
        seconds: Of each burst, about.
        concurrencies: Requests at a time.
        peers_call: How peers call the SavedModel: see `peers/bare_model.py`.
        models: Folder of the two default models.
        write: Whether docs/benchmarks.md and its plots are written.
    """

    only: tuple[str, ...] = SECTIONS
    servers: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 2.0
    concurrencies: tuple[int, ...] = (1, 8, 64)
    peers_call: str = "function"
    models: Path = Path("models")
    write: bool = True

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return set(self.only) >= set(SECTIONS)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of servers that are compared in rounds."""
        return tuple(section for section in _COMPARED if section in self.only)


def parse(arguments: list[str]) -> Options:
    """Reads the command line."""
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures Tensorgate beside its peers.")
    parser.add_argument(
        "--only",
        default=",".join(SECTIONS),
        help=f"sections, comma-separated: {', '.join(SECTIONS)} (all by default), {', '.join(MORE_SECTIONS)}; peers "
        "brings limits and tensorgate with it; with this, nothing is written",
    )
    parser.add_argument("--servers", default="", help="only servers with one of these words in their name")
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="[%(default)s]")
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="of each burst [%(default)s]")
    parser.add_argument("--concurrencies", default="1,8,64", help="[%(default)s]")
    parser.add_argument("--peers-call", choices=("function", "session"), default=defaults.peers_call)
    parser.add_argument("--models", type=Path, default=defaults.models, help="the default models [%(default)s]")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/benchmarks.md even so, with what was kept of other sections; --only '' only does that",
    )
    chosen = parser.parse_args(arguments)
    only = _words(chosen.only)
    known = (*SECTIONS, *MORE_SECTIONS)
    if unknown := set(only) - set(known):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if "peers" in only:
        only += ("limits", "tensorgate")
    return Options(
        only=tuple(section for section in known if section in only),
        servers=_words(chosen.servers.lower()),
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        concurrencies=tuple(int(word) for word in _words(chosen.concurrencies)),
        peers_call=chosen.peers_call,
        models=chosen.models,
        write=chosen.write or (set(only) >= set(SECTIONS) and not chosen.servers),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
