"""Attacks one decoder in a process of its own: ``python -m fuzz.decoder NAME``; what libFuzzer says is the outcome.

Where atheris is installed, inputs that reach new code are kept and changed further. Without it, valid inputs are
changed, and nothing is learnt of what becomes of them.
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING

try:
    import atheris
except ImportError:  # pragma: no cover - the environment of the tests has none
    atheris = None

if TYPE_CHECKING:
    from fuzz.target import Target

MAX_BYTES = 4096
"""Of an input: most of what a decoder does happens within that, and the longer they are, the fewer are tried."""
_BACKSTOP = 30
"""Times the limit, by the clock on the wall: for what waits for ever, and takes no time of a processor's."""
_SHARE_OF_STRUCTURE = 0.6
"""Of the changes that know a format; the others are libFuzzer's, which know what code compares bytes with."""


def main(arguments: list[str]) -> int:
    """Attacks until there are as many inputs, or as many seconds are over, or there is a finding."""
    chosen = _parse(arguments)
    logging.disable()  # what is wrong with an input is logged here and there; it would be a log of millions of lines
    targets = _targets()
    target = targets.by_name()[chosen.name]
    if atheris is not None:
        _guided(target, chosen)
    return _unguided(target, chosen)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.decoder", description="Attacks one decoder.")
    parser.add_argument("name", help="of the target")
    parser.add_argument("--inputs", type=int, default=10_000, help="[%(default)s]")
    parser.add_argument("--seconds", type=int, default=60, help="that it may take in all [%(default)s]")
    parser.add_argument("--limit", type=int, default=5, help="seconds that one input may take [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="0 for another one each time")
    parser.add_argument("--corpus", type=Path, help="a folder of inputs, to which those that reach new code are added")
    parser.add_argument("--findings", type=Path, default=Path(), help="where an input is left that is a finding")
    return parser.parse_args(arguments)


def _targets() -> ModuleType:
    """Imports all targets, their code such that it tells where it has been."""
    if atheris is None:
        from fuzz import registry  # noqa: PLC0415
    else:
        with atheris.instrument_imports(include=["service", "pictures"], enable_loader_override=False):
            from fuzz import registry  # noqa: PLC0415
    return registry


def _guided(target: "Target", chosen: argparse.Namespace) -> None:
    """Does not return: libFuzzer ends the process."""

    def one(data: bytes) -> None:
        _within(chosen.limit, target, data)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        knows = random.random() < _SHARE_OF_STRUCTURE
        changed: bytes = target.mutated(bytes(data), random) if knows else atheris.Mutate(data, most)
        return changed[:most]

    with tempfile.TemporaryDirectory(prefix="tensorgate-fuzz-") as seeds:
        for number, seed in enumerate(target.seeds):
            (Path(seeds) / str(number)).write_bytes(seed)
        options = [
            f"-runs={chosen.inputs}",
            f"-max_total_time={chosen.seconds}",
            f"-timeout={_BACKSTOP * chosen.limit}",
            f"-seed={chosen.seed}",
            f"-max_len={MAX_BYTES}",
            f"-artifact_prefix={chosen.findings}/{target.name}-",
            "-rss_limit_mb=2048",
            "-len_control=0",
            "-print_final_stats=1",
        ]
        folders = [str(folder) for folder in (chosen.corpus, seeds) if folder is not None]
        atheris.Setup([sys.argv[0], *options, *folders], one, custom_mutator=mutated)
        atheris.Fuzz()


def _within(limit: int, target: "Target", data: bytes) -> None:
    """Attacks; an input that takes longer is a finding. By the processor's clock: machines have other things to do."""
    begun = time.process_time()
    target.attack(data)
    if (took := time.process_time() - begun) > limit:
        raise TimeoutError(f"an input of {len(data)} bytes took {took:.1f} s")


def _unguided(target: "Target", chosen: argparse.Namespace) -> int:
    random, begun, done = Random(chosen.seed or None), time.monotonic(), 0
    while done < chosen.inputs and time.monotonic() - begun < chosen.seconds:
        data = random.choice(target.seeds)
        for _ in range(random.choice((0, 1, 1, 2))):
            data = target.mutated(data, random)[:MAX_BYTES]
        done += 1
        try:
            _within(chosen.limit, target, data)
        except Exception:
            (chosen.findings / f"{target.name}-crash").write_bytes(data)
            raise
    print(f"stat::number_of_executed_units: {done}", file=sys.stderr)  # noqa: T201 - as libFuzzer has it
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"stat::peak_rss_mb: {megabytes}", file=sys.stderr)  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
