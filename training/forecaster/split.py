"""Divides a series by time: the oldest part to learn from, the newest to be tested on."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from training.errors import TrainingError

_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.2  # of what is not tested on
_FEWEST_WINDOWS = 16  # less to learn from is no training


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the parts of a series end.

    Attributes:
        training: the first index that is not learned from before it is known when to stop.
        learning: the first index of the test part; what lies before it may be learned from.
        end: the length of the series.
    """

    training: int
    learning: int
    end: int

    @property
    def validation_origins(self) -> range:
        """The indices of the validation part, each the first of a forecast."""
        return range(self.training, self.learning)

    @property
    def test_origins(self) -> range:
        """The indices of the test part, each the first of a forecast."""
        return range(self.learning, self.end)


def boundaries(length: int, *, window: int, horizon: int) -> Boundaries:
    """Divides a series: the last fifth for the test, the last fifth of the rest for validation.

    Args:
        length: of the series.
        window: how many past steps a forecast sees.
        horizon: how many steps it forecasts.

    Raises:
        TrainingError: the series is too short to learn anything from, or its parts are shorter than the horizon.
    """
    found = _divided(length)
    if not _suffices(found, window, horizon):
        needed = next(size for size in itertools.count(length) if _suffices(_divided(size), window, horizon))
        raise TrainingError(
            f"the series is too short: a window of {window} and a horizon of {horizon} need {needed} values, "
            f"got {length}"
        )
    return found


def histories(values: NDArray[np.float64], origins: range, window: int) -> NDArray[np.float32]:
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
    """What a forecast should have said.

    Args:
        target: [N].
        origins: indices, each the first of a forecast.
        horizon: how many values.

    Returns:
        float64 [origins,horizon]; NaN where the series has ended.
    """
    longer = np.concatenate([target, np.full(horizon, np.nan)])
    return sliding_window_view(longer, horizon)[list(origins)]


def _divided(length: int) -> Boundaries:
    learning = int(length * (1 - _TEST_SHARE))
    return Boundaries(int(learning * (1 - _VALIDATION_SHARE)), learning, length)


def _suffices(found: Boundaries, window: int, horizon: int) -> bool:
    windows = found.training - window - horizon + 1
    shortest = min(found.learning - found.training, found.end - found.learning)
    return windows >= _FEWEST_WINDOWS and shortest >= horizon
