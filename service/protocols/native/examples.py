"""Requests that work when pasted, made for the models that are served."""

import base64
from typing import Any

from service.codecs.samples import cycle, ring, ring_file
from service.core.tasks import Forecaster, ImageClassifier


def encoded_images(task: ImageClassifier) -> dict[str, Any]:
    """Returns a classify request with an image file."""
    return {"images": [{"encoded": base64.b64encode(ring_file(task)).decode()}], "top_k": 3}


def pixel_images(task: ImageClassifier) -> dict[str, Any]:
    """Returns a classify request with pixels."""
    values: list[Any] = list(ring(task).get_flattened_data())
    rows = [values[start : start + task.width] for start in range(0, len(values), task.width)]
    return {"images": [{"pixels": rows}], "top_k": 3}


def series(task: Forecaster) -> dict[str, Any]:
    """Returns a forecast request with one series, as long as the window."""
    levels = task.quantile_levels
    request: dict[str, Any] = {"series": [cycle(task)], "horizon": min(5, task.horizon)}
    return {**request, "quantiles": [levels[0], levels[-1]]} if levels else request
