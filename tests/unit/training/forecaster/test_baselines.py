import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.tsa.ar_model import AutoReg, ar_select_order

from training.forecaster import baselines
from training.forecaster.data import load
from training.forecaster.evaluate import errors, naive_scale
from training.forecaster.split import boundaries, futures


def test_persistence_repeats_the_last_value_before_the_origin() -> None:
    forecast = baselines.persistence(np.array([1.0, 2.0, 3.0, 4.0]), range(2, 4), 2)
    np.testing.assert_array_equal(forecast, [[2, 2], [3, 3]])


@given(period=st.integers(1, 7), horizon=st.integers(1, 20))
def test_a_perfectly_seasonal_series_is_forecast_without_error(period: int, horizon: int) -> None:
    season = np.random.default_rng(period).normal(size=period)
    target = np.tile(season, 40)
    origins = range(8, 13)
    forecast = baselines.seasonal_naive(target, origins, horizon, period=period)
    np.testing.assert_array_equal(forecast, futures(target, origins, horizon))


@given(steps=st.integers(1, 12))
def test_the_autoregression_forecasts_as_statsmodels_does(steps: int) -> None:
    target = load("sunspots").target[:120]
    model = baselines.autoregression(target, period=11, most=100)
    fitted = AutoReg(target, model.order, trend="c").fit()
    np.testing.assert_allclose(model.forecast(target, steps), fitted.forecast(steps))


def test_an_autoregression_of_changes_continues_a_straight_line() -> None:
    line = 3.0 + 0.5 * np.arange(60) + 1e-9 * np.random.default_rng(0).normal(size=60)
    model = baselines.autoregression(line, period=1, most=4, difference=np.array([1.0, -1.0]))
    np.testing.assert_allclose(model.forecast(line, 5), 3.0 + 0.5 * np.arange(60, 65), atol=1e-6)


def test_a_random_walk_is_forecast_to_stay_where_it_is() -> None:
    walk = np.random.default_rng(4).normal(size=400).cumsum()
    model = baselines.autoregression(walk, period=1, most=1, difference=np.array([1.0, -1.0]), constant=False)
    np.testing.assert_allclose(model.forecast(walk, 3), [walk[-1]] * 3, atol=0.5)


@pytest.mark.parametrize(("constant", "trend"), [(True, "c"), (False, "n")])
@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_the_one_that_statsmodels_selects(seed: int, constant: bool, trend: str) -> None:
    noise = np.random.default_rng(seed).normal(size=150)
    values = noise[3:] + 0.6 * noise[2:-1] - 0.4 * noise[:-3]
    lags = ar_select_order(values, 12, ic="aic", trend=trend).ar_lags
    model = baselines.autoregression(values, period=1, most=12, constant=constant)
    assert model.order == (max(lags) if lags else 0)


def test_the_order_stays_within_what_is_allowed() -> None:
    target = load("sunspots").target[:120]
    assert baselines.autoregression(target, period=11, most=3).order <= 3


def test_noise_needs_no_memory() -> None:
    model = baselines.Autoregression(2.5, np.zeros(0))
    np.testing.assert_array_equal(model.forecast(np.arange(4.0), 3), [2.5, 2.5, 2.5])


def test_the_reference_errors_on_sunspots_are_those_measured_elsewhere() -> None:
    target = load("sunspots").target
    bounds = boundaries(len(target), window=33, horizon=10)
    origins = bounds.test_origins
    truth = futures(target, origins, 10)
    linear = baselines.autoregression(target[: bounds.test_start], period=11, most=50)
    assert linear.order == 9
    scale = naive_scale(target[: bounds.test_start])
    forecasts = {
        (15.1, 22.7): baselines.autoregressive(linear, target, origins, 10),
        (27.9, 29.3): baselines.seasonal_naive(target, origins, 10, period=11),
        (25.4, 61.6): baselines.persistence(target, origins, 10),
    }
    for (one_step, over_horizon), forecast in forecasts.items():
        found = errors(truth, forecast, scale)
        assert found.one_step == pytest.approx(one_step, abs=0.06)
        assert found.over_horizon == pytest.approx(over_horizon, abs=0.06)
