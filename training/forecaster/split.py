"""Splits a series by time into training, validation and test part, and cuts windows from it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from training.errors import SettingsError

TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.2  # of what is not in the test part
_FEWEST_WINDOWS = 16  # fewer are too few to train on


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the parts of a series begin and end.

    Attributes:
        validation_start: the first index of the validation part; the training part lies before it.
        test_start: the first index of the test part.
        end: the length of the series.
    """

    validation_start: int
    test_start: int
    end: int

    @property
    def test_origins(self) -> range:
        """The indices of the test part, each the origin of a forecast."""
        return range(self.test_start, self.end)


def boundaries(length: int, *, window: int, horizon: int) -> Boundaries:
    """Splits a series: the last fifth for the test, the last fifth of the rest for validation.

    Args:
        length: of the series.
        window: how many past steps a forecast sees.
        horizon: how many steps it forecasts.

    Raises:
        SettingsError: the series is too short to train on, or its parts are shorter than the horizon.
    """
    if not is_long_enough(length, window=window, horizon=horizon):
        needed = next(size for size in itertools.count(length) if is_long_enough(size, window=window, horizon=horizon))
        raise SettingsError(
            f"the series is too short: a window of {window} and a horizon of {horizon} need {needed} values, "
            f"got {length}"
        )
    return _split(length)


def training_length(length: int) -> int:
    """How many values of a series are its training part."""
    return _split(length).validation_start


def is_long_enough(length: int, *, window: int, horizon: int) -> bool:
    """Whether a series can be trained on: its parts have the horizon, and the training part enough windows."""
    found = _split(length)
    windows = found.validation_start - window - horizon + 1
    shortest = min(found.test_start - found.validation_start, found.end - found.test_start)
    return windows >= _FEWEST_WINDOWS and shortest >= horizon


def histories(values: NDArray[np.float64], origins: Sequence[int], window: int) -> NDArray[np.float32]:
    """What a forecast sees: the last values before each origin.

    Args:
        values: [N,F].
        origins: indices, each the first of a forecast, none below the window.
        window: how many values.

    Returns:
        float32 [origins,window,F].
    """
    views = sliding_window_view(values, window, axis=0).swapaxes(1, 2)
    return views[[origin - window for origin in origins]].astype(np.float32)


def futures(target: NDArray[np.float64], origins: range, horizon: int) -> NDArray[np.float64]:
    """The true values that a forecast is compared with.

    Args:
        target: [N].
        origins: indices, each the first of a forecast.
        horizon: how many values.

    Returns:
        float64 [origins,horizon]; NaN where the series has ended.
    """
    longer = np.concatenate([target, np.full(horizon, np.nan)])
    return sliding_window_view(longer, horizon)[list(origins)]


def _split(length: int) -> Boundaries:
    test_start = int(length * (1 - TEST_SHARE))
    return Boundaries(int(test_start * (1 - _VALIDATION_SHARE)), test_start, length)
