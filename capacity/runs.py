"""``python -m capacity runs``: what a run of a model takes on a server that serves it, for `plan`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.system import Runs
from tensorgate.client import Client, TensorgateError
from tensorgate.client.metadata import TensorSpec

_TIMEOUT = 60.0


class CannotAskError(ValueError):
    """The model cannot be asked about numbers that are made up; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured.

    Attributes:
        address: ``host:port`` of the gRPC API.
        model: Its name.
        signature: Of it.
        rows: Of the small and of the large request; also the most that a run has.
        calls: Of each, one after the other.
        unknown: The size that stands for each that the signature leaves open, but for the rows; 0 where none is given.
    """

    address: str
    model: str
    signature: str
    rows: tuple[int, int]
    calls: int
    unknown: int = 0


def measured(asked: Asked) -> tuple[Runs, Mapping[int, float]]:
    """Returns a straight line through what requests of few and of many rows take, and both in seconds.

    One comes at a time, so each is a run of its own; half of them took less than what counts. Its way there and back is
    part of it.

    Raises:
        CannotAskError: When its inputs are not numbers of a known shape, or more rows do not take longer.
        TensorgateError: When the server does not answer.
    """
    few, many = asked.rows
    with Client(asked.address, timeout=_TIMEOUT) as client:
        model = client.model(asked.model)
        signatures = model.metadata().signatures
        if asked.signature not in signatures:
            raise CannotAskError(f"{asked.model} has no signature {asked.signature!r}, but {', '.join(signatures)}")
        inputs = signatures[asked.signature].inputs
        taken: dict[int, float] = {}
        for rows in asked.rows:
            seconds = []
            for number in range(asked.calls + 1):
                made = {name: _random(name, spec, (rows, asked.unknown), seed=number) for name, spec in inputs.items()}
                begin = time.perf_counter()
                model.predict(made, signature=asked.signature)
                seconds.append(time.perf_counter() - begin)
            taken[rows] = float(np.median(seconds[1:]))  # the first one makes the connection, and warms up
    each = (taken[many] - taken[few]) / (many - few)
    if each < 0:
        raise CannotAskError(
            f"{many} rows took {1000 * taken[many]:.2f} ms, {few} took {1000 * taken[few]:.2f} ms: ask more often"
            " (--calls), while nothing else runs"
        )
    return Runs(max(0.0, taken[few] - few * each), each, many), taken


def as_text(asked: Asked) -> tuple[str, int]:
    """Returns what to give to `plan`, or why there is nothing, and the exit status."""
    try:
        runs, taken = measured(asked)
    except (CannotAskError, TensorgateError) as error:
        return f"{error}\n", 1
    lines = [f"{rows} rows: {1000 * seconds:.2f} ms" for rows, seconds in taken.items()]
    options = f"--fixed-ms {1000 * runs.fixed:.3g} --each-ms {1000 * runs.each:.3g} --batch {runs.most}"
    return "\n".join([*lines, options]) + "\n", 0


def _random(name: str, spec: TensorSpec, sizes: tuple[int, int], *, seed: int) -> npt.NDArray[np.float64]:
    """Returns numbers from 0 to 1 for an input, whole ones where it takes those, of so many rows and unknown sizes."""
    shape = spec.shape or ()
    if spec.dtype == "string" or not shape or shape[0] is not None:
        raise CannotAskError(f"input {name!r} is {spec}: expected numbers, in any number of rows")
    rows, unknown = sizes
    if None in shape[1:] and not unknown:
        raise CannotAskError(f"input {name!r} is {spec}: expected known sizes, or one that stands for them (--unknown)")
    inner = [unknown if size is None else size for size in shape[1:]]
    return np.random.default_rng(seed).random((rows, *inner)).round(0 if "int" in spec.dtype else 6)
