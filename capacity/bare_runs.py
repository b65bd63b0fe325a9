"""How long runs of the benchmarks' CNN take, from Python and without a server: ``python -m capacity.bare_runs FOLDER``.

Prints a JSON object, the arguments of `Runs`: the seconds of a straight line through runs of 1 and of 64 rows, and the
most rows of a run. The time that counts is the one that a tenth of the calls stay below, as other work on the machine
only makes calls longer.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import bare_model
from benchmarks.questions import SHAPE

_ROWS = (1, 64)
_MOST = 128
_CALLS = 300
_QUANTILE = 0.1


def main() -> None:
    """Measures the SavedModel in the folder that is given."""
    model = bare_model.load(sys.argv[1], "session")
    one, many = (_seconds(model, rows) for rows in _ROWS)
    each = (many - one) / (_ROWS[1] - _ROWS[0])
    sys.stdout.write(json.dumps({"fixed": one - each, "each": each, "most": _MOST}) + "\n")


def _seconds(model: Callable[[Any], Any], rows: int) -> float:
    images = np.random.default_rng(0).random((rows, *SHAPE)).astype(np.float32)
    taken = []
    for _ in range(_CALLS):
        begin = time.perf_counter()
        model(images)
        taken.append(time.perf_counter() - begin)
    return float(np.quantile(taken, _QUANTILE))


if __name__ == "__main__":
    main()
