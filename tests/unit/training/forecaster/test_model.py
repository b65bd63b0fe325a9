import keras
import numpy as np
import pytest

from training.forecaster.forecast import PlainForecaster, QuantileForecaster, predict
from training.forecaster.linear import LinearMap
from training.forecaster.model import LEVELS, MEDIAN, build_corrected, build_linear, build_plain, set_start
from training.forecaster.scaling import Scaling

_SCALING = Scaling(1.0, np.zeros(1), np.ones(1), non_negative=False)
_OFFSETS = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], (5, 1))


def _start(seed: int = 1) -> LinearMap:
    """A linear map over a window of 8 and a horizon of 5."""
    generator = np.random.default_rng(seed)
    return LinearMap(generator.normal(size=(8, 5)), generator.normal(size=5))


def _histories(count: int = 4, window: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, window, 1)).astype(np.float32)


def _corrected(share: float) -> QuantileForecaster:
    """A forecaster whose members add something, as if they were trained."""
    network = build_corrected(8, 1, start=_start(), fused=False)
    generator = np.random.default_rng(3)
    for weights in network.trainable_variables:
        weights.assign(generator.normal(size=weights.shape))
    return QuantileForecaster(network, _SCALING, _OFFSETS, share)


def test_the_linear_network_is_the_map() -> None:
    start = _start()
    forecaster = QuantileForecaster(build_linear(8, 1, start=start), _SCALING, _OFFSETS, 0.0)
    forecast, quantiles = predict(forecaster, _histories())
    np.testing.assert_allclose(forecast, start.forecast(_histories()[..., 0]), atol=1e-5)
    np.testing.assert_allclose(quantiles, forecast[..., None] + _OFFSETS, atol=1e-5)


def test_members_begin_at_the_linear_map() -> None:
    network = build_corrected(8, 1, start=_start(), fused=False)
    forecast, _ = predict(QuantileForecaster(network, _SCALING, _OFFSETS, 1.0), _histories())
    np.testing.assert_allclose(forecast, _start().forecast(_histories()[..., 0]), atol=0.1)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_share_of_the_correction_is_taken(share: float) -> None:
    forecaster = _corrected(share)
    line = forecaster.linear(_histories()).numpy()
    whole = forecaster.network(_histories()).numpy().mean(axis=1)
    assert np.abs(whole - line).max() > 0.1
    forecast, quantiles = predict(forecaster, _histories())
    np.testing.assert_allclose(forecast, line + share * (whole - line), atol=1e-5)
    assert quantiles.shape == (4, 5, len(LEVELS))
    assert (np.diff(quantiles, axis=-1) > 0).all()
    np.testing.assert_array_equal(forecast, quantiles[..., MEDIAN])


def test_another_linear_map_moves_the_forecast_by_the_difference() -> None:
    forecaster = _corrected(1.0)
    before, _ = predict(forecaster, _histories())
    set_start(forecaster.network, _start(seed=2))
    after, _ = predict(forecaster, _histories())
    past = _histories()[..., 0]
    np.testing.assert_allclose(after - before, _start(seed=2).forecast(past) - _start().forecast(past), atol=1e-4)


def test_the_plain_network_is_exactly_the_preset() -> None:
    network = build_plain(10)
    assert network.input_shape == (None, 10, 1)
    _, lstm, dense = network.layers
    assert isinstance(lstm, keras.layers.LSTM)
    assert (lstm.units, lstm.activation) == (50, keras.activations.relu)
    assert isinstance(dense, keras.layers.Dense)
    assert dense.units == 1
    assert len(network.layers) == 3


def test_the_plain_forecaster_feeds_its_forecasts_back() -> None:
    network = build_plain(8)
    residuals = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], (3, 1))
    forecast, quantiles = predict(PlainForecaster(network, _SCALING, residuals), _histories())
    window = _histories()
    for step in range(3):
        following = network.predict(window, verbose=0)
        np.testing.assert_allclose(forecast[:, step], following[:, 0], atol=1e-5)
        window = np.concatenate([window[:, 1:], following[:, np.newaxis]], axis=1)
    np.testing.assert_allclose(quantiles, forecast[..., None] + residuals, atol=1e-5)


def test_no_forecast_of_counts_is_negative() -> None:
    scaling = Scaling(1.0, np.zeros(1), np.ones(1), non_negative=True)
    residuals = np.full((3, 5), -100.0)
    forecast, quantiles = predict(PlainForecaster(build_plain(8), scaling, residuals), _histories())
    assert forecast.min() >= 0
    assert quantiles.max() == pytest.approx(0)
