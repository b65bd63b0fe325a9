import keras
import numpy as np
import pytest

from training.forecaster.baselines import Autoregression
from training.forecaster.forecast import PlainForecaster, QuantileForecaster, predict
from training.forecaster.model import LEVELS, MEDIAN, LinearStart, build_plain, build_quantile, set_start
from training.forecaster.scaling import Scaling

_AUTOREGRESSION = Autoregression(0.1, np.array([0.6, -0.3, 0.2]))
_SCALING = Scaling(1.0, np.zeros(1), np.ones(1), non_negative=False)


def _start(model: Autoregression = _AUTOREGRESSION, spread: float = 1.0) -> LinearStart:
    """An autoregression over a window of 8 and a horizon of 5, whose errors are evenly spread around it."""
    histories = np.random.default_rng(1).normal(size=(1001, 8))
    errors = np.linspace(-spread, spread, len(histories))[:, np.newaxis]
    truth = model.forecast(histories, 5) + errors
    return LinearStart.of(model, histories.astype(np.float32), truth.astype(np.float32))


def _histories(count: int = 4, window: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, window, 1)).astype(np.float32)


def test_a_linear_start_is_the_autoregression_unrolled() -> None:
    past = _histories()[..., 0]
    start = _start()
    np.testing.assert_allclose(past @ start.kernel + start.bias, _AUTOREGRESSION.forecast(past, 5), atol=1e-5)
    assert not start.kernel[:5].any()  # older than what the autoregression sees


def test_intervals_begin_as_wide_as_the_errors_of_the_autoregression() -> None:
    np.testing.assert_allclose(_start(spread=2.0).gaps, np.tile(np.diff(LEVELS) * 4.0, (5, 1)), atol=1e-5)
    assert (_start(spread=0.0).gaps > 0).all()
    network = build_quantile(8, 1, 5, start=_start(), fused=False)
    _, quantiles = predict(QuantileForecaster(network, _SCALING), _histories())
    np.testing.assert_allclose(np.diff(quantiles, axis=-1)[0, 0], np.diff(LEVELS) * 2.0, atol=0.05)


def test_quantiles_ascend_whatever_the_weights_are() -> None:
    network = build_quantile(8, 1, 5, start=_start(), fused=False)
    keras.utils.set_random_seed(3)
    generator = np.random.default_rng(3)
    network.set_weights([generator.normal(size=weights.shape) for weights in network.get_weights()])
    forecast, quantiles = predict(QuantileForecaster(network, _SCALING), _histories())
    assert quantiles.shape == (4, 5, len(LEVELS))
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_array_equal(forecast, quantiles[..., MEDIAN])


def test_another_autoregression_moves_all_quantiles_by_the_same() -> None:
    network = build_quantile(8, 1, 5, start=_start(), fused=False)
    forecaster = QuantileForecaster(network, _SCALING)
    _, before = predict(forecaster, _histories())
    raised = Autoregression(_AUTOREGRESSION.constant + 1, np.zeros(0))
    set_start(network, _start(raised))
    _, after = predict(forecaster, _histories())
    line = _AUTOREGRESSION.forecast(_histories()[..., 0], 5)
    np.testing.assert_allclose(after - before, np.repeat((1.1 - line)[..., None], 5, axis=-1), atol=1e-5)


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
