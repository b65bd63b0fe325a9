import numpy as np
import pytest
from rich.console import Console

from series_files.reading import Reading
from training.display import Display
from training.forecaster.data import SeriesData
from training.forecaster.fit import Task, fit
from training.forecaster.forecast import QuantileForecaster, predict
from training.forecaster.split import boundaries
from training.options import ForecasterOptions
from training.progress import Progress, TrialEndedError

_DISPLAY = Display(Console(quiet=True))
_OPTIONS = ForecasterOptions("seasons", Reading(), "quantile", 16, 12, 4, seed=0, epochs=1)


def _task() -> Task:
    """A series whose validation part is shorter than three horizons."""
    values = np.tile([3.0, -1.0, -2.0, 0.0], 35) + 0.1 * np.random.default_rng(0).normal(size=140)
    data = SeriesData("seasons", values[:, np.newaxis], ("value",), 4, 16)
    return Task(data, boundaries(140, window=16, horizon=12), 16, 12)


def test_a_series_that_cannot_tell_whether_lstms_help_is_forecast_by_the_linear_part() -> None:
    task = _task()
    fitted = fit(task, _OPTIONS, Progress(_DISPLAY))
    assert isinstance(fitted.forecaster, QuantileForecaster)
    assert fitted.forecaster.share == 0
    assert fitted.epochs_run == 0
    past = task.data.values[-28:-12].astype(np.float32)[np.newaxis]
    forecast, quantiles = predict(fitted.forecaster, past)
    np.testing.assert_allclose(forecast[0], task.data.target[-12:], atol=0.5)
    np.testing.assert_array_equal(forecast, fitted.forecaster.linear(past).numpy())
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_a_trial_of_it_ends_with_the_error_of_the_linear_part() -> None:
    with pytest.raises(TrialEndedError) as ended:
        fit(_task(), _OPTIONS, Progress(_DISPLAY, trial=True))
    assert 0 < ended.value.loss < 0.3
