"""The typed API's requests over gRPC: messages to the fields that REST has."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from service.core.tensors import Tensor
from service.errors import Violation, invalid_input
from tensorgate.v1 import tensorgate_pb2 as pb

_MAX_RANK = 3


def addressed(request: Any) -> dict[str, Any]:
    """Returns the model, and the version or the label where there is one, of any request that has these fields."""
    fields: dict[str, Any] = {"model": request.model}
    if request.HasField("version"):
        fields["version"] = request.version
    if request.HasField("label"):
        fields["label"] = request.label
    return fields


def refuse_unknown(message: Message, where: str) -> None:
    """Refuses fields that the message does not have, as the other transport does: they would be ignored, silently."""
    unknown: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # it has __len__ and __getitem__
    for field in unknown:
        raise invalid_input(Violation(where, "no unknown field", f"field number {field.field_number}"))


def classify_fields(request: pb.ClassifyRequest) -> dict[str, Any]:
    """Returns the fields of a ClassifyRequest.

    Raises:
        GatewayError: INVALID_INPUT where an image's values and its shape do not go together.
    """
    refuse_unknown(request, "body")
    fields = addressed(request)
    fields["images"] = [_image(image, f"images[{index}]") for index, image in enumerate(request.images)]
    if request.HasField("top_k"):
        fields["top_k"] = request.top_k
    return fields


def _image(image: pb.Image, where: str) -> dict[str, Any]:
    refuse_unknown(image, where)
    match image.WhichOneof("source"):
        case "encoded":
            return {"encoded": image.encoded}
        case "pixels":
            return {"pixels": _pixels(image.pixels, f"{where}.pixels")}
        case _:
            return {}


def _pixels(pixels: pb.Pixels, where: str) -> Tensor:
    """Returns the array that shape and values make.

    Raises:
        GatewayError: INVALID_INPUT when they do not go together.
    """
    refuse_unknown(pixels, where)
    if not 1 <= len(pixels.shape) <= _MAX_RANK or min(pixels.shape) < 1:
        raise invalid_input(Violation(f"{where}.shape", "height, width and channels", _shape_shown(pixels.shape)))
    if pixels.bytes_values and pixels.values:
        raise invalid_input(Violation(where, "either values or bytes_values", "both"))
    values: Tensor = (
        np.frombuffer(pixels.bytes_values, np.uint8) if pixels.bytes_values else np.array(pixels.values, np.float32)
    )
    count = math.prod(pixels.shape)  # of Python's integers: a huge shape does not wrap around into one that fits
    if count != len(values):
        raise invalid_input(Violation(where, f"{count} values, as the shape says", str(len(values))))
    return values.reshape(tuple(pixels.shape))


def _shape_shown(shape: Sequence[int]) -> str:
    return str(list(shape)) if len(shape) <= _MAX_RANK else f"{len(shape)} sizes"


def forecast_fields(request: pb.ForecastRequest) -> dict[str, Any]:
    """Returns the fields of a ForecastRequest.

    Raises:
        GatewayError: INVALID_INPUT where the values of a series do not make whole steps.
    """
    refuse_unknown(request, "body")
    fields = addressed(request)
    fields["series"] = [_series(series, f"series[{index}]") for index, series in enumerate(request.series)]
    if request.HasField("horizon"):
        fields["horizon"] = request.horizon
    if request.quantiles:
        fields["quantiles"] = list(request.quantiles)
    return fields


def _series(series: pb.Series, where: str) -> Tensor:
    """Returns the values, as steps where they are said to have several features.

    Raises:
        GatewayError: INVALID_INPUT when they do not make whole steps.
    """
    refuse_unknown(series, where)
    values = np.array(series.values, np.float64)
    if not series.HasField("features"):
        return values
    if series.features < 1 or len(values) % series.features:
        expected = f"whole steps of {series.features} values" if series.features > 0 else "1 feature or more"
        raise invalid_input(Violation(where, expected, f"{len(values)} values, {series.features} features"))
    return values.reshape(-1, series.features)
