"""``python -m capacity runs``: how long runs of a model take on a server that serves it, for `plan`."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capacity.system import Runs
from tensorgate.client import Client, Limits, TensorgateError
from tensorgate.client.metadata import TensorSpec
from tensorgate.client.tensors import BFLOAT16, STRING

_TIMEOUT = 60.0
_UNDIVIDED = Limits(rows=sys.maxsize, size=sys.maxsize)
"""Each request is to be one run: one that is too large is refused by the server, not split by the client."""


class CannotAskError(ValueError):
    """The model cannot be called with random numbers; the message says why."""


@dataclass(frozen=True, slots=True)
class RunsOptions:
    """What is measured.

    Attributes:
        address: ``HOST:PORT`` of the gRPC API.
        model: Its name.
        signature: The name of the signature.
        rows: Of the small and of the large requests; the latter is also taken for the most rows of a run.
        calls: Requests of each size, one after the other.
        unknown: Used for each size that the signature leaves open, except that of the rows; 0 where none was given.
    """

    address: str
    model: str
    signature: str
    rows: tuple[int, int]
    calls: int
    unknown: int = 0


def measured(options: RunsOptions) -> tuple[Runs, Mapping[int, float]]:
    """Returns a straight line through the times of small and large requests, and these times in seconds, by rows.

    Requests are sent one at a time, so that each is a run of its own. Their time is the median, with the way to the
    server and back.

    Raises:
        CannotAskError: When an input is not numbers of a known shape, or large requests do not take longer.
        TensorgateError: When the server does not answer.
    """
    few, many = options.rows
    with Client(options.address, timeout=_TIMEOUT, limits=_UNDIVIDED) as client:
        model = client.model(options.model)
        signatures = model.metadata().signatures
        if options.signature not in signatures:
            raise CannotAskError(f"{options.model} has no signature {options.signature!r}, but {', '.join(signatures)}")
        inputs = signatures[options.signature].inputs
        taken: dict[int, float] = {}
        for rows in options.rows:
            seconds = []
            for number in range(options.calls + 1):
                sizes = (rows, options.unknown)
                arrays = {name: random_input(name, spec, sizes, seed=number) for name, spec in inputs.items()}
                begin = time.perf_counter()
                model.predict(arrays, signature=options.signature)
                seconds.append(time.perf_counter() - begin)
            taken[rows] = float(np.median(seconds[1:]))  # the first one makes the connection, and warms up
    each = (taken[many] - taken[few]) / (many - few)
    if each < 0:
        raise CannotAskError(
            f"{many} rows took {1000 * taken[many]:.2f} ms, {few} took {1000 * taken[few]:.2f} ms: expected that more"
            " rows take longer; give more --calls, while nothing else runs"
        )
    return Runs(max(0.0, taken[few] - few * each), each, many), taken


def as_text(options: RunsOptions) -> tuple[str, int]:
    """Returns the options for `plan`, or why there are none, and the exit status."""
    try:
        runs, taken = measured(options)
    except (CannotAskError, TensorgateError) as error:
        return f"{error}\n", 1
    lines = [f"{rows} rows: {1000 * seconds:.2f} ms" for rows, seconds in taken.items()]
    found = f"--fixed-ms {1000 * runs.fixed:.3g} --each-ms {1000 * runs.each:.3g} --batch {runs.most}"
    return "\n".join([*lines, found]) + "\n", 0


def random_input(name: str, spec: TensorSpec, sizes: tuple[int, int], *, seed: int) -> npt.NDArray[Any]:
    """Returns random numbers from 0 to 1 in the dtype of an input; other dtypes than those of floats get 0 and 1 alone.

    Args:
        name: Of the input.
        spec: What it takes.
        sizes: The number of rows, and the size of each other dimension that is unknown.
        seed: The same seed gives the same numbers.

    Raises:
        CannotAskError: When it takes something else than numbers, or not any number of rows, or its shape is unknown.
    """
    shape = spec.shape or ()
    if spec.dtype == STRING or not shape or shape[0] is not None:
        raise CannotAskError(f"input {name!r} is {spec}: expected numbers, in any number of rows")
    rows, unknown = sizes
    if None in shape[1:] and not unknown:
        raise CannotAskError(f"input {name!r} is {spec}: expected known sizes, or one to use for them (--unknown)")
    inner = [unknown if size is None else size for size in shape[1:]]
    numbers = np.random.default_rng(seed).random((rows, *inner)).round(6 if "float" in spec.dtype else 0)
    return numbers.astype(np.float32 if spec.dtype == BFLOAT16 else spec.dtype)  # numpy has no bfloat16
