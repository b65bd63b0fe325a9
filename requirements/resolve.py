"""Resolves pyproject.toml into the pinned requirement files, all from one resolution; and each client by itself.

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
CLIENTS = ("triton", "kserve", "ovmsclient", "schemathesis")
"""Clients that others wrote: each in an environment of its own, which the gateway's requirements do not bind."""


def resolve(output: str, options: list[str], constraints: Path | None, source: str = "pyproject.toml") -> None:
    """Writes the pinned requirements below a line that says how they were made."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--quiet", "--universal"]
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
    (HERE / output).write_text(f"# Resolved from {source}: make requirements\n" + done.stdout)


def main() -> None:
    """Resolves everything once, then each file from that."""
    whole = HERE / ".everything.txt"
    try:
        resolve(whole.name, EVERYTHING, None)
        for output, options in FILES.items():
            resolve(output, options, whole)
        for client in CLIENTS:
            resolve(f"clients/{client}.txt", [], None, f"requirements/clients/{client}.in")
    finally:
        whole.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
