"""``make bench``: measures Tensorgate beside its peers, and prints the tables or writes docs/benchmarks.md."""

import sys
import tempfile
from pathlib import Path

from benchmarks import environment, load, report, standin
from benchmarks.loading import measure_loading
from benchmarks.options import LEAST_ROUNDS, Options, parse
from benchmarks.processes import ROOT
from benchmarks.results import Results
from benchmarks.rounds import FAILURES, compare, tell
from benchmarks.servers import Starter
from benchmarks.soak import measure_memory

_LAST_RUN = ROOT / "build" / "benchmarks.json"


def main(arguments: list[str]) -> int:
    """Runs it; returns the exit status."""
    options = parse(arguments)
    if options.again:
        results = Results.load(_LAST_RUN)
        if int(results.about["rounds"]) < LEAST_ROUNDS:
            tell(f"the last run had fewer than {LEAST_ROUNDS} rounds")
            return 1
    else:
        needed, wished = environment.missing()
        for sentence in needed + wished:
            tell(f"missing here: {sentence}")
        if needed:
            return 1
        results = _measure(options)
    sys.stdout.write(report.as_text(results))
    if options.write:
        report.DOCUMENT.write_text(report.as_markdown(results))
    return 0


def _measure(options: Options) -> Results:
    load.build()
    standin.build()
    from benchmarks import exporting  # noqa: PLC0415 - tensorflow takes its time, and is of no use before

    results = Results(about=environment.about(options))
    with tempfile.TemporaryDirectory(prefix="tensorgate-bench-") as name:
        folder = Path(name)
        start = Starter(folder, folder / "models", exporting.export(folder / "models"), options)
        try:
            compare(start, options, results)
            if "loading" in options.only and not options.servers:
                exporting.export_large(folder / "large")
                measure_loading(start, folder / "large", results)
            if "soak" in options.only:
                measure_memory(start, results)
        except FAILURES as error:
            tell(f"failed: {error}")
        finally:
            results.save(_LAST_RUN)
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
