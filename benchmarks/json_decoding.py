"""The body of a REST request to an array: as this server does it, and as one would with orjson and numpy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import orjson

from benchmarks.questions import Question
from service.core.bounds import InputBounds
from service.protocols.open_inference.rest_request import decode_body

FLAT, NESTED = "flat", "nested"
"""How the numbers of an image are written: in one list, or in lists as its shape says."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Milliseconds for one body, the median of many.

    Attributes:
        size: Bytes of the body.
        ours: As this server decodes it, with all checks.
        orjson: By orjson.loads and numpy.asarray, with no checks.
    """

    size: int
    ours: float
    orjson: float


def measure_decoding(question: Question, form: str, seconds: float) -> Decoding:
    """Measures both on the body of a question in JSON of the Open Inference Protocol, its numbers flat or nested."""
    document = orjson.loads(question.body.read_bytes())
    (given,) = document["inputs"]
    numbers = np.array(given["data"]).reshape(given["shape"])
    given["data"] = (numbers if form == NESTED else numbers.ravel()).tolist()
    body = orjson.dumps(document)
    bounds = InputBounds()

    def plain() -> object:
        (given,) = orjson.loads(body)["inputs"]
        return np.asarray(given["data"], np.float32).reshape(given["shape"])

    return Decoding(
        size=len(body),
        ours=_median(lambda: decode_body(body, len(body), bounds=bounds), seconds),
        orjson=_median(plain, seconds),
    )


def _median(call: Callable[[], object], seconds: float) -> float:
    times, end = list[float](), time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        call()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)
