"""The SavedModel called in a loop from Python: the limit of any server in Python. A process of its own.

Prints a JSON object: by way of calling (see `peers/bare_model.py`) and by batch, images a second.
"""

import json
import sys
import time

import numpy as np

from benchmarks.peers import bare_model

BATCHES = (1, 64)
CALLS = ("function", "session")


def main() -> None:
    """Takes the folder of the SavedModel, and the seconds for each figure."""
    folder, seconds = sys.argv[1], float(sys.argv[2])
    rates: dict[str, dict[int, float]] = {}
    for call in CALLS:
        model = bare_model.load(folder, call)
        rates[call] = {}
        for batch in BATCHES:
            images = np.random.default_rng(0).random((batch, 28, 28, 1)).astype(np.float32)
            for _ in range(20):
                model(images)
            calls, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                model(images)
                calls += 1
            rates[call][batch] = calls * batch / (time.perf_counter() - start)
    sys.stdout.write(json.dumps(rates) + "\n")


if __name__ == "__main__":
    main()
