"""``python -m benchmarks.drift``: what it costs a request to be watched for drift, in this process and nothing else.

A request as a whole takes this server's process some 160 microseconds at the least (docs/benchmarks.md: streams of one
image a message): the last column is the cost at the default share as a part of that.
"""

import asyncio
import sys
import time
from collections.abc import Mapping

import numpy as np

from service.app.settings import Settings
from service.core.drift import DriftMonitor
from service.core.drift_reference import Histogram, Reference, Side, Statistic, TensorReference
from service.core.model_version import ModelVersion, State
from service.core.request import InferenceRequest
from service.core.tensors import Signature, Tensor, TensorSpec

_SHAPES = ((1, 8, 8, 1), (1, 28, 28, 1), (32, 28, 28, 1), (1, 224, 224, 3), (1, 33))
_CLASSES = 10
_REQUESTS = 5_000
_REPEATS = 9
_REQUEST_MICROSECONDS = 160.0


def main() -> int:
    """Prints the table."""
    default = float(Settings.model_fields["drift_share"].default)
    sys.stdout.write(f"{'rows':>20} {'left out':>9} {'looked at':>10} {default:>9} {'of 160':>7}\n")
    for shape in _SHAPES:
        without, *costs = [asyncio.run(_cost(shape, share)) for share in (None, 1e-12, 1.0, default)]
        costs = [cost - without for cost in costs]
        part = f"{costs[-1] / _REQUEST_MICROSECONDS:.1%}"
        name = "x".join(map(str, shape))
        sys.stdout.write(f"{name:>20} {costs[0]:>9.2f} {costs[1]:>10.2f} {costs[2]:>9.2f} {part:>7}\n")
    sys.stdout.write("microseconds a request more than without a reference; the best of several runs each\n")
    return 0


async def _cost(shape: tuple[int, ...], share: float | None) -> float:
    """Returns microseconds a request: what the engine does, and what the event loop does afterwards.

    Args:
        shape: Of the input, rows first.
        share: Of the requests; ``None`` for a model without a reference.
    """
    random = np.random.default_rng(0)
    inputs = {"x": random.random(shape, np.float32)}
    outputs = {"y": random.random((shape[0], _CLASSES), np.float32)}
    request = _request(shape, inputs, with_reference=share is not None)
    best = float("inf")
    for _ in range(_REPEATS):  # the machine may be busy with other things
        monitor = DriftMonitor(share=share or 0.0)
        begun = time.thread_time()
        for _ in range(_REQUESTS):
            if request.version.reference is not None:
                monitor.observe(request, outputs)
            await asyncio.sleep(0)  # a turn of the event loop, which every request has
        monitor.report(request.version)
        best = min(best, time.thread_time() - begun)
    return best / _REQUESTS * 1e6


def _request(shape: tuple[int, ...], inputs: Mapping[str, Tensor], *, with_reference: bool) -> InferenceRequest:
    """Returns a request for a model whose reference is as training writes it."""
    signature = Signature(
        "serving_default",
        "",
        {"x": TensorSpec("float32", (None, *shape[1:]))},
        {"y": TensorSpec("float32", (None, _CLASSES))},
    )
    of_input = (Statistic.MEAN, Statistic.DEVIATION) if len(shape) > 2 else (Statistic.VALUES, Statistic.CHANGES)
    tensors = (
        TensorReference("x", Side.INPUT, tuple(map(_histogram, of_input))),
        TensorReference("y", Side.OUTPUT, tuple(map(_histogram, (Statistic.ARGMAX, Statistic.LARGEST)))),
    )
    reference = Reference("", {signature.name: tensors}) if with_reference else None
    version = ModelVersion("m", 1, State.AVAILABLE, {signature.name: signature}, reference=reference)
    return InferenceRequest(version, signature, inputs, shape[0])


def _histogram(statistic: Statistic) -> Histogram:
    edges = np.array([]) if statistic is Statistic.ARGMAX else np.linspace(0.1, 0.9, _CLASSES - 1)
    return Histogram(statistic, edges, np.full(_CLASSES, 100.0))


if __name__ == "__main__":
    sys.exit(main())
