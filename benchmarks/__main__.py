"""``make bench``: measures Tensorgate beside its peers, prints the tables, and writes docs/benchmarks.md with plots."""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import environment, report, sections
from benchmarks.findings import Findings
from benchmarks.options import parse
from benchmarks.workspace import Workspace


def main(arguments: list[str]) -> int:
    """Runs it; returns the exit status."""
    options = parse(arguments)
    for missing in environment.missing_packages():
        sys.stderr.write(f"missing here: {missing}\n")
    if shutil.which("h2load") is None:
        return 1
    # What other sections found in an earlier run stays only where it is to be written down again.
    findings = Findings.kept() if options.write and not options.whole else Findings()
    try:
        with tempfile.TemporaryDirectory(prefix="tensorgate-bench-") as folder:
            sections.run(Workspace.made(Path(folder)), options, findings)
    finally:
        if options.write:
            findings.keep()
    sys.stdout.write(report.as_text(findings))
    if options.write:
        report.write(findings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
