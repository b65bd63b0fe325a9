"""Compares a version whose weights are stored in fewer bits with the same model in float32: size, error and time."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.card import table
from training.gate import Bar, Judgement
from training.verify import Case, run_signature

_SIGNATURE = "serving_default"
_ROWS = (1, 32)
_CALLS = 40
_FASTER = 0.95  # of the time in float32; less of a gain is noise


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of one version.

    Attributes:
        bytes: of graph and weights.
        error: the judgement's, on the test part.
        milliseconds: by the rows of a request, the median time of a call of `serving_default`.
    """

    bytes: int
    error: float
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version with weights of fewer bits, beside the same in float32."""

    dtype: str
    measure: str
    narrow: Figures
    full: Figures

    def bar(self, judgement: Judgement, tolerance: float) -> Bar:
        """What the gate holds it against: the same model in float32."""
        limit = judgement.limit(self.full.error, tolerance)
        return Bar("the same model with weights in float32", self.full.error, self.narrow.error, limit)

    def as_metrics(self) -> dict[str, Any]:
        """The figures for `metrics.json`."""
        return {"dtype": self.dtype, self.dtype: asdict(self.narrow), "float32": asdict(self.full)}

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """The columns and rows of a table of both."""
        columns = ["weights in", "bytes", self.measure, *(f"ms, {rows} row{'s' * (rows > 1)}" for rows in _ROWS)]
        both = ((self.dtype, self.narrow), ("float32", self.full))
        return columns, [
            [
                name,
                f"{found.bytes:,}",
                f"{found.error:.5g}",
                *(f"{found.milliseconds[str(rows)]:.3g}" for rows in _ROWS),
            ]
            for name, found in both
        ]

    def section(self) -> str:
        """The section of the model card."""
        return f"""
## Weights in {self.dtype}

The exported model stores its kernels in {self.dtype} and widens them at every run; it computes in float32.
The figures further up are those of the trained model, in float32.

{table(*self.rows())}

The error is that on the test part; the time is that of a call in one process on the machine that trained the model, the
median of {_CALLS}. {self._verdict()}
"""

    def _verdict(self) -> str:
        size = "smaller" if self.narrow.bytes < self.full.bytes else "not smaller"
        faster = all(self.narrow.milliseconds[name] < _FASTER * value for name, value in self.full.milliseconds.items())
        return f"It is {size} and {'faster' if faster else 'not faster'} than in float32."


def compared(dtype: str, narrow: Path, full: Path, judgement: Judgement, case: Case) -> Comparison:
    """Measures both.

    Args:
        dtype: of the narrow one's weights.
        narrow: its folder.
        full: the folder of the same in float32.
        judgement: measures the error.
        case: inputs of `serving_default`, from which the timed requests are taken.
    """
    folders = (narrow, full)
    times = _times(folders, case)
    found = [
        Figures(_size(folder), judgement.rerun(folder, {}).error, times[index]) for index, folder in enumerate(folders)
    ]
    return Comparison(dtype, judgement.measure, *found)


def widened_answers(full: Path, values: list[Any], cases: Mapping[str, Case]) -> dict[str, Case]:
    """What a model must answer whose weights are the widened ones: the float32 graph's answers with these.

    Args:
        full: the folder of the SavedModel in float32.
        values: its variables' other values, in their order.
        cases: whose inputs are asked.
    """
    loaded = tf.saved_model.load(str(full))
    for variable, value in zip(loaded.variables_read, values, strict=True):
        variable.assign(value)
    return {
        name: Case(case.inputs, run_signature(loaded.signatures[name], case.inputs)) for name, case in cases.items()
    }


def _times(folders: tuple[Path, ...], case: Case) -> list[dict[str, float]]:
    """Medians in milliseconds by rows, taken in turns, so that what else the machine does meets both."""
    signatures = [tf.saved_model.load(str(folder)).signatures[_SIGNATURE] for folder in folders]
    found: list[dict[str, float]] = [{} for _ in folders]
    for rows in _ROWS:
        inputs = {name: tf.constant(np.resize(array, (rows, *array.shape[1:]))) for name, array in case.inputs.items()}
        taken: list[list[float]] = [[] for _ in folders]
        for _ in range(_CALLS + 1):
            for signature, times in zip(signatures, taken, strict=True):
                began = time.perf_counter()
                signature(**inputs)
                times.append(time.perf_counter() - began)
        for index, times in enumerate(taken):
            found[index][str(rows)] = round(statistics.median(times[1:]) * 1000, 4)  # the first one traces
    return found


def _size(folder: Path) -> int:
    graph = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    return sum(file.stat().st_size for file in graph)
