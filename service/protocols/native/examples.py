"""Requests that work when pasted, made for the models that are served."""

import base64
import io
import math
from typing import Any

from PIL import Image, ImageDraw

from service.core.tasks import Forecaster, ImageClassifier

_CYCLE = 11
"""Steps of one cycle of the example's series: sunspots, by the year, have as many."""


def images(task: ImageClassifier) -> dict[str, Any]:
    """Returns classify requests with one image: as a file, if the model takes files, and as pixels."""
    ring = _ring(task)
    values: list[Any] = list(ring.get_flattened_data())
    pixels = {"pixels": [values[start : start + task.width] for start in range(0, len(values), task.width)]}
    if not task.accepts_encoded:
        return {"pixels": {"images": [pixels], "top_k": 3}}
    file = io.BytesIO()
    ring.save(file, "PNG")
    encoded = {"encoded": base64.b64encode(file.getvalue()).decode()}
    return {"encoded": {"images": [encoded], "top_k": 3}, "pixels": {"images": [pixels], "top_k": 3}}


def series(task: Forecaster) -> dict[str, Any]:
    """Returns a forecast request with one series, as long as the window."""
    steps = [round(80 + 60 * math.sin(2 * math.pi * step / _CYCLE), 1) for step in range(task.window)]
    one = steps if task.features == 1 else [[step] * task.features for step in steps]
    levels = task.quantile_levels
    request: dict[str, Any] = {"series": [one], "horizon": min(5, task.horizon)}
    return {**request, "quantiles": [levels[0], levels[-1]]} if levels else request


def _ring(task: ImageClassifier) -> Image.Image:
    """Returns a white ring on black, which reads as the digit zero, in the model's size and colours."""
    image = Image.new("L" if task.channels == 1 else "RGB", (task.width, task.height))
    box = (task.width // 4, task.height // 16, task.width - 1 - task.width // 4, task.height - 1 - task.height // 16)
    ImageDraw.Draw(image).ellipse(box, outline="white", width=max(1, task.width // 8))
    return image
