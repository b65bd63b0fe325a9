"""The typed API over gRPC: protobuf to the same messages as over REST, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.rpc import status_pb2

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.rights import Access
from service.core.rollouts import Rollouts
from service.core.shadow import Shadows
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError
from service.protocols.native.card import GetCardRequest, GetPlotRequest, get_card, get_plot
from service.protocols.native.classify import Classifier
from service.protocols.native.drift import GetDriftRequest, get_drift
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.grpc_answers import classify_response, forecast_response, model_message
from service.protocols.native.grpc_messages import addressed, classify_fields, forecast_fields, refuse_unknown
from service.protocols.native.labels import DeleteLabelRequest, ModelLabels, SetLabelRequest
from service.protocols.native.models import get_model, list_models
from service.protocols.native.rollout import GetRolloutRequest, get_rollout
from service.protocols.native.shadow import GetShadowRequest, get_shadow
from service.schemas import ClassifyRequest, ForecastRequest, GetModelRequest
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
            "GetCard": (self.get_card, Access.READ),
            "GetPlot": (self.get_plot, Access.READ),
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
        refuse_unknown(request, "body")
        listed = list_models(self.engine, self.models, call)
        return pb.ListModelsResponse(models=[model_message(model) for model in listed.models])

    async def get_model(self, request: pb.GetModelRequest, call: Call) -> pb.GetModelResponse:
        """Answers GetModel."""
        refuse_unknown(request, "body")
        wanted = validated(GetModelRequest, addressed(request))
        return pb.GetModelResponse(model=model_message(get_model(self.engine, self.models, wanted, call)))

    async def get_drift(self, request: pb.GetDriftRequest, call: Call) -> pb.GetDriftResponse:
        """Answers GetDrift."""
        refuse_unknown(request, "body")
        answer = get_drift(self.engine, validated(GetDriftRequest, addressed(request)), call)
        return pb.GetDriftResponse(**answer.model_dump(exclude_none=True))

    async def get_rollout(self, request: pb.GetRolloutRequest, call: Call) -> pb.GetRolloutResponse:
        """Answers GetRollout."""
        refuse_unknown(request, "body")
        wanted = validated(GetRolloutRequest, {"model": request.model})
        answer = get_rollout(self.engine, self.models, self.rollouts, wanted, call)
        return pb.GetRolloutResponse(**answer.model_dump())

    async def get_shadow(self, request: pb.GetShadowRequest, call: Call) -> pb.GetShadowResponse:
        """Answers GetShadow."""
        refuse_unknown(request, "body")
        wanted = validated(GetShadowRequest, {"model": request.model})
        answer = get_shadow(self.engine, self.models, self.shadows, wanted, call)
        return pb.GetShadowResponse(**answer.model_dump(exclude_none=True))

    async def get_card(self, request: pb.GetCardRequest, call: Call) -> pb.GetCardResponse:
        """Answers GetCard."""
        refuse_unknown(request, "body")
        answer = await get_card(self.engine, validated(GetCardRequest, addressed(request)), call)
        return pb.GetCardResponse(**answer.model_dump())

    async def get_plot(self, request: pb.GetPlotRequest, call: Call) -> pb.GetPlotResponse:
        """Answers GetPlot."""
        refuse_unknown(request, "body")
        wanted = validated(GetPlotRequest, addressed(request) | {"plot": request.plot})
        data, media_type = await get_plot(self.engine, wanted, call)
        return pb.GetPlotResponse(data=data, media_type=media_type)

    async def set_label(self, request: pb.SetLabelRequest, call: Call) -> pb.SetLabelResponse:
        """Answers SetLabel."""
        refuse_unknown(request, "body")
        fields: dict[str, Any] = {"model": request.model, "label": request.label}
        if request.HasField("version"):
            fields["version"] = request.version
        if request.weights:
            fields["weights"] = {str(version): weight for version, weight in request.weights.items()}
        answer = await self.labels.set_label(validated(SetLabelRequest, fields), call)
        return pb.SetLabelResponse(model=model_message(answer))

    async def delete_label(self, request: pb.DeleteLabelRequest, call: Call) -> pb.DeleteLabelResponse:
        """Answers DeleteLabel."""
        refuse_unknown(request, "body")
        wanted = validated(DeleteLabelRequest, {"model": request.model, "label": request.label})
        return pb.DeleteLabelResponse(model=model_message(await self.labels.delete_label(wanted, call)))

    async def classify(self, request: pb.ClassifyRequest, call: Call) -> pb.ClassifyResponse:
        """Answers Classify, and a message of ClassifyStream."""
        self.engine.attribute(request.model, call)
        self.bounds.check_rows(len(request.images), where="images")
        with call.phase("decode"):
            wanted = await offloaded(call.size, lambda: validated(ClassifyRequest, classify_fields(request)))
        answer = await self.classifier.classify(wanted, call)
        with call.phase("encode"):
            return classify_response(answer)

    async def forecast(self, request: pb.ForecastRequest, call: Call) -> pb.ForecastResponse:
        """Answers Forecast, and a message of ForecastStream."""
        self.engine.attribute(request.model, call)
        self.bounds.check_rows(len(request.series), where="series")
        self.bounds.check_count(len(request.quantiles), where="quantiles")
        with call.phase("decode"):
            wanted = await offloaded(call.size, lambda: validated(ForecastRequest, forecast_fields(request)))
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
