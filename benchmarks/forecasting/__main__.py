"""``make bench-forecaster``: forecasts real series with Tensorgate and with others, and prints the tables."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.forecasting.table import tables
from benchmarks.processes import ROOT
from benchmarks.rounds import tell

_OTHERS = Path(__file__).parent / "others"
_ENVIRONMENTS = {"statistical": ".venv-forecasting/statistical", "neural": ".venv-forecasting/neural"}
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def main(arguments: list[str]) -> int:
    """Runs it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecasting",
        description="Forecasts real series with Tensorgate and with others. What was forecast before is kept.",
    )
    parser.add_argument("--seeds", type=int, default=5, help="[%(default)s]")
    parser.add_argument(
        "--part",
        choices=("test", "development"),
        default="test",
        help="the last fifth of each series, or what a recipe is developed on: the fifth before it, and more series",
    )
    parser.add_argument("--neural", action="store_true", help="also with neuralforecast, whose PyTorch is 6 GB")
    parser.add_argument("--again", action="store_true", help="forecast nothing: only print the tables")
    options = parser.parse_args(arguments)
    folder = ROOT / "build" / "forecasting" / options.part
    if not options.again:
        for kind in ("statistical", "neural") if options.neural else ("statistical",):
            python = ROOT / _ENVIRONMENTS[kind] / "bin" / "python"
            if not python.exists():
                tell(f"missing here: {python}; make bench-forecaster installs it")
                return 1
            _run([python, _OTHERS / f"{kind}.py", folder, options.part])
        _run([sys.executable, "-m", "benchmarks.forecasting.ours", folder, options.seeds])
    sys.stdout.write(tables(folder))
    return 0


def _run(command: list[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env={**os.environ, **_ONE_THREAD})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
