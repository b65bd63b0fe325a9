"""What a forecaster's histories and forecasts look like, for drift to be noticed."""

import numpy as np
from numpy.typing import NDArray

from training.forecaster.scaling import Scaling
from training.reference import SignatureStatistics, TensorScale, TensorStatistics, histogram

_BINS = 5
"""Histories of one series overlap, and tell of few independent ones: more bins would be of chance."""


def signatures(
    histories: NDArray[np.float32], forecast: NDArray[np.float32], scaling: Scaling
) -> dict[str, SignatureStatistics]:
    """The reference of a forecaster, scaled as its network sees the series: their values, and how they change.

    Args:
        histories: what lies before the test part, float32 [N,window] or [N,window,F].
        forecast: what the model says of them, float32 [N,H].
        scaling: the model's.
    """
    columns = len(scaling.mean)
    power = [scaling.power, *[1.0] * (columns - 1)]
    of_columns = TensorScale(power, scaling.mean.tolist(), scaling.deviation.tolist())
    of_target = TensorScale(power[:1], scaling.mean[:1].tolist(), scaling.deviation[:1].tolist())
    steps = [histogram(statistic, histories, scale=of_columns, bins=_BINS) for statistic in ("values", "changes")]
    asked = {"history": TensorStatistics(steps, of_columns)}
    answered = {"forecast": TensorStatistics([histogram("values", forecast, scale=of_target, bins=_BINS)], of_target)}
    return {"serving_default": SignatureStatistics(asked, answered)}
