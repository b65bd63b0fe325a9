"""Resolves pyproject.toml into the pinned requirement files, all from one resolution.

Needs uv: ``make requirements`` provides it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "3.11"
FILES = {
    "gateway.txt": [],
    "run.txt": ["--extra", "embedded", "--extra", "training"],
    "dev.txt": ["--group", "dev"],
}
EVERYTHING = ["--extra", "embedded", "--extra", "training", "--group", "dev"]


def resolve(output: str, options: list[str], constraints: Path | None) -> str:
    """Returns the pinned requirements; writes them below a line that says how."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"]
    command += [
        "--python-version",
        PYTHON,
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        *options,
    ]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    (HERE / output).write_text("# Resolved from pyproject.toml: make requirements\n" + done.stdout)
    return done.stdout


def main() -> None:
    """Resolves everything once, then each file from that."""
    whole = HERE / ".everything.txt"
    try:
        resolve(whole.name, EVERYTHING, None)
        for output, options in FILES.items():
            resolve(output, options, whole)
    finally:
        whole.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
