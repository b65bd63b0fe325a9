"""A few minutes' look at this server alone: a small CNN, one image a request, in every protocol. ``make bench-quick``.

All figures of a run are of one machine with everything on it, load included: compare ratios of one run, not figures of
two. The first row is a server that does nothing, for a measure of the machine.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks import table
from benchmarks.environment import missing_packages
from benchmarks.options import Options
from benchmarks.results import Compared
from benchmarks.rounds import compare
from benchmarks.workspace import Workspace


def main() -> int:
    """Measures and prints two tables; returns the exit status."""
    if missing := [sentence for sentence in missing_packages() if "h2load" in sentence]:
        sys.stderr.write(f"missing here: {missing[0]}\n")
        return 1
    options = Options(only=("limits", "tensorgate"), rounds=1, seconds=8, write=False)
    results = Compared()
    with tempfile.TemporaryDirectory(prefix="tensorgate-bench-") as folder:
        compare(Workspace.made(Path(folder)).servers(options), options, results)
    for cells in (table.throughput(results, options.concurrencies), table.latencies(results, options.concurrencies)):
        sys.stdout.write(table.as_text(cells) + "\n")
    return 1 if results.reasons else 0


if __name__ == "__main__":
    sys.exit(main())
