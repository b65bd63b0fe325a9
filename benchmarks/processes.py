"""Processes that are measured: started, looked at with all their descendants, and ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_SECONDS = 20
_TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Returns a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A running process with its descendants.

    Attributes:
        spawned: When it was started, by the monotonic clock.
        log: What it wrote.
    """

    def __init__(self, command: Sequence[object], log: Path, folder: Path) -> None:
        self.log = log
        self.spawned = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def wait(self, seconds: float) -> int:
        """Waits until it ends by itself; returns its exit status.

        Raises:
            subprocess.TimeoutExpired: When it does not in that time.
        """
        return self._process.wait(seconds)

    def cpu_seconds(self) -> float:
        """Returns what it and its descendants have used so far, those among them that have ended."""
        return sum(_cpu_ticks(pid) for pid in self._tree()) / _TICKS

    def memory_bytes(self) -> int:
        """Returns the memory of all of them; what they share is counted once (PSS)."""
        return sum(_pss_bytes(pid) for pid in self._tree())

    def last_line(self) -> str:
        """Returns the end of what it wrote: of a failed start, mostly the reason."""
        return (self.log.read_text(errors="replace").splitlines() or [""])[-1]

    def stop(self) -> None:
        """Ends it and its descendants."""
        tree = self._tree()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        # What is left of its session or of its descendants did not end with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pid in tree:
            if pid != self._process.pid and _session(pid) == self._process.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _tree(self) -> list[int]:
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
        tree = [self._process.pid]
        for pid in tree:
            tree += parents.get(pid, [])
        return tree


@contextmanager
def process(command: Sequence[object], log: Path, folder: Path = ROOT) -> Iterator[Process]:
    """Runs a command while the body runs, in that folder."""
    running = Process(command, log, folder)
    try:
        yield running
    finally:
        running.stop()


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat from the third on (state); none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else -1


def _cpu_ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(
        int(field) for field in fields[11:15]
    )  # its own, in user mode and in the kernel, and its dead children's


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
