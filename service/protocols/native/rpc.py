"""The typed API over gRPC: protobuf to the same messages as over REST, and back."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import status_pb2
from grpc import aio

from service.core import call as calls
from service.core.call import Call
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.streams import OrderedStream
from service.core.tensors import Tensor
from service.errors import GatewayError, Violation, invalid_input
from service.protocols.native.classify import Classifier
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.labels import ModelLabels
from service.protocols.native.models import get_model, list_models
from service.schemas import (
    ClassifyRequest,
    ClassifyResponse,
    DeleteLabelRequest,
    ForecastRequest,
    ForecastResponse,
    GetModelRequest,
    ModelInfo,
    SetLabelRequest,
)
from service.validation import validated
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1 import tensorgate_pb2_grpc

SERVICE = pb.DESCRIPTOR.services_by_name["TensorgateService"]

StatusOf = Callable[[GatewayError, str], status_pb2.Status]
"""Turns an error and a request id into what a stream answers in place of a response."""

_MAX_RANK = 3

OutcomeT = TypeVar("OutcomeT")
Context = aio.ServicerContext[Any, Any]


class NativeRpc(tensorgate_pb2_grpc.TensorgateServiceServicer):
    """The handlers of the typed API.

    Args:
        engine: Has the models, and the limits that are asked before a message is looked at.
        classifier: Answers Classify.
        forecaster: Answers Forecast.
        labels: Puts labels on versions.
        stream: Answers streams of requests.
        status_of: Makes the error of one message of a stream.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        classifier: Classifier,
        forecaster: SeriesForecaster,
        labels: ModelLabels,
        stream: OrderedStream,
        status_of: StatusOf,
    ) -> None:
        self._engine = engine
        self._classifier = classifier
        self._forecaster = forecaster
        self._labels = labels
        self._stream = stream
        self._status_of = status_of

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        """Answers ListModels."""
        _refuse_unknown(request, "body")
        models = list_models(self._engine.catalog).models
        return pb.ListModelsResponse(models=[_model(model) for model in models])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: N802
        """Answers GetModel."""
        _refuse_unknown(request, "body")
        wanted = validated(GetModelRequest, _addressed(request))
        return pb.GetModelResponse(model=_model(get_model(self._engine, wanted, calls.current())))

    async def SetLabel(self, request: pb.SetLabelRequest, context: Context) -> pb.SetLabelResponse:  # noqa: N802
        """Answers SetLabel."""
        _refuse_unknown(request, "body")
        fields = {"model": request.model, "label": request.label, "version": request.version}
        answer = await self._labels.set_label(validated(SetLabelRequest, fields), calls.current())
        return pb.SetLabelResponse(model=_model(answer))

    async def DeleteLabel(  # noqa: N802
        self, request: pb.DeleteLabelRequest, context: Context
    ) -> pb.DeleteLabelResponse:
        """Answers DeleteLabel."""
        _refuse_unknown(request, "body")
        wanted = validated(DeleteLabelRequest, {"model": request.model, "label": request.label})
        return pb.DeleteLabelResponse(model=_model(await self._labels.delete_label(wanted, calls.current())))

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:  # noqa: N802
        """Answers Classify."""
        return await self._classify(request, calls.current())

    async def Forecast(self, request: pb.ForecastRequest, context: Context) -> pb.ForecastResponse:  # noqa: N802
        """Answers Forecast."""
        return await self._forecast(request, calls.current())

    def ClassifyStream(  # noqa: N802
        self, requests: AsyncIterator[pb.ClassifyRequest], context: Context
    ) -> AsyncIterator[pb.ClassifyStreamResponse]:
        """Answers ClassifyStream."""
        return self._outcomes(requests, self._classify, pb.ClassifyStreamResponse)

    def ForecastStream(  # noqa: N802
        self, requests: AsyncIterator[pb.ForecastRequest], context: Context
    ) -> AsyncIterator[pb.ForecastStreamResponse]:
        """Answers ForecastStream."""
        return self._outcomes(requests, self._forecast, pb.ForecastStreamResponse)

    def _outcomes(
        self,
        requests: AsyncIterator[Any],
        answer: Callable[[Any, Call], Awaitable[Any]],
        outcome_of: Callable[..., OutcomeT],
    ) -> AsyncIterator[OutcomeT]:
        """Yields for each request its response, or its error in place of one."""

        async def answered(request: Any, call: Call) -> OutcomeT:
            return outcome_of(response=await answer(request, call))

        def failed(request: Any, error: GatewayError, call: Call) -> OutcomeT:
            return outcome_of(error=self._status_of(error, call.request_id))

        return self._stream.answers(requests, answered, failed)

    async def _classify(self, request: pb.ClassifyRequest, call: Call) -> pb.ClassifyResponse:
        self._engine.attribute(request.model, call)
        self._engine.bounds.check_rows(len(request.images), where="images")
        with call.phase("decode"):
            wanted = await offloaded(request.ByteSize(), lambda: validated(ClassifyRequest, _classify_fields(request)))
        answer = await self._classifier.classify(wanted, call)
        with call.phase("encode"):
            return _classify_response(answer)

    async def _forecast(self, request: pb.ForecastRequest, call: Call) -> pb.ForecastResponse:
        self._engine.attribute(request.model, call)
        self._engine.bounds.check_rows(len(request.series), where="series")
        with call.phase("decode"):
            wanted = await offloaded(request.ByteSize(), lambda: validated(ForecastRequest, _forecast_fields(request)))
        answer = await self._forecaster.forecast(wanted, call)
        with call.phase("encode"):
            return _forecast_response(answer)


def _addressed(request: pb.ClassifyRequest | pb.ForecastRequest | pb.GetModelRequest) -> dict[str, Any]:
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


def _classify_response(answer: ClassifyResponse) -> pb.ClassifyResponse:
    return pb.ClassifyResponse(
        model=answer.model,
        version=answer.version,
        results=[
            pb.Classification(
                classes=[pb.ScoredClass(label=scored.label, score=scored.score) for scored in result.classes]
            )
            for result in answer.results
        ],
    )


def _forecast_response(answer: ForecastResponse) -> pb.ForecastResponse:
    return pb.ForecastResponse(
        model=answer.model,
        version=answer.version,
        forecasts=[
            pb.SeriesForecast(
                values=forecast.values,
                quantiles=[
                    pb.QuantileForecast(level=quantile.level, values=quantile.values) for quantile in forecast.quantiles
                ],
            )
            for forecast in answer.forecasts
        ],
    )


def _model(model: ModelInfo) -> pb.Model:
    """Returns the model as a message: its fields have the same names."""
    fields = model.model_dump(exclude_none=True)
    for version in fields["versions"]:
        for signature in version["signatures"]:
            for tensor in (*signature["inputs"], *signature["outputs"]):
                tensor["unknown_rank"] = "shape" not in tensor
    return pb.Model(**fields)
