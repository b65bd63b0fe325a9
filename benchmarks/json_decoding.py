"""The body of a REST request to an array: as this server does it, and as one would with orjson and numpy."""

import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import orjson

from benchmarks.questions import INPUT, Numbers, oip_json
from service.core.bounds import InputBounds
from service.protocols.open_inference.rest_request import decode_body

SHAPES = ((1, 28, 28, 1), (1, 224, 224, 3))
LAYOUTS = ("flat", "nested")
_BODIES = 8
"""Different ones, in turn."""


def measure(seconds: float) -> Iterator[tuple[str, int, float, float]]:
    """Yields for each kind of body its name, its bytes, and the milliseconds of both ways, each the best of many runs.

    Args:
        seconds: For each kind of body.

    Raises:
        ValueError: When the two ways do not give the same array.
    """
    random = np.random.default_rng()
    for shape in SHAPES:
        for layout in LAYOUTS:
            images = [random.random(shape, np.float32) for _ in range(_BODIES)]
            bodies = [oip_json(image if layout == "nested" else image.ravel(), shape, "1") for image in images]
            for body in bodies:
                if not np.array_equal(_ours(body), _plain(body)):
                    raise ValueError(f"two readings of one body, {shape}, {layout}")
            name = f"{'x'.join(map(str, shape[1:]))}, {layout}"
            ours, plain = _best((_ours, _plain), bodies, seconds)
            yield name, len(bodies[0]), ours, plain


def _ours(body: bytes) -> Any:
    """Decodes it with all checks."""
    return decode_body(body, len(body), bounds=InputBounds()).inputs[INPUT]


def _plain(body: bytes) -> Numbers:
    """Decodes it with none."""
    (given,) = orjson.loads(body)["inputs"]
    return np.asarray(given["data"], np.float32).reshape(given["shape"])


def _best(ways: tuple[Callable[[bytes], object], ...], bodies: list[bytes], seconds: float) -> list[float]:
    """Returns the shortest time of each, in milliseconds; they take turns, so that what disturbs one disturbs both."""
    best, end = [float("inf")] * len(ways), time.perf_counter() + seconds
    for body in cycle(bodies):
        for place, way in enumerate(ways):
            start = time.perf_counter()
            way(body)
            best[place] = min(best[place], 1000 * (time.perf_counter() - start))
        if time.perf_counter() > end:
            break
    return best
