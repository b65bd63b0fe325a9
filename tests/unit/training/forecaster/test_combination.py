import numpy as np
import pytest

from training.forecaster import baselines
from training.forecaster.combination import Combination, combine
from training.forecaster.correction import can_be_judged, judge
from training.forecaster.data import load
from training.forecaster.linear import Sizes
from training.forecaster.model import LEVELS
from training.forecaster.scaling import Scaling
from training.forecaster.split import futures, histories
from training.forecaster.window import possible_window, usual_window

_SIZES = Sizes(window=24, horizon=6, period=4)


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_season_is_forecast_by_what_would_have_forecast_it() -> None:
    season = np.tile(_noise(4), 40)
    found = combine(season + 0.01 * _noise(160), _SIZES)
    np.testing.assert_allclose(np.sum(list(found.weights.values()), axis=0), np.ones(6))
    assert found.error < 0.05


def test_a_series_that_grows_by_a_share_is_forecast_by_a_power_below_one() -> None:
    growth = np.exp(0.03 * np.arange(120) + 0.02 * _noise(120).cumsum())
    assert combine(growth, _SIZES).power < 1


def test_a_series_with_negative_values_is_taken_as_it_is() -> None:
    assert combine(_noise(120), _SIZES).power == 1


def test_what_is_combined_is_fitted_anew_and_forecasts_sunspots_better_than_one_autoregression() -> None:
    target = load("sunspots").target[:247]
    sizes = Sizes(window=33, horizon=10, period=11)
    found = combine(target, sizes)
    scaling = Scaling.fitted(target[:, np.newaxis], power=found.power)
    values = scaling.normalised(target[:, np.newaxis])[:, 0]
    later = range(247, 300)
    whole = load("sunspots").target
    truth = futures(whole, later, 10)
    pasts = scaling.normalised(histories(whole[:, np.newaxis], later, 33).astype(np.float64))[..., 0]
    ours = scaling.restored(found.fitted(values, sizes).forecast(pasts))
    theirs = baselines.autoregressive(baselines.autoregression(target, period=11, most=50), whole, later, 10)
    assert np.abs(ours - truth).mean() < np.abs(theirs - truth).mean()


def test_quantiles_ascend_around_nothing_and_are_wider_for_fewer_origins() -> None:
    many = Combination(1.0, {}, _noise(600, 6), 1.0).offsets(LEVELS)
    few = Combination(1.0, {}, _noise(600, 6)[:12], 1.0)
    assert (np.diff(many, axis=1) > 0).all()
    assert not many[:, 2].any()
    np.testing.assert_allclose(many[:, 4], 1.96, atol=0.35)
    plain = np.quantile(few.residuals, LEVELS, axis=0).T
    assert (few.offsets(LEVELS)[:, 4] > 2 * plain[:, 4]).all()  # two degrees of freedom: 4.30 for 1.96


def test_a_correction_that_helps_is_taken_and_noise_is_not() -> None:
    truth, line = _noise(200, 6), np.zeros((200, 6))
    helpful = judge(truth, line, 0.8 * truth)
    assert helpful.share > 0.9
    assert helpful.error < helpful.linear_error
    harmful = judge(truth, line, 2.0 * _noise(200, 6, seed=1))
    assert harmful.share == 0


def test_a_gain_that_could_be_chance_is_shrunk() -> None:
    truth, line = _noise(60, 6), np.zeros((60, 6))
    sometimes = np.where(_noise(60, 1, seed=2) > 0, 0.3, -0.22) * np.sign(truth)
    assert judge(truth, line, sometimes).share < 0.5
    assert not can_be_judged(11, 6)
    assert can_be_judged(12, 6)


@pytest.mark.parametrize(
    ("length", "period", "window"), [(150, 1, 32), (150, 12, 32), (732, 12, 36), (2820, 12, 128), (4032, 48, 384)]
)
def test_a_window_suits_the_season_and_the_length(length: int, period: int, window: int) -> None:
    assert usual_window(length, period) == window


def test_a_short_series_gets_a_shorter_window() -> None:
    assert possible_window(32, 89, horizon=12, period=4) == 23
    assert possible_window(32, 309, horizon=12, period=1) == 32
    assert possible_window(60, 75, horizon=12, period=24) == 26
    assert possible_window(750, 309, horizon=10, period=300) == 113


@pytest.mark.parametrize("period", [1, 7, 30, 45])
def test_seasons_that_hardly_fit_or_do_not_are_no_fault(period: int) -> None:
    values = _noise(60).cumsum()
    sizes = Sizes(window=12, horizon=8, period=period)
    found = combine(values, sizes)
    forecast = found.fitted(values, sizes).forecast(values[-12:][np.newaxis])
    assert np.isfinite(forecast).all()
    assert np.isfinite(found.offsets(LEVELS)).all()
