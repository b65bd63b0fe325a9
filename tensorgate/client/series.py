"""Series as people have them, and as they travel."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tensorgate.client.errors import InvalidInput, invalid
from tensorgate.client.packed import Array, append_packed
from tensorgate.v1 import tensorgate_pb2 as pb

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas import Series as PandasSeries

SeriesLike: TypeAlias = "Sequence[float] | Array | PandasSeries | DataFrame"
"""Values at equal distances in time, the newest last; arrays are [steps] or [steps, features]."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A series that was given.

    Attributes:
        message: As it travels.
        index: Of pandas, where it has one.
    """

    message: pb.Series
    index: Any = None


def is_one(series: Any) -> bool:
    """Whether this is one series and not several: anything but a list whose items are neither numbers nor texts."""
    return not isinstance(series, Sequence) or not series or isinstance(series[0], Real | np.number | str)


def series_message(series: Any, where: str) -> Asked:
    """Returns one series as it travels.

    Args:
        series: A list of numbers, an array [steps] or [steps, features], or a Series or DataFrame of pandas; the newest
            values last.
        where: Path of it, for errors.

    Raises:
        InvalidInput: When it is none of these, or its index does not grow.
    """
    pandas = sys.modules.get("pandas")  # where nobody has imported it, this is none of its series
    index = series.index if pandas is not None and isinstance(series, pandas.Series | pandas.DataFrame) else None
    if index is not None and not (index.is_monotonic_increasing and index.is_unique):
        raise invalid(f"{where}.index", "an index that grows, the newest values last", "one that does not")
    try:
        values = np.asarray(series, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid(where, "numbers", f"{type(series).__name__}: {error}") from error
    if values.ndim not in (1, 2):
        raise invalid(where, "[steps] or [steps, features]", f"an array of shape {list(values.shape)}")
    message = pb.Series(features=values.shape[1]) if values.ndim == 2 else pb.Series()
    append_packed(message, "values", values, "<f8")
    return Asked(message, index)


def index_after(index: Any, steps: int) -> Any:
    """Returns the index of pandas that follows another one.

    Args:
        index: Of the series.
        steps: How many follow.

    Raises:
        InvalidInput: When its steps are not of one length, so that nothing follows.
    """
    import pandas as pd  # noqa: PLC0415  # an index is there, so it is, too

    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(index[-1] + 1, periods=steps, freq=index.freq, name=index.name)
    if isinstance(index, pd.DatetimeIndex):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 3 says that its answer will be of another type, which does here
            frequency = index.freq or index.inferred_freq
        if frequency is None:
            raise _uneven(index)
        return pd.date_range(index[-1], periods=steps + 1, freq=frequency, name=index.name)[1:]
    if index.dtype.kind not in "iuf" or len(index) < 2:
        raise _uneven(index)
    values = index.to_numpy()
    step = values[-1] - values[-2]
    if not np.allclose(np.diff(values), step):
        raise _uneven(index)
    return pd.Index(values[-1] + step * np.arange(1, steps + 1), name=index.name)


def _uneven(index: Any) -> InvalidInput:
    return invalid("series.index", "times or numbers at equal distances", f"{type(index).__name__} of {index.dtype}")
