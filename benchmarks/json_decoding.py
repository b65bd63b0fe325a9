"""The body of a REST request to an array: as this server does it, and as one would with orjson and numpy."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import orjson

from benchmarks.questions import Question
from service.core.bounds import InputBounds
from service.protocols.open_inference.rest_request import decode_body


@dataclass(frozen=True, slots=True)
class Decoding:
    """Milliseconds for one body, the best of many.

    Attributes:
        size: Bytes of the body.
        ours: As this server decodes it, with all checks.
        orjson: By orjson.loads and numpy.asarray, with no checks.
    """

    size: int
    ours: float
    orjson: float


def measure_decoding(question: Question, seconds: float) -> Decoding:
    """Measures both on the body of a question in JSON of the Open Inference Protocol."""
    body = question.body.read_bytes()
    bounds = InputBounds()

    def plain() -> object:
        (given,) = orjson.loads(body)["inputs"]
        return np.asarray(given["data"], np.float32).reshape(given["shape"])

    return Decoding(
        size=len(body),
        ours=_best(lambda: decode_body(body, len(body), bounds=bounds), seconds),
        orjson=_best(plain, seconds),
    )


def _best(call: Callable[[], object], seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - start)
    return 1000 * best
