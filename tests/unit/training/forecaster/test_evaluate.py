import numpy as np
import pytest

from training.forecaster.evaluate import below, coverage, errors, naive_scale

_NAN = np.nan
_TRUTH = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, _NAN]])


def test_errors_of_a_worked_example() -> None:
    found = errors(_TRUTH, np.array([[0.0, 0.0], [2.0, 1.0], [7.0, 0.0]]), 2.0)
    np.testing.assert_allclose(found.mae, [(1 + 0 + 3) / 3, (2 + 3) / 2])
    assert found.one_step == pytest.approx(4 / 3)
    assert found.over_horizon == pytest.approx((1 + 2 + 0 + 3) / 4)  # the last origin is not known to the end
    np.testing.assert_allclose(found.mase, [2 / 3, 5 / 4])


def test_the_scale_is_the_mean_change() -> None:
    assert naive_scale(np.array([1.0, 3.0, 2.0, 2.0])) == pytest.approx(1.0)
    assert naive_scale(np.full(5, 3.0)) > 0


def test_coverage_counts_known_values_and_both_ends() -> None:
    low, high = np.full((3, 2), 2.0), np.full((3, 2), 4.0)
    assert coverage(_TRUTH, low, high) == pytest.approx(4 / 5)


def test_shares_below_each_quantile() -> None:
    quantiles = np.stack([np.full((3, 2), level) for level in (1.0, 3.0)], axis=-1)
    assert below(_TRUTH, quantiles, (0.1, 0.5)) == {"0.1": pytest.approx(1 / 5), "0.5": pytest.approx(3 / 5)}
