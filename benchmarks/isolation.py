"""``python -m benchmarks.isolation``: what it costs a request that its model runs in a helper process.

The batcher and what is behind it, by turns with the models in this process and in one of their own; nothing of a
transport, so that the ratios are the worst that a client may see.
"""

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from service.backends.registry import BackendOptions, Isolation
from service.backends.savedmodel.backend import SavedModelBackend
from service.core.batch_policy import AS_THE_SERVER, BatchPolicies, BatchPolicy
from service.core.batching import Batcher, BatchLimits
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelRef
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget

_SHAPES = ((1, 8, 8, 1), (1, 224, 224, 3), (32, 224, 224, 3))
_CALLERS = (1, 8, 64)
_SECONDS = 1.0
_ROUNDS = 7
_THREADS = 2


def main() -> int:
    """Prints the table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        for index, shape in enumerate(_SHAPES):
            _save(Path(folder, f"m{index}", "1"), shape)
        asyncio.run(_measure(Path(folder)))
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _save(folder: Path, shape: tuple[int, ...]) -> None:
    """Writes a model that does next to nothing: ten numbers for each row."""
    module = tf.Module()
    module.w = tf.Variable(np.ones((shape[-1], 10), np.float32))
    spec = tf.TensorSpec([None, *shape[1:]], tf.float32, name="x")
    module.f = tf.function(lambda x: {"y": tf.matmul(tf.reduce_mean(x, [1, 2]), module.w)}).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder), signatures=module.f)


async def _measure(folder: Path) -> None:
    _tell(f"{'rows':>20} {'callers':>8} {'in process':>11} {'isolated':>9} {'more':>8} {'ratio':>6}")
    async with _batcher(folder, None) as inside, _batcher(folder, Isolation(60.0, lambda _: None)) as isolated:
        for index, shape in enumerate(_SHAPES):
            for callers in _CALLERS if shape[0] == 1 else _CALLERS[:2]:
                best = [float("inf"), float("inf")]
                for _ in range(_ROUNDS):  # the machine may be busy with other things
                    for which, (batcher, catalog) in enumerate((inside, isolated)):
                        best[which] = min(best[which], await _cost(batcher, catalog, f"m{index}", shape, callers))
                name = "x".join(map(str, shape))
                within, without = best
                figures = f"{within:>11.0f} {without:>9.0f} {without - within:>8.0f} {without / within:>6.2f}"
                _tell(f"{name:>20} {callers:>8} {figures}")
    _tell("microseconds a request, the best of several rounds each")


@asynccontextmanager
async def _batcher(folder: Path, isolation: Isolation | None) -> AsyncIterator[tuple[Batcher, Catalog]]:
    options = BackendOptions(folder, threads=_THREADS, tensorflow_threads=_THREADS, isolation=isolation)
    backend, catalog = SavedModelBackend(options), Catalog()
    await backend.start(catalog)
    batcher = Batcher(
        backend=backend,
        limits=BatchLimits(),
        policies=BatchPolicies(BatchPolicy(), lambda _: AS_THE_SERVER),
        budget=RetryBudget(),
        observe=lambda *_: None,
    )
    try:
        yield batcher, catalog
    finally:
        await backend.close()


async def _cost(batcher: Batcher, catalog: Catalog, name: str, shape: tuple[int, ...], callers: int) -> float:
    """Returns microseconds a request, with so many at a time."""
    version = catalog.resolve(ModelRef(name))
    signature = version.signatures["serving_default"]
    x = np.random.default_rng(0).random(shape, np.float32)
    until = time.perf_counter() + _SECONDS

    async def ask() -> int:
        asked = 0
        while time.perf_counter() < until:
            call = Call("grpc", "method", "id", Deadline.after(60))
            await batcher.run(InferenceRequest(version, signature, {"x": x}, shape[0]), call)
            asked += 1
        return asked

    begun = time.perf_counter()
    asked = sum(await asyncio.gather(*(ask() for _ in range(callers))))
    return (time.perf_counter() - begun) / asked * 1e6


if __name__ == "__main__":
    sys.exit(main())
