"""`tensorgate_reference.json`: what a model's inputs and outputs look like, for a server to notice when that changes.

The file says for each signature and tensor how a few statistics of its rows are distributed:

    {"version": 1, "about": "...", "signatures": {NAME: {"inputs": {TENSOR: T}, "outputs": {TENSOR: T}}}}
    T = {"scale": {"power": [1.0], "mean": [49.8], "deviation": [40.4]}, "histograms": [H, ...]}
    H = {"statistic": "mean", "edges": [B-1 numbers, ascending], "counts": [B numbers]}

`scale` may be left out. Each of its lists has one number, or one for each column of the tensor's last dimension:
elements are raised to the power (what is negative counts as zero then), less the mean, divided by the deviation. A
value is in the bin of as many edges as are not above it, so the outermost bins are open. `argmax`, the index of a row's
largest element, has no edges and a bin for each class. The statistics are those of `STATISTICS`.

A model of one's own can have such a file too: call `write_reference` before the version is renamed into its place.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.manifest import EXTRA

FILE_NAME = "tensorgate_reference.json"
BINS = 10

Rows = NDArray[np.float64]

STATISTICS: Mapping[str, Callable[[Rows], Rows]] = {
    "mean": lambda rows: _flat(rows).mean(axis=1),
    "deviation": lambda rows: _flat(rows).std(axis=1),
    "values": lambda rows: rows.reshape(-1),
    "changes": lambda rows: np.diff(rows, axis=1).reshape(-1),
    "largest": lambda rows: _flat(rows).max(axis=1),
    "argmax": lambda rows: _flat(rows).argmax(axis=1).astype(np.float64),
}
"""What can be looked at in rows [N,...]: one number for each, but for `values` (each element) and `changes` (from each
step, the second dimension, to the next), of which those of a row count as one row together."""


@dataclass(frozen=True, slots=True)
class TensorScale:
    """How a tensor's elements are scaled first; each list has one number, or one for each column."""

    power: Sequence[float]
    mean: Sequence[float]
    deviation: Sequence[float]

    def __call__(self, rows: Rows) -> Rows:
        """Scales them."""
        power = np.asarray(self.power)
        raised = np.where(power == 1, rows, np.maximum(rows, 0) ** power)
        scaled: Rows = (raised - np.asarray(self.mean)) / np.asarray(self.deviation)
        return scaled


@dataclass(frozen=True, slots=True)
class TensorStatistics:
    """The histograms of one tensor, as the file has them.

    Attributes:
        histograms: made by `histogram`.
        scale: with which they were made.
    """

    histograms: Sequence[Mapping[str, Any]]
    scale: TensorScale | None = None

    def as_json(self) -> dict[str, Any]:
        """The tensor's entry in the file."""
        entry: dict[str, Any] = {"histograms": list(self.histograms)}
        if (scale := self.scale) is not None:
            lists = {"power": scale.power, "mean": scale.mean, "deviation": scale.deviation}
            entry["scale"] = {name: [float(value) for value in values] for name, values in lists.items()}
        return entry


@dataclass(frozen=True, slots=True)
class SignatureStatistics:
    """The tensors of one signature, by name."""

    inputs: Mapping[str, TensorStatistics]
    outputs: Mapping[str, TensorStatistics]


def histogram(
    statistic: str,
    rows: NDArray[Any],
    *,
    scale: TensorScale | None = None,
    bins: int = BINS,
    edges: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Counts a statistic of some rows into bins.

    Args:
        statistic: one of `STATISTICS`.
        rows: numbers [N,...], as the model takes or gives them.
        scale: of the elements.
        bins: how many, each with about as many rows; fewer where values repeat. Not for `argmax`, which has one for
            each element of a row.
        edges: between the bins, ascending, instead.
    """
    values = rows.astype(np.float64)
    found = STATISTICS[statistic](values if scale is None else scale(values))
    if statistic == "argmax":
        return {"statistic": statistic, "counts": np.bincount(found.astype(int), minlength=rows[:1].size).tolist()}
    between = np.asarray(_quantiles(found, bins) if edges is None else edges)
    counts = np.bincount(np.searchsorted(between, found, side="right"), minlength=len(between) + 1)
    shares = counts * (len(rows) / found.size)
    return {"statistic": statistic, "edges": between.tolist(), "counts": shares.tolist()}


def write_reference(folder: Path, signatures: Mapping[str, SignatureStatistics], *, about: str) -> None:
    """Writes the file into a version's `assets.extra`.

    Args:
        folder: the version's.
        signatures: by name.
        about: of which data it is made, for people.
    """
    content = {
        "version": 1,
        "about": about,
        "signatures": {
            name: {
                "inputs": {tensor: found.as_json() for tensor, found in signature.inputs.items()},
                "outputs": {tensor: found.as_json() for tensor, found in signature.outputs.items()},
            }
            for name, signature in signatures.items()
        },
    }
    extra = folder / EXTRA
    extra.mkdir(exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    (extra / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def _quantiles(values: Rows, bins: int) -> Rows:
    """Edges between bins with about as many values each; at least one, however often a value repeats."""
    between: Rows = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return between


def _flat(rows: Rows) -> Rows:
    return rows.reshape(len(rows), -1)
