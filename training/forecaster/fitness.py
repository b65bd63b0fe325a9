"""Whether a model can learn anything from the values of a series, and compute with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

_LARGEST = 1e30  # float32 goes up to 3.4e38, and a sum of products of values must stay below
_SMALLEST = 1e-30
_MOST_ROUNDING = 0.05  # of the usual change from value to value


def check_values(path: Path, values: NDArray[np.float64], columns: Sequence[str]) -> None:
    """Looks for columns that are constant, or that float32, in which models compute, cannot hold.

    Args:
        path: of the file, for messages.
        values: float64 [N,F], all finite.
        columns: the F names.

    Raises:
        TrainingError: there is one.
    """
    for name, column in zip(columns, values.T, strict=True):
        where = f"{path}, column {name!r}"
        low, high = float(column.min()), float(column.max())
        if low == high:
            raise TrainingError(f"{where}: expected values that change, got {low:g} in all {len(column)} rows")
        largest = max(abs(low), abs(high))
        if not _SMALLEST < largest < _LARGEST:
            bound = f"below {_LARGEST:g}" if largest >= _LARGEST else f"above {_SMALLEST:g}"
            raise TrainingError(
                f"{where}: expected sizes {bound}, as models compute in float32, got {largest:g}: use another unit"
            )
        change = float(np.abs(np.diff(column)).mean())
        rounding = float(np.abs(column - column.astype(np.float32)).mean())
        if rounding > _MOST_ROUNDING * change:
            raise TrainingError(
                f"{where}: expected values that float32, in which models compute, can tell apart, got values around "
                f"{np.median(column):.6g} that change by {change:.3g} from one to the next: subtract what they have in "
                "common"
            )


def check_learnable(target: NDArray[np.float64], name: str) -> None:
    """Refuses a series that changes only once it is tested.

    Args:
        target: float64 [N], what lies before the test part.
        name: of its column.

    Raises:
        TrainingError: it is constant.
    """
    if target.min() == target.max():
        raise TrainingError(
            f"column {name!r}: expected values that change, got {target[0]:g} in all {len(target)} rows before the "
            "test part: there is nothing to learn"
        )
