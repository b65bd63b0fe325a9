"""What a model's inputs and outputs looked like when it was trained: histograms of a few statistics of each row.

A version brings its reference; `service/codecs/drift_reference.py` reads it from its file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Side(StrEnum):
    """Whether a signature takes a tensor or gives it."""

    INPUT = "input"
    OUTPUT = "output"


class Statistic(StrEnum):
    """What is looked at in each row of a tensor.

    Attributes:
        MEAN: The mean of its elements: an image's brightness, a series' level.
        DEVIATION: Their standard deviation: an image's contrast.
        VALUES: Its elements, which together count as one row.
        CHANGES: The differences between each step (second dimension) and the next, which together count as one row.
        LARGEST: Its largest element: how sure a classifier is.
        ARGMAX: The index of its largest element: the class.
    """

    MEAN = "mean"
    DEVIATION = "deviation"
    VALUES = "values"
    CHANGES = "changes"
    LARGEST = "largest"
    ARGMAX = "argmax"


OF_ANY_ELEMENTS = frozenset({Statistic.MEAN, Statistic.DEVIATION, Statistic.VALUES})
"""Those that some of a row's elements tell nearly as well as all."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How a statistic was distributed.

    Attributes:
        statistic: Which.
        edges: float64 [B-1], ascending: a value is in the bin of as many edges as are not above it, the outermost bins
            are open, and NaN counts as larger than all. Empty for ARGMAX, whose bins are the classes.
        counts: float64 [B], rows in each bin.
    """

    statistic: Statistic
    edges: Floats
    counts: Floats

    @property
    def rows(self) -> float:
        """How many rows it is made of."""
        return float(self.counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How a tensor's elements are scaled before anything is made of them.

    Each array has one value, or as many as the tensor's last dimension.

    Attributes:
        power: Exponent applied first, with negative values taken as zero; 1 changes nothing.
        mean: Subtracted next.
        deviation: Divisor, applied last.
    """

    power: Floats
    mean: Floats
    deviation: Floats

    def __call__(self, values: Floats) -> Floats:
        """Returns the values, scaled."""
        if (self.power != 1).any():
            values = np.where(self.power == 1, values, np.maximum(values, 0) ** self.power)
        scaled: Floats = (values - self.mean) / self.deviation
        return scaled


@dataclass(frozen=True, slots=True, eq=False)
class TensorReference:
    """What one tensor looked like.

    Attributes:
        scale: How its elements are scaled; ``None`` where they are taken as they are.
    """

    name: str
    side: Side
    histograms: tuple[Histogram, ...]
    scale: Scale | None = None

    @property
    def of_any_elements(self) -> bool:
        """Whether some of a row's elements will do, wherever they stand."""
        is_single = self.scale is None or self.scale.mean.size == 1
        return is_single and all(histogram.statistic in OF_ANY_ELEMENTS for histogram in self.histograms)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Reference:
    """What a version's tensors looked like, by signature.

    Attributes:
        about: Which data it was made from, in words.
    """

    about: str
    signatures: Mapping[str, tuple[TensorReference, ...]]


def statistics_of(reference: TensorReference, rows: np.ndarray[Any, Any]) -> Iterator[Floats]:
    """Counts rows of a tensor into the bins of each of its histograms.

    Args:
        reference: What the tensor looked like.
        rows: Numbers [N,...], N and all other dimensions 1 or more.

    Yields:
        float64 [B] for each histogram in their order: what the rows add to its counts, N in all.
    """
    with np.errstate(all="ignore"):  # what is not finite has its bin, too
        values = rows.astype(np.float64)
        if reference.scale is not None:
            values = reference.scale(values)
        flat = values.reshape(len(values), -1)
        for histogram in reference.histograms:
            bins = len(histogram.counts)
            if histogram.statistic is Statistic.ARGMAX:
                yield np.bincount(np.minimum(flat.argmax(axis=1), bins - 1), minlength=bins).astype(np.float64)
            else:
                found = _values(histogram.statistic, values, flat)
                counts = np.bincount(np.searchsorted(histogram.edges, found, side="right"), minlength=bins)
                yield counts.astype(np.float64) * (len(values) / max(found.size, 1))


def _values(statistic: Statistic, values: Floats, flat: Floats) -> Floats:
    """Returns the statistic's values, the same number for each row."""
    found: Floats
    match statistic:
        case Statistic.MEAN:
            found = flat.mean(axis=1)
        case Statistic.DEVIATION:
            found = flat.std(axis=1)
        case Statistic.LARGEST:
            found = flat.max(axis=1)
        case Statistic.CHANGES if values.ndim > 1:
            found = np.diff(values, axis=1).reshape(-1)
        case _:
            found = flat.reshape(-1)
    return found
