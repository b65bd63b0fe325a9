"""Drift: whether what models are asked, and what they answer, still looks as it did when they were trained.

Some of the requests for a version that has a reference are looked at, after they were answered: their rows are counted
into the reference's own bins, and counts halve with time. So a version takes as much memory as its reference, whatever
comes; and what was long ago is forgotten, while a burst of something else is noticed.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import random
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from service.core.drift_measures import Distance, Verdict, distance
from service.core.drift_reference import (
    Floats,
    Histogram,
    Reference,
    Side,
    Statistic,
    TensorReference,
    statistics_of,
)
from service.core.model_version import ModelVersion
from service.core.request import InferenceRequest
from service.core.tensors import Tensor

logger = logging.getLogger(__name__)

_MOST_ROWS = 32
"""The most rows of one request that are looked at; in a longer one they are spread over it."""
_MOST_ELEMENTS = 4096
"""The most elements of one tensor that are looked at in one request; where whole rows are needed, one row."""
_LONGEST_ROW = 2**18
"""A longer one that is only of use as a whole is left out: it would take the event loop milliseconds."""
_MOST_KEPT = 32
"""Requests that are kept until they are counted together, which takes hardly longer than to count one."""
_MOST_ELEMENTS_KEPT = 16_384
_SECONDS = 1.0
"""Where the last look was longer ago, the next request is looked at whatever the share: few requests are to suffice."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How one statistic of one tensor stands.

    Attributes:
        signature: Name of the signature.
        side: Whether it takes or gives the tensor.
        tensor: Name of the tensor.
        statistic: What is taken of each row.
        reference_rows: Rows that the reference is made of.
        rows: Rows that were looked at, each counting less the longer ago that was.
        distance: Its distance from the reference; ``None`` before the first row.
    """

    signature: str
    side: Side
    tensor: str
    statistic: Statistic
    reference_rows: float
    rows: float
    distance: Distance | None

    @property
    def verdict(self) -> Verdict:
        """What that means."""
        return Verdict.TOO_FEW_ROWS if self.distance is None else self.distance.verdict(self.rows)


class DriftMonitor:
    """Counts what versions with a reference are asked and answer. For the event loop's thread alone.

    Args:
        share: Share of the requests that are looked at, 0 to 1; 0 for none at all.
        half_life: Seconds after which a row counts half.
        clock: Returns seconds.
    """

    def __init__(
        self, *, share: float = 0.0, half_life: float = 3600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.share = share
        self.half_life = half_life
        self._clock = clock
        # Windows live as long as their reference: until the version has left and its last request is answered.
        self._windows: WeakKeyDictionary[Reference, dict[str, _Window]] = WeakKeyDictionary()

    def observe(self, request: InferenceRequest, outputs: Mapping[str, Tensor]) -> None:
        """Looks at an answered request of a version with a reference, or leaves it out.

        Args:
            request: As it was run.
            outputs: All outputs by name.
        """
        reference = request.version.reference
        if reference is None or not self.share:
            return
        window = self._of(request.version, reference).get(request.signature.name)
        if window is None or window.scheduled:
            return
        now = self._clock()
        if random() >= self.share and now - window.looked < _SECONDS:  # noqa: S311  # to be quick, not secret
            return
        window.looked = now
        if window.keep(request.inputs, outputs) or now - window.counted >= _SECONDS:
            window.scheduled = True
            asyncio.get_running_loop().call_soon(self._count, window)  # once the answer is on its way

    def report(self, version: ModelVersion) -> list[Drift]:
        """Returns how each statistic of the version's reference stands; nothing where it is not watched."""
        if version.reference is None or not self.share:
            return []
        found: list[Drift] = []
        for signature, window in self._of(version, version.reference).items():
            self._count(window)
            for tensor, counted in zip(window.tensors, window.counts, strict=True):
                for histogram, counts in zip(tensor.histograms, counted, strict=True):
                    found.append(_drift(signature, tensor, histogram, counts))
        return found

    def _of(self, version: ModelVersion, reference: Reference) -> "dict[str, _Window]":
        """Returns the version's windows by signature."""
        windows = self._windows.get(reference)
        if windows is None:
            whose = f"{version.name} {version.version}"
            windows = self._windows[reference] = {
                name: _Window(f"{whose}, {name}", tensors) for name, tensors in reference.signatures.items()
            }
        return windows

    def _count(self, window: "_Window") -> None:
        window.scheduled = False
        window.count(self._clock(), self.half_life)


def _drift(signature: str, tensor: TensorReference, histogram: Histogram, counts: Floats) -> Drift:
    rows = float(counts.sum())
    apart = distance(histogram, counts) if rows >= 1 else None
    return Drift(signature, tensor.side, tensor.name, histogram.statistic, histogram.rows, rows, apart)


@dataclass(slots=True)
class _Window:
    """What was seen of one signature.

    Attributes:
        whose: Names model, version and signature in the log.
        tensors: The references of its tensors.
        counts: For each tensor and histogram, the rows in each bin, as much as they still count.
        looked: When a request was last looked at.
        scheduled: Whether the event loop is about to have it counted.
        counted: When that was last done.
    """

    whose: str
    tensors: tuple[TensorReference, ...]
    counts: list[list[Floats]] = field(init=False)
    looked: float = -math.inf
    scheduled: bool = False
    counted: float = -math.inf
    _kept: list[list[Tensor]] = field(init=False)
    _requests: int = 0
    _elements: int = 0
    _is_broken: bool = False

    def __post_init__(self) -> None:
        self.counts = [[np.zeros(len(one.counts)) for one in tensor.histograms] for tensor in self.tensors]
        self._kept = [[] for _ in self.tensors]

    def keep(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> bool:
        """Keeps a copy of some rows of a request; returns whether there is no room for more."""
        if self._is_broken:
            return False
        for reference, kept in zip(self.tensors, self._kept, strict=True):
            tensor = (inputs if reference.side is Side.INPUT else outputs).get(reference.name)
            if tensor is None or not tensor.ndim or not tensor.size:
                continue
            whole = not reference.of_any_elements
            if whole and tensor[:1].size > _LONGEST_ROW:
                continue
            some = _some(tensor, whole=whole)
            kept.append(some)
            self._elements += some.size
        self._requests += 1
        return self._requests >= _MOST_KEPT or self._elements >= _MOST_ELEMENTS_KEPT

    def count(self, now: float, half_life: float) -> None:
        """Counts what is kept, after reducing the weight of what was counted before."""
        if self._requests:
            self._fade(self.looked, half_life)
            self._count_kept()
        self._fade(now, half_life)

    def _fade(self, now: float, half_life: float) -> None:
        left = 0.5 ** ((now - self.counted) / half_life)
        self.counted = now
        for counted in self.counts:
            for counts in counted:
                np.multiply(counts, left, out=counts)

    def _count_kept(self) -> None:
        kept, self._kept = self._kept, [[] for _ in self.tensors]
        self._requests = self._elements = 0
        try:
            for reference, tensors, counted in zip(self.tensors, kept, self.counts, strict=True):
                for rows in _together(tensors):
                    for counts, more in zip(counted, statistics_of(reference, rows), strict=True):
                        np.add(counts, more, out=counts)
        except Exception:
            # Whatever a reference does not foresee: it must do no harm, nor fill the log.
            self._is_broken = True
            logger.exception("drift of %s is not watched any more", self.whose)


def _some(tensor: Tensor, *, whole: bool) -> Tensor:
    """Returns a copy of rows of a tensor, and of each row all elements or, where it is long, some of them.

    A copy, as what it is cut from may hold a whole request in memory.
    """
    rows, elements = len(tensor), tensor[:1].size
    most = max(1, min(_MOST_ROWS, _MOST_ELEMENTS // elements))
    if rows > most:
        tensor = tensor[:: -(-rows // most)]
    if whole or elements <= _MOST_ELEMENTS:
        return tensor.copy()
    step = -(-elements // _MOST_ELEMENTS)
    while math.gcd(step, elements) > 1:  # else it might see only one channel, or one column
        step += 1
    return tensor.reshape(len(tensor), -1)[:, ::step].copy()


def _together(tensors: list[Tensor]) -> list[np.ndarray[Any, Any]]:
    """Returns the rows of all tensors, those of the same shape in one array."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        by_shape[tensor.shape[1:]].append(tensor)
    return [np.concatenate(same) for same in by_shape.values()]
