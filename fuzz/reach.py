"""``python -m fuzz.reach``: which share of the code's lines the corpora, and some inputs made of them, reach."""

import argparse
import io
import logging
import sys
from collections import defaultdict
from pathlib import Path
from random import Random

import coverage

from fuzz import corpora

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("service/codecs", "service/protocols", "service/core", "service/transport", "service/seam", "pictures")


def main(arguments: list[str]) -> int:
    """Prints a table of the packages, and of their files those that are reached least."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.reach", description="Tells which code inputs reach.")
    parser.add_argument("--inputs", type=int, default=2000, help="made of each decoder's corpus [%(default)s]")
    parser.add_argument("--least", type=int, default=10, help="files to be named [%(default)s]")
    chosen = parser.parse_args(arguments)
    logging.disable()
    sources = [str(_ROOT / package) for package in _PACKAGES]
    measured = coverage.Coverage(data_file=None, source=sources, config_file=False)
    measured.start()
    _attack(chosen.inputs)
    measured.stop()
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    files = []
    for package in _PACKAGES:
        for file in sorted((_ROOT / package).rglob("*.py")):
            _, code, _, missing, _ = measured.analysis2(str(file))
            lines[package][0] += len(code) - len(missing)
            lines[package][1] += len(code)
            files.append((1 - len(missing) / len(code) if code else 1.0, str(file.relative_to(_ROOT))))
    said = io.StringIO()
    said.write("| package | lines reached | of |\n|---|--:|--:|\n")
    for package, (reached, whole) in lines.items():
        said.write(f"| `{package}` | {reached / whole:.0%} | {whole:,} |\n")
    said.writelines(f"{share:.0%} {file}\n" for share, file in sorted(files)[: chosen.least])
    sys.stdout.write(said.getvalue())
    return 0


def _attack(inputs: int) -> None:
    """Attacks each decoder with its corpus and as many inputs more."""
    from fuzz.registry import TARGETS  # noqa: PLC0415 - what is imported before it is measured is not measured
    from fuzz.targets import application  # noqa: PLC0415 - likewise

    random = Random(0)
    for target in TARGETS:
        known = [*target.seeds, *corpora.inputs(target.name)]
        for data in known:
            target.attack(data)
        for _ in range(inputs * target.weight // 8):
            target.attack(target.mutated(random.choice(known), random))
    application.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
