import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from training.errors import TrainingError
from training.forecaster.data import SeriesData
from training.forecaster.fit import Task
from training.forecaster.scaling import Scaling
from training.forecaster.split import Boundaries, boundaries, futures, histories


def test_the_last_fifth_is_for_the_test() -> None:
    assert boundaries(309, window=33, horizon=10) == Boundaries(validation_start=197, test_start=247, end=309)


def test_a_short_series_is_refused_with_the_length_it_needs() -> None:
    with pytest.raises(TrainingError, match="need 65 values, got 40"):
        boundaries(40, window=16, horizon=10)
    boundaries(65, window=16, horizon=10)
    with pytest.raises(TrainingError):
        boundaries(64, window=16, horizon=10)


@given(length=st.integers(1, 400), window=st.integers(1, 50), horizon=st.integers(1, 20))
def test_no_window_sees_a_value_of_a_later_part(length: int, window: int, horizon: int) -> None:
    try:
        bounds = boundaries(length, window=window, horizon=horizon)
    except TrainingError:
        assume(False)
    values = np.arange(length, dtype=float)[:, np.newaxis]  # each value is its own time
    task = Task(SeriesData("time", values, ("t",), 1, window), bounds, window, horizon)
    identity = Scaling(1.0, np.zeros(1), np.ones(1), non_negative=False)
    seen, targets = task.windows(identity, 0, bounds.validation_start, steps=horizon)
    assert targets.max() < bounds.validation_start
    assert len(seen) == bounds.validation_start - window - horizon + 1
    np.testing.assert_array_equal(seen[:, -1, 0] + 1, targets[:, 0])
    _, targets = task.windows(identity, bounds.validation_start, bounds.test_start, steps=horizon)
    assert targets.min() >= bounds.validation_start
    assert targets.max() < bounds.test_start


def test_histories_end_where_futures_begin_and_unknown_truth_is_nan() -> None:
    values = np.arange(10.0)
    origins = range(7, 10)
    np.testing.assert_array_equal(
        histories(values[:, np.newaxis], origins, 3)[..., 0], [[4, 5, 6], [5, 6, 7], [6, 7, 8]]
    )
    np.testing.assert_array_equal(futures(values, origins, 2), [[7, 8], [8, 9], [9, np.nan]])
