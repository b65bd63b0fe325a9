"""The machine and the versions, for the report; and what a run needs of the machine."""

import datetime
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import standin
from benchmarks.options import SECTIONS, Options
from benchmarks.processes import ROOT
from benchmarks.servers import PEERS

_PEER_PACKAGES = {"triton": "nvidia-pytriton"}
_PACKAGES = ("tensorflow", "grpcio", "h2corn", "uvicorn", "uvloop", "numpy")


def about(options: Options) -> dict[str, str]:
    """Returns how and where a run was measured, for the report."""
    flags = [f"--only {','.join(options.only)}"] if options.only != SECTIONS else []
    flags += [f"--servers {','.join(options.servers)}"] if options.servers else []
    flags += [f"--baseline DIR ({_commit(options.baseline)})"] if options.baseline else []
    flags += [f"--server-options '{' '.join(options.server_options)}'"] if options.server_options else []
    return {
        "machine": machine(),
        "versions": listed(versions() | _peers()),
        "the backend": standin.describe(),
        "date": now(),
        "command": " ".join(["`make bench`", *flags]),
        "rounds": str(options.rounds),
        "seconds": f"{options.seconds:g}",
        "peers call": options.peers_call,
    }


def missing() -> tuple[list[str], list[str]]:
    """Returns what a run cannot do without and what it lacks figures without, as sentences."""
    needed, wished = [], []
    if not (shutil.which("cc") or shutil.which("gcc")) or not Path("/usr/include/nghttp2/nghttp2.h").exists():
        needed.append("the load generator is compiled: apt-get install gcc libc6-dev libnghttp2-dev")
    if shutil.which("h2load") is None:
        wished.append("h2load cross-checks the load generator: apt-get install nghttp2-client")
    if not any(Path("/usr/lib").glob("*/libpython3.11.so.1.0")):
        wished.append("PyTriton needs Debian's own Python: apt-get install python3.11-venv libpython3.11")
    if sentence := standin.missing():
        wished.append(sentence)
    return needed, wished


def machine() -> str:
    """Returns what is measured on."""
    processor = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    name = processor[1] if processor else platform.machine()
    gigabytes = f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?"
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{name}, {os.cpu_count()} cores, {gigabytes}, {system}, Linux {platform.release()}"


def now() -> str:
    """Returns the date and the time."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def versions() -> dict[str, str]:
    """Returns what is measured, and what it stands on."""
    found = {"Tensorgate": f"{_version('tensorgate')} ({_commit(ROOT)})", "Python": platform.python_version()}
    return found | {name: _version(name) for name in _PACKAGES}


def listed(found: Mapping[str, str]) -> str:
    """Returns versions as a line."""
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _peers() -> dict[str, str]:
    found = {name: _pinned(key) for key, name in PEERS.items()}
    return found | {"h2load": _output("h2load", "--version").rpartition("/")[2]}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not there)"


def _commit(checkout: Path) -> str:
    return _output("git", "-C", str(checkout), "rev-parse", "--short", "HEAD")


def _pinned(peer: str) -> str:
    package = _PEER_PACKAGES.get(peer, peer)
    file = ROOT / "requirements" / "peers" / f"{peer}.txt"
    found = re.search(rf"^{package}==(\S+)", file.read_text(), re.MULTILINE)
    return found[1] if found else "?"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    except OSError:
        return "?"
    return (done.stdout + done.stderr).strip()
