"""What a model is for, read off the model itself.

A model describes itself by its signatures and by one answer to an input of zeros, so no file beside it is needed and
a model behind a remote backend is known as well as one on this machine's disk.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import numpy as np

from service.core.tensors import STRING, Signature, Tensor, dtype_name, shape_text
from service.errors import ErrorKind, GatewayError

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
        height: Height of the images that it takes, in pixels.
        width: Their width.
        channels: Values per pixel.
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
        features: Values per step.
        rank: Rank of its input: 2 for [N, window], 3 for [N, window, features].
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


@dataclass(frozen=True, slots=True)
class Description:
    """What a model turned out to be for.

    Attributes:
        task: Its task; ``None`` when it is served by the generic protocols alone.
        doubt: Why it is not of the kind that its names are those of; empty where there is no doubt.
    """

    task: Task | None = None
    doubt: str = ""


class _SurpriseError(Exception):
    """A model has the names of a kind, and something that this kind does not have."""


_UNREACHABLE = frozenset({ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.NOT_READY})
_SCORED = {"scores": ("float32", 2), "classes": (STRING, 2)}
_FORECAST = {"forecast": ("float32", 2), "quantiles": ("float32", 3), "quantile_levels": ("float32", 2)}
"""Outputs of a kind: dtypes and ranks."""


async def describe(signatures: Mapping[str, Signature], run: Run) -> Description:
    """Returns what the model is for.

    Whatever surprises makes it a model for the generic protocols, which need to know no more than its signatures.

    Args:
        signatures: The model's, by name.
        run: Runs one signature on tensors.

    Raises:
        GatewayError: BACKEND_UNAVAILABLE or NOT_READY, which say nothing of the model.
    """
    signature = signatures.get(PREDICT)
    if signature is None:
        return Description()
    try:
        if signature.inputs.keys() == {"images"} and signature.outputs.keys() >= _SCORED.keys():
            return Description(await _image_classifier(signature, CLASSIFY_ENCODED in signatures, run))
        if signature.inputs.keys() == {"history"} and signature.outputs.keys() >= _FORECAST.keys():
            return Description(await _forecaster(signature, run))
    except _SurpriseError as surprise:
        return Description(doubt=str(surprise))
    except GatewayError as error:
        if error.kind in _UNREACHABLE:
            raise
        return Description(doubt=f"it does not take zeros: {error.message}")
    return Description()


async def _image_classifier(signature: Signature, accepts_encoded: bool, run: Run) -> ImageClassifier:
    images = _zeros(signature, "images", ranks=(4,))
    outputs = await _run_on(signature, {"images": images}, run, _SCORED)
    _, height, width, channels = images.shape
    classes, scores = outputs["classes"], outputs["scores"]
    if classes.shape != scores.shape:
        raise _SurpriseError(f"classes: expected a label for each of {scores.shape[1]} scores, got {classes.shape[1]}")
    labels = tuple(label.decode("utf-8", "replace") for label in classes[0])
    return ImageClassifier(height, width, channels, labels, accepts_encoded)


async def _forecaster(signature: Signature, run: Run) -> Forecaster:
    history = _zeros(signature, "history", ranks=(2, 3))
    outputs = await _run_on(signature, {"history": history}, run, _FORECAST)
    levels = tuple(round(float(level), LEVEL_DECIMALS) for level in outputs["quantile_levels"][0])
    horizon = outputs["forecast"].shape[1]
    if (found := outputs["quantiles"].shape[1:]) != (horizon, len(levels)):
        expected = shape_text((None, horizon, len(levels)))
        raise _SurpriseError(f"quantiles: expected shape {expected}, got {shape_text((None, *found))}")
    return Forecaster(
        window=history.shape[1],
        features=history.shape[2] if history.ndim == 3 else 1,
        rank=history.ndim,
        horizon=horizon,
        quantile_levels=levels,
    )


def _zeros(signature: Signature, name: str, *, ranks: tuple[int, ...]) -> Tensor:
    """Returns one row of zeros for an input, which must be float32 and of a known shape but for its rows."""
    spec = signature.inputs[name]
    shape = spec.shape
    if spec.dtype != "float32" or not shape or len(shape) not in ranks or shape[0] is not None or None in shape[1:]:
        expected = " or ".join(map(str, ranks))
        raise _SurpriseError(f"{name}: expected float32 of rank {expected}, all but the rows known, got {spec}")
    return np.zeros((1, *(size or 0 for size in shape[1:])), np.float32)


async def _run_on(
    signature: Signature, inputs: Mapping[str, Tensor], run: Run, kinds: Mapping[str, tuple[str, int]]
) -> Mapping[str, Tensor]:
    """Runs a signature whose outputs, and one row of each, must be of these dtypes and ranks."""
    for name, (dtype, rank) in kinds.items():
        spec = signature.outputs[name]
        if spec.dtype != dtype or (spec.shape is not None and len(spec.shape) != rank):
            raise _SurpriseError(f"{name}: expected {dtype} of rank {rank}, got {spec}")
    outputs = await run(signature, inputs)
    for name, (dtype, rank) in kinds.items():
        got = outputs[name]
        if dtype_name(got) != dtype or got.ndim != rank or len(got) != 1:
            raise _SurpriseError(
                f"{name}: expected {dtype} of rank {rank} with a row for the one that was asked, "
                f"got {dtype_name(got)} {shape_text(got.shape)}"
            )
    return outputs
