"""What a model is for, read off the model itself.

A model describes itself by its signatures and by one answer to an input of zeros, so no file beside it is needed and
a model behind a remote backend is known as well as one on this machine's disk.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import numpy as np

from service.core.tensors import Signature, Tensor, TensorSpec

PREDICT = "serving_default"
"""The signature that takes plain tensors."""
CLASSIFY_ENCODED = "classify_bytes"
"""The signature of an image classifier that takes image files."""

Run = Callable[[Signature, Mapping[str, Tensor]], Awaitable[Mapping[str, Tensor]]]

LEVEL_DECIMALS = 6
"""Quantile levels are stored as float32; rounded to this many decimals they read as they were meant."""


@dataclass(frozen=True, slots=True)
class ImageClassifier:
    """Turns images into class scores.

    Attributes:
        height: Of the images that it takes, in pixels.
        width: Likewise.
        channels: Values a pixel.
        labels: Class labels in the model's order.
        accepts_encoded: Whether it takes image files too.
    """

    kind = "image_classifier"
    height: int
    width: int
    channels: int
    labels: tuple[str, ...]
    accepts_encoded: bool


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Turns the history of a series into its next steps.

    Attributes:
        window: Steps of history that it looks at.
        features: Values a step.
        rank: Of its input: 2 for [N, window], 3 for [N, window, features].
        horizon: Steps that it forecasts.
        quantile_levels: Ascending.
    """

    kind = "forecaster"
    window: int
    features: int
    rank: int
    horizon: int
    quantile_levels: tuple[float, ...]


Task = ImageClassifier | Forecaster


async def describe(signatures: Mapping[str, Signature], run: Run) -> Task | None:
    """Returns what the model is for; ``None`` when it is neither a classifier nor a forecaster.

    Args:
        signatures: The model's, by name.
        run: Runs one signature on tensors.

    Raises:
        GatewayError: What ``run`` raised.
    """
    signature = signatures.get(PREDICT)
    if signature is None:
        return None
    if _is_image_classifier(signature):
        return await _image_classifier(signature, CLASSIFY_ENCODED in signatures, run)
    if _is_forecaster(signature):
        return await _forecaster(signature, run)
    return None


def _is_image_classifier(signature: Signature) -> bool:
    images = signature.inputs.get("images")
    return (
        images is not None
        and len(signature.inputs) == 1
        and _all_known(images, ranks=(4,))
        and {"scores", "classes"} <= set(signature.outputs)
    )


def _is_forecaster(signature: Signature) -> bool:
    history = signature.inputs.get("history")
    return (
        history is not None
        and len(signature.inputs) == 1
        and _all_known(history, ranks=(2, 3))
        and {"forecast", "quantiles", "quantile_levels"} <= set(signature.outputs)
    )


def _all_known(spec: TensorSpec, *, ranks: tuple[int, ...]) -> bool:
    """Returns whether it is float32 with a free batch dimension and all others known."""
    shape = spec.shape
    return (
        spec.dtype == "float32"
        and shape is not None
        and len(shape) in ranks
        and shape[0] is None
        and None not in shape[1:]
    )


def _zeros(spec: TensorSpec) -> Tensor:
    return np.zeros((1, *(size or 0 for size in (spec.shape or ())[1:])), np.float32)


async def _image_classifier(signature: Signature, accepts_encoded: bool, run: Run) -> ImageClassifier:
    images = _zeros(signature.inputs["images"])
    outputs = await run(signature, {"images": images})
    _, height, width, channels = images.shape
    labels = tuple(label.decode("utf-8", "replace") for label in outputs["classes"][0])
    return ImageClassifier(height, width, channels, labels, accepts_encoded)


async def _forecaster(signature: Signature, run: Run) -> Forecaster:
    history = _zeros(signature.inputs["history"])
    outputs = await run(signature, {"history": history})
    levels = tuple(round(float(level), LEVEL_DECIMALS) for level in outputs["quantile_levels"][0])
    return Forecaster(
        window=history.shape[1],
        features=history.shape[2] if history.ndim == 3 else 1,
        rank=history.ndim,
        horizon=outputs["forecast"].shape[1],
        quantile_levels=levels,
    )
