"""Resolves pyproject.toml into the pinned requirement files, from one resolution; separate environments by themselves.

Needs uv: ``make requirements`` provides it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "3.11"


def _extras(*names: str) -> list[str]:
    return [part for name in names for part in ("--extra", name)]


FILES = {
    "gateway.txt": ["--extra", "tracing"],
    "run.txt": _extras("embedded", "jwt", "signatures", "tracing", "training"),
    "dev.txt": [*_extras("server", "s3", "oci"), "--group", "dev"],
    "stores.txt": _extras("s3", "gcs", "azure", "oci"),
    "fuzz.txt": ["--extra", "server", "--group", "fuzz"],
}
EVERYTHING = [*FILES["run.txt"], *FILES["dev.txt"], *FILES["stores.txt"], *FILES["fuzz.txt"]]
CLIENTS = ("triton", "kserve", "ovmsclient", "schemathesis", "openapi")
"""Clients that others wrote: each in an environment of its own, which the gateway's requirements do not bind."""
RELEASES = ("2.18", "2.19", "2.20")
"""The releases of the last three images of TensorFlow Serving, in which exported models are tried: likewise."""
PEERS = ("triton", "mlserver", "kserve", "py-spy")
"""What Tensorgate is measured against, and with: likewise."""
FORECASTING = ("statistical", "neural")
"""What forecasts are compared with: likewise."""
ANYWHERE = ["--universal"]
PEERS_PLATFORM = ["--python-platform", "x86_64-manylinux_2_35"]
"""The only one that all of both have wheels for."""


def resolve(output: str, options: list[str], constraints: Path | None, source: str = "pyproject.toml") -> None:
    """Writes the pinned requirements below a line that says how they were made."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--quiet"]
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
        resolve(whole.name, ANYWHERE + EVERYTHING, None)
        for output, options in FILES.items():
            resolve(output, ANYWHERE + options, whole)
        resolve("build.txt", ANYWHERE, None, "requirements/build.in")
        for release in RELEASES:
            # Of one platform: the releases have no wheels for all.
            resolve(f"compat/{release}.txt", ["--python-platform", "linux"], None, f"requirements/compat/{release}.in")
        for client in CLIENTS:
            resolve(f"clients/{client}.txt", ANYWHERE, None, f"requirements/clients/{client}.in")
        for peer in PEERS:
            resolve(f"peers/{peer}.txt", PEERS_PLATFORM, None, f"requirements/peers/{peer}.in")
        for kind in FORECASTING:
            resolve(f"forecasting/{kind}.txt", PEERS_PLATFORM, None, f"requirements/forecasting/{kind}.in")
    finally:
        whole.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
