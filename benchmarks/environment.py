"""The machine and the versions, for the report."""

import datetime
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks import nginx
from benchmarks.processes import ROOT
from benchmarks.servers import PEERS

_PEER_PACKAGES = {"triton": "nvidia-pytriton"}


def machine() -> str:
    """Returns a line on the processor, the memory and the system."""
    processor = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    name = processor[1] if processor else platform.machine()
    gigabytes = f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?"
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{name}, {os.cpu_count()} cores, {gigabytes}, {system}, Linux {platform.release()}"


def versions() -> dict[str, str]:
    """Returns the version of everything that had a part in the figures."""
    found = {
        "Tensorgate": f"{version('tensorgate')} ({_output('git', 'rev-parse', '--short', 'HEAD')})",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "grpcio", "uvicorn", "uvloop", "numpy")},
    }
    for key, name in PEERS.items():
        found[name] = _pinned(key)
    found["h2load"] = _output("h2load", "--version").rpartition("/")[2]
    if program := nginx.find():
        found["nginx"] = _output(program, "-v").rpartition("/")[2]
    return found


def peers_python() -> str:
    """Returns which Python the peers run on: the distribution's, where there is one, as PyTriton needs it."""
    return _output(str(ROOT / ".venv-peers" / "triton" / "bin" / "python"), "--version")


def missing_packages() -> list[str]:
    """Returns what this machine lacks, as sentences; the first of them, if it is h2load, cannot be done without."""
    missing = []
    if shutil.which("h2load") is None:
        missing.append("h2load makes the load: apt-get install nghttp2-client")
    if nginx.find() is None:
        missing.append("nginx is compared with: apt-get install nginx-light")
    if not any(Path("/usr/lib").glob("*/libpython3.11.so.1.0")):
        missing.append("PyTriton needs Debian's own Python: apt-get install python3.11-venv libpython3.11")
    return missing


def now() -> str:
    """Returns the date and the time, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


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
