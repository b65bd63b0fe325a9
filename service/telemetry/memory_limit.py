"""How much memory this process may take: its control group's limit, else what the machine has."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

_ROOT = Path("/sys/fs/cgroup")
_VERSION_1 = Path("memory", "memory.limit_in_bytes")
_VERSION_2 = "memory.max"


def report_memory_limit(registry: CollectorRegistry) -> None:
    """Reports the limit at each scrape, as it may be changed while the process runs."""
    gauge = Gauge(
        "tensorgate_memory_limit_bytes",
        "Memory that this process may take: its container's limit, else what the machine has.",
        registry=registry,
    )
    gauge.set_function(memory_limit)


def memory_limit(root: Path = _ROOT, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Returns the least limit that holds, in bytes.

    Args:
        root: Where control groups are mounted.
        membership: The file that says in which group this process is.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [limit for file in (root / _VERSION_1, *_of_version_2(root, membership)) if (limit := _read(file))]
    return min([machine, *limits])


def _of_version_2(root: Path, membership: Path) -> list[Path]:
    """Returns the files of the process's own group and of those that it is in (docs.kernel.org, cgroup-v2)."""
    try:
        own = next(line for line in membership.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    group = Path(own.removeprefix("0::/"))
    return [root / path / _VERSION_2 for path in (group, *group.parents)]


def _read(file: Path) -> int:
    """Returns the limit in a file; 0 where there is none."""
    try:
        text = file.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
