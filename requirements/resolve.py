"""Resolves pyproject.toml into the pinned requirement files, those of the project all from one resolution.

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
ALONE = {"schemathesis.txt": ["--group", "schemathesis"]}
"""Environments without the project itself: nothing of theirs need fit what it runs on."""
PROJECT = "pyproject.toml"


def resolve(output: str, options: list[str], constraints: Path | None) -> str:
    """Returns the pinned requirements; writes them below a line that says how."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
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
    """Resolves everything once, then each file from that; what stands alone by itself."""
    whole = HERE / ".everything.txt"
    try:
        resolve(whole.name, [PROJECT, *EVERYTHING], None)
        for output, options in FILES.items():
            resolve(output, [PROJECT, *options], whole)
    finally:
        whole.unlink(missing_ok=True)
    for output, options in ALONE.items():
        resolve(output, options, None)


if __name__ == "__main__":
    main()
