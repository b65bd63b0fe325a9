import numpy as np
import pytest
from statsmodels.tsa.holtwinters import SimpleExpSmoothing

from training.forecaster import smoothing as module
from training.forecaster.baselines import Autoregression
from training.forecaster.experts import experts
from training.forecaster.linear import LinearMap, Sizes
from training.forecaster.regression import corrected
from training.forecaster.smoothing import smoothing, with_drift

_SIZES = Sizes(window=24, horizon=6, period=4)


def _noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length)


def test_an_autoregression_unrolled_forecasts_as_it_does() -> None:
    model = Autoregression(0.1, np.array([0.6, -0.3, 0.2]))
    unrolled = LinearMap.of(model, _SIZES)
    past = _noise(4 * 24).reshape(4, 24)
    np.testing.assert_allclose(unrolled.forecast(past), model.forecast(past, 6))
    assert not unrolled.kernel[:-3].any()  # older than what the autoregression sees


def test_the_mean_of_maps_forecasts_the_mean() -> None:
    maps = {name: LinearMap(_noise(144, seed).reshape(24, 6), _noise(6, seed)) for seed, name in enumerate("ab")}
    past = _noise(24).reshape(1, 24)
    expected = 0.25 * maps["a"].forecast(past) + 0.75 * maps["b"].forecast(past)
    np.testing.assert_allclose(LinearMap.mean(maps, {"a": np.ones(6), "b": np.full(6, 3.0)}).forecast(past), expected)


@pytest.mark.parametrize("level", [0.3, 0.9])
def test_smoothing_without_trend_and_season_is_what_statsmodels_computes(level: float) -> None:
    values = _noise(200)
    parameters = module._Parameters(level=level, trend=(0.0, 0.0), season=None)
    kernel = module._kernel(parameters, Sizes(window=100, horizon=3, period=1))
    fitted = SimpleExpSmoothing(values, initialization_method="known", initial_level=0.0)
    theirs = fitted.fit(smoothing_level=level, optimized=False).forecast(3)
    np.testing.assert_allclose(values[-100:] @ kernel, theirs, atol=1e-6)


@pytest.mark.parametrize("season", [None, 0.3])
def test_smoothing_continues_a_level_a_damped_trend_and_seasons(season: float | None) -> None:
    steps = np.arange(30)
    values = 5.0 + 0.5 * np.cumsum(0.98**steps)
    if season is not None:
        values = values + np.tile([3.0, -1.0, -2.0, 0.0], 8)[:30]
    parameters = module._Parameters(level=0.4, trend=(0.3, 0.98), season=season)
    kernel = module._kernel(parameters, Sizes(window=24, horizon=6, period=4))
    np.testing.assert_allclose(values[:24] @ kernel, values[24:], atol=0.02)


def _slow_kernel(parameters: module._Parameters, sizes: Sizes) -> np.ndarray:
    """The same by the matrices of the state space, as they are written in the books."""
    assert parameters.season is not None
    size, (share, damping) = 2 + sizes.period, parameters.trend
    move, see, learn = np.zeros((size, size)), np.zeros(size), np.zeros(size)
    move[0, 0], move[:2, 1] = 1, damping
    move[2:, 2:] = np.roll(np.eye(sizes.period), 1, axis=0)
    see[[0, 1, -1]] = 1, damping, 1
    learn[:3] = parameters.level, share * parameters.level, parameters.season * (1 - parameters.level)
    follow = move - np.outer(learn, see)
    powers = [np.linalg.matrix_power(follow, step) for step in range(sizes.window + 1)]
    of_first = np.stack([see @ power for power in powers[:-1]])
    of_values = np.stack([powers[sizes.window - 1 - step] @ learn for step in range(sizes.window)], axis=1)
    errors = np.eye(sizes.window)
    for step in range(sizes.window):
        for before in range(step):
            errors[step, before] = -see @ powers[step - 1 - before] @ learn
    penalty = np.diag([1e-9, *[module._PENALTY] * (size - 1)])
    first = np.linalg.solve(of_first.T @ of_first + penalty, of_first.T @ errors)
    state = powers[-1] @ first + of_values
    return np.stack([see @ np.linalg.matrix_power(move, step) @ state for step in range(sizes.horizon)], axis=1)


@pytest.mark.parametrize("trend", [(0.0, 0.0), (0.3, 0.98)])
@pytest.mark.parametrize(("period", "window", "horizon"), [(12, 40, 30), (12, 8, 3), (2, 10, 5)])
def test_seasons_that_stay_in_place_give_what_moving_them_gives(
    trend: tuple[float, float], period: int, window: int, horizon: int
) -> None:
    parameters, sizes = module._Parameters(level=0.3, trend=trend, season=0.3), Sizes(window, horizon, period)
    np.testing.assert_allclose(module._kernel(parameters, sizes), _slow_kernel(parameters, sizes), atol=1e-9)


def test_seasons_too_long_to_be_smoothed_are_left_out() -> None:
    values = _noise(120)
    plain = smoothing(values, Sizes(window=24, horizon=6, period=1), trend=True)
    found = smoothing(values, Sizes(window=24, horizon=6, period=8760), trend=True)
    np.testing.assert_array_equal(found.kernel, plain.kernel)


def test_a_long_season_is_forecast_as_it_was() -> None:
    parameters, sizes = module._Parameters(level=0.3, trend=(0.3, 0.98), season=0.1), Sizes(1680, 10, 672)
    season = np.random.default_rng(0).normal(size=672)
    repeated = np.resize(season - season.mean(), 1690)
    np.testing.assert_allclose(repeated[:1680] @ module._kernel(parameters, sizes), repeated[1680:], atol=1e-2)


def test_smoothing_of_a_constant_is_the_constant() -> None:
    for trend in (False, True):
        found = smoothing(_noise(120), _SIZES, trend=trend)
        np.testing.assert_allclose(found.forecast(np.full((1, 24), 7.0)), np.full((1, 6), 7.0), atol=1e-5)


def test_drift_is_the_mean_change_per_step() -> None:
    flat = LinearMap(np.zeros((24, 6)), np.zeros(6))
    np.testing.assert_allclose(with_drift(flat, np.linspace(0.0, 24.5, 50), 4).bias, np.linspace(0.5, 3.0, 6))


def test_a_regression_learns_what_the_map_leaves_and_a_large_penalty_leaves_the_map() -> None:
    values = np.sin(np.arange(300) * 0.7) + 0.01 * _noise(300)
    nothing = LinearMap(np.zeros((24, 6)), np.zeros(6))
    past, truth = _SIZES.windows(values)
    learned = corrected(nothing, values, _SIZES, penalty=1e-6)
    assert np.abs(learned.forecast(past) - truth).mean() < 0.05
    kept = corrected(nothing, values, _SIZES, penalty=1e9)
    assert np.abs(kept.kernel).max() < 1e-6


def test_a_regression_does_not_pull_a_series_back_to_where_it_was() -> None:
    walk = _noise(200).cumsum()
    last = LinearMap(np.eye(24)[:, -1:].repeat(6, axis=1), np.zeros(6))
    found = corrected(last, walk, _SIZES, penalty=0.3)
    far = found.forecast(np.full((1, 24), 1000.0))
    np.testing.assert_allclose(far, np.full((1, 6), 1000.0), rtol=0.35)


def test_what_explodes_or_lacks_a_season_is_left_out() -> None:
    found = experts(np.exp(np.arange(80) / 10.0), Sizes(window=24, horizon=12, period=1))
    assert "last season" not in found
    assert all(np.isfinite(one.kernel).all() for one in found.values())
    assert all(np.abs(one.kernel).sum(axis=0).max() < 50 for one in found.values())
