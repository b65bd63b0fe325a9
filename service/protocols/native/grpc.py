"""The typed API over gRPC: protobuf to the same messages as over REST, and back."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import status_pb2

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.rights import Access
from service.core.rollouts import Rollouts
from service.core.shadow import Shadows
from service.core.tensors import Tensor
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.protocols.native.classify import Classifier
from service.protocols.native.drift import GetDriftRequest, get_drift
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.grpc_answers import classify_response, forecast_response, model_message
from service.protocols.native.labels import DeleteLabelRequest, ModelLabels, SetLabelRequest
from service.protocols.native.models import get_model, list_models
from service.protocols.native.rollout import GetRolloutRequest, get_rollout
from service.protocols.native.shadow import GetShadowRequest, get_shadow
from service.schemas import (
    ClassifyRequest,
    ForecastRequest,
    GetModelRequest,
)
from service.seam import statuses
from service.seam.grpc import GrpcService, Handle, method_of, stream_of
from service.seam.statuses import Code
from service.validation import validated
from tensorgate.v1 import tensorgate_pb2 as pb

CODES: Mapping[ErrorKind, Code] = {**statuses.GRPC, ErrorKind.WRONG_MODEL_KIND: Code.FAILED_PRECONDITION}

_SERVICE = pb.DESCRIPTOR.services_by_name["TensorgateService"]
_NAME = _SERVICE.full_name

StatusOf = Callable[[GatewayError, str, Mapping[ErrorKind, Code]], status_pb2.Status]
"""Turns an error and a request id into what a stream answers in place of a response."""

_MAX_RANK = 3


@dataclass(frozen=True, slots=True)
class NativeGrpc:
    """The handlers of the typed API.

    Attributes:
        engine: Notes models on calls.
        models: Those that there are.
        bounds: Checked before a message is parsed.
        classifier: Answers Classify.
        forecaster: Answers Forecast.
        labels: Puts labels on versions.
        rollouts: Those that are declared.
        shadows: Likewise.
        status_of: Makes the error of one message of a stream.
    """

    engine: Engine
    models: Models
    bounds: InputBounds
    classifier: Classifier
    forecaster: SeriesForecaster
    labels: ModelLabels
    rollouts: Rollouts
    shadows: Shadows
    status_of: StatusOf

    def service(self) -> GrpcService:
        """Returns the service with its methods."""
        unary: dict[str, tuple[Handle, Access]] = {
            "Classify": (self.classify, Access.INFER),
            "Forecast": (self.forecast, Access.INFER),
            "ListModels": (self.list_models, Access.READ),
            "GetModel": (self.get_model, Access.READ),
            "GetDrift": (self.get_drift, Access.READ),
            "GetRollout": (self.get_rollout, Access.READ),
            "GetShadow": (self.get_shadow, Access.READ),
            "SetLabel": (self.set_label, Access.CONTROL),
            "DeleteLabel": (self.delete_label, Access.CONTROL),
        }
        streams: dict[str, tuple[Handle, Callable[..., Any]]] = {
            "ClassifyStream": (self.classify, pb.ClassifyStreamResponse),
            "ForecastStream": (self.forecast, pb.ForecastStreamResponse),
        }
        methods: dict[str, Any] = {
            name: method_of(_NAME, _SERVICE, name, handle, access=access) for name, (handle, access) in unary.items()
        }
        for name, (handle, outcome_of) in streams.items():
            methods[name] = stream_of(_NAME, _SERVICE, name, *self._outcomes(handle, outcome_of), access=Access.INFER)
        return GrpcService(_NAME, methods, _SERVICE, CODES)

    async def list_models(self, request: pb.ListModelsRequest, call: Call) -> pb.ListModelsResponse:
        """Answers ListModels."""
        _refuse_unknown(request, "body")
        listed = list_models(self.engine, self.models, call)
        return pb.ListModelsResponse(models=[model_message(model) for model in listed.models])

    async def get_model(self, request: pb.GetModelRequest, call: Call) -> pb.GetModelResponse:
        """Answers GetModel."""
        _refuse_unknown(request, "body")
        wanted = validated(GetModelRequest, _addressed(request))
        return pb.GetModelResponse(model=model_message(get_model(self.engine, self.models, wanted, call)))

    async def get_drift(self, request: pb.GetDriftRequest, call: Call) -> pb.GetDriftResponse:
        """Answers GetDrift."""
        _refuse_unknown(request, "body")
        answer = get_drift(self.engine, validated(GetDriftRequest, _addressed(request)), call)
        return pb.GetDriftResponse(**answer.model_dump(exclude_none=True))

    async def get_rollout(self, request: pb.GetRolloutRequest, call: Call) -> pb.GetRolloutResponse:
        """Answers GetRollout."""
        _refuse_unknown(request, "body")
        wanted = validated(GetRolloutRequest, {"model": request.model})
        answer = get_rollout(self.engine, self.models, self.rollouts, wanted, call)
        return pb.GetRolloutResponse(**answer.model_dump())

    async def get_shadow(self, request: pb.GetShadowRequest, call: Call) -> pb.GetShadowResponse:
        """Answers GetShadow."""
        _refuse_unknown(request, "body")
        wanted = validated(GetShadowRequest, {"model": request.model})
        answer = get_shadow(self.engine, self.models, self.shadows, wanted, call)
        return pb.GetShadowResponse(**answer.model_dump(exclude_none=True))

    async def set_label(self, request: pb.SetLabelRequest, call: Call) -> pb.SetLabelResponse:
        """Answers SetLabel."""
        _refuse_unknown(request, "body")
        fields: dict[str, Any] = {"model": request.model, "label": request.label}
        if request.HasField("version"):
            fields["version"] = request.version
        if request.weights:
            fields["weights"] = {str(version): weight for version, weight in request.weights.items()}
        answer = await self.labels.set_label(validated(SetLabelRequest, fields), call)
        return pb.SetLabelResponse(model=model_message(answer))

    async def delete_label(self, request: pb.DeleteLabelRequest, call: Call) -> pb.DeleteLabelResponse:
        """Answers DeleteLabel."""
        _refuse_unknown(request, "body")
        wanted = validated(DeleteLabelRequest, {"model": request.model, "label": request.label})
        return pb.DeleteLabelResponse(model=model_message(await self.labels.delete_label(wanted, call)))

    async def classify(self, request: pb.ClassifyRequest, call: Call) -> pb.ClassifyResponse:
        """Answers Classify, and a message of ClassifyStream."""
        self.engine.attribute(request.model, call)
        self.bounds.check_rows(len(request.images), where="images")
        with call.phase("decode"):
            wanted = await offloaded(call.size, lambda: validated(ClassifyRequest, _classify_fields(request)))
        answer = await self.classifier.classify(wanted, call)
        with call.phase("encode"):
            return classify_response(answer)

    async def forecast(self, request: pb.ForecastRequest, call: Call) -> pb.ForecastResponse:
        """Answers Forecast, and a message of ForecastStream."""
        self.engine.attribute(request.model, call)
        self.bounds.check_rows(len(request.series), where="series")
        self.bounds.check_count(len(request.quantiles), where="quantiles")
        with call.phase("decode"):
            wanted = await offloaded(call.size, lambda: validated(ForecastRequest, _forecast_fields(request)))
        answer = await self.forecaster.forecast(wanted, call)
        with call.phase("encode"):
            return forecast_response(answer)

    def _outcomes(
        self, handle: Handle, outcome_of: Callable[..., Any]
    ) -> tuple[Handle, Callable[[Any, GatewayError, Call], Any]]:
        """Returns what answers a message of a stream with its response, or with its error in place of one."""

        async def answered(request: Any, call: Call) -> Any:
            return outcome_of(response=await handle(request, call))

        def failed(request: Any, error: GatewayError, call: Call) -> Any:
            return outcome_of(error=self.status_of(error, call.request_id, CODES))

        return answered, failed


def _addressed(
    request: pb.ClassifyRequest | pb.ForecastRequest | pb.GetModelRequest | pb.GetDriftRequest,
) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": request.model}
    if request.HasField("version"):
        fields["version"] = request.version
    if request.HasField("label"):
        fields["label"] = request.label
    return fields


def _refuse_unknown(message: Message, where: str) -> None:
    """Refuses fields that the message does not have, as the other transport does: they would be ignored, silently."""
    unknown: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # it has __len__ and __getitem__
    for field in unknown:
        raise invalid_input(Violation(where, "no unknown field", f"field number {field.field_number}"))


def _classify_fields(request: pb.ClassifyRequest) -> dict[str, Any]:
    _refuse_unknown(request, "body")
    fields = _addressed(request)
    fields["images"] = [_image(image, f"images[{index}]") for index, image in enumerate(request.images)]
    if request.HasField("top_k"):
        fields["top_k"] = request.top_k
    return fields


def _image(image: pb.Image, where: str) -> dict[str, Any]:
    _refuse_unknown(image, where)
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
    _refuse_unknown(pixels, where)
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


def _forecast_fields(request: pb.ForecastRequest) -> dict[str, Any]:
    _refuse_unknown(request, "body")
    fields = _addressed(request)
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
    _refuse_unknown(series, where)
    values = np.array(series.values, np.float64)
    if not series.HasField("features"):
        return values
    if series.features < 1 or len(values) % series.features:
        expected = f"whole steps of {series.features} values" if series.features > 0 else "1 feature or more"
        raise invalid_input(Violation(where, expected, f"{len(values)} values, {series.features} features"))
    return values.reshape(-1, series.features)
