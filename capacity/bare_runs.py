"""What a run of the benchmarks' CNN takes, from Python and without a server: ``python -m capacity.bare_runs FOLDER``.

Prints a JSON object: the seconds of a straight line through runs of 1 and of 64, and the rows that a run may have. One
call in ten is quicker than what counts: whatever else the machine does makes calls longer, and none shorter.
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
_QUICK = 0.1


def main() -> None:
    """Takes the folder of the SavedModel."""
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
    return float(np.quantile(taken, _QUICK))


if __name__ == "__main__":
    main()
