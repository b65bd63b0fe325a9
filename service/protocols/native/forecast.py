"""Forecasting, as both transports offer it."""

import numpy as np

from service.core.call import Call
from service.core.engine import Engine, finite
from service.core.tasks import LEVEL_DECIMALS, PREDICT, Forecaster
from service.core.tensors import Tensor, shape_text
from service.errors import Violation, invalid_input
from service.protocols.native.models import require_task
from service.schemas import ForecastRequest, ForecastResponse, QuantileForecast, SeriesForecast


class SeriesForecaster:
    """Answers `ForecastRequest`.

    Args:
        engine: Runs the model.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def forecast(self, request: ForecastRequest, call: Call) -> ForecastResponse:
        """Returns the next steps of each series, with their quantiles.

        Raises:
            GatewayError: When the model, a series or the time does not suffice.
        """
        version = self._engine.resolve(request.wanted(), call)
        task = require_task(version, Forecaster)
        horizon = _horizon(request.horizon, task)
        levels = _levels(request.quantiles, task)
        with call.phase("decode"):
            history = np.stack(
                [_recent(series, task, where=f"series[{index}]") for index, series in enumerate(request.series)]
            )
        outputs = await self._engine.run(version, PREDICT, {"history": history}, call)
        with call.phase("encode"):
            points = finite(outputs, "forecast")[:, :horizon].tolist()
            quantiles = finite(outputs, "quantiles")[:, :horizon]
            forecasts = [
                SeriesForecast(values=values, quantiles=_quantile_forecasts(row, levels))
                for values, row in zip(points, quantiles, strict=True)
            ]
        return ForecastResponse(model=version.name, version=version.version, forecasts=forecasts)


def _horizon(wanted: int | None, task: Forecaster) -> int:
    if wanted is None:
        return task.horizon
    if wanted > task.horizon:
        raise invalid_input(Violation("horizon", f"at most {task.horizon} steps, which the model gives", str(wanted)))
    return wanted


def _levels(wanted: list[float], task: Forecaster) -> dict[int, float]:
    """Returns the wanted levels, ascending, by their position among the model's."""
    known = {level: position for position, level in enumerate(task.quantile_levels)}
    if not wanted:
        return {position: level for level, position in known.items()}
    positions = set()
    for index, level in enumerate(wanted):
        position = known.get(round(level, LEVEL_DECIMALS))
        if position is None:
            levels = ", ".join(map(str, task.quantile_levels))
            raise invalid_input(Violation(f"quantiles[{index}]", f"one of {levels}", str(level)))
        positions.add(position)
    return {position: task.quantile_levels[position] for position in sorted(positions)}


def _recent(series: Tensor, task: Forecaster, *, where: str) -> Tensor:
    """Returns the newest steps of the series, as many as the model looks at.

    A series of one feature may come as a flat list of values.
    """
    if series.ndim == 1 and task.features == 1:
        series = series[:, np.newaxis]
    if series.ndim != 2 or series.shape[1] != task.features:
        raise invalid_input(
            Violation(where, f"steps of {task.features} values", f"values of shape {shape_text(series.shape)}")
        )
    if len(series) < task.window:
        raise invalid_input(
            Violation(where, f"at least {task.window} steps, the model's window", f"{len(series)} steps")
        )
    recent = series[-task.window :]
    return recent if task.rank == 3 else recent[:, 0]


def _quantile_forecasts(row: Tensor, levels: dict[int, float]) -> list[QuantileForecast]:
    """Returns the quantiles [H, Q] of one series at the levels."""
    return [QuantileForecast(level=level, values=row[:, position].tolist()) for position, level in levels.items()]
