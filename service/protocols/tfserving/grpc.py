"""TensorFlow Serving's gRPC services: messages to requests, answers to messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from service.codecs.model_config import decode_reload
from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.model_version import ModelRef, ModelVersion
from service.core.offload import INLINE_BYTES, offloaded
from service.core.rights import Access
from service.core.tensors import Tensor, byte_size
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, listed, shown
from service.protocols.tfserving.errors import CODES
from service.protocols.tfserving.examples import serialized_examples
from service.protocols.tfserving.labelled import (
    CLASSIFY_METHOD,
    classify,
    classify_signature,
    regress,
    regress_signature,
    tasks_of,
)
from service.protocols.tfserving.models import (
    SIGNATURE_DEF,
    check_metadata_fields,
    model_spec,
    model_status,
    signature_map,
    write_model_spec,
)
from service.protocols.tfserving.predict import check_input_names, predict, resolve, signature_named
from service.seam.grpc import GrpcService, Handle, method_of
from service.wire import tensorflow_serving_pb2 as pb

PACKAGE = "tensorflow.serving"
TENSOR_CONTENT = b"x-tensorgate-tensor-content"
"""Metadata with which a client says whether it reads numbers as bytes; `true` or `false`, in place of the setting."""

_NO_SIGNATURE = 'Serving signature key "{name}" not found.'
_SIGNATURE_MAP_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


def _service(short: str, **handlers: tuple[Handle, Access]) -> GrpcService:
    name, descriptor = f"{PACKAGE}.{short}", pb.DESCRIPTOR.services_by_name[short]
    methods = {
        method: method_of(name, descriptor, method, handle, access=access)
        for method, (handle, access) in handlers.items()
    }
    # Upstream calls it by its short name in its own health service.
    return GrpcService(name, methods, descriptor, CODES, health_names=(short,))


class PredictionService:
    """The handlers of PredictionService.

    Args:
        engine: Has the models and runs them.
        bounds: Of messages.
        tensor_content: Whether numbers are answered as bytes, and not in the field of their dtype.
    """

    def __init__(self, engine: Engine, *, bounds: InputBounds, tensor_content: bool) -> None:
        self._engine = engine
        self._bounds = bounds
        self._tensor_content = tensor_content

    def service(self) -> GrpcService:
        """Returns the service with its methods."""
        return _service(
            "PredictionService",
            Predict=(self.predict, Access.INFER),
            Classify=(self.classify, Access.INFER),
            Regress=(self.regress, Access.INFER),
            MultiInference=(self.multi_inference, Access.INFER),
            GetModelMetadata=(self.get_model_metadata, Access.READ),
        )

    async def predict(self, request: pb.PredictRequest, call: Call) -> pb.PredictResponse:
        """Answers Predict."""
        version = _resolved(self._engine, request, call)
        signature = signature_named(self._engine, version, request.model_spec.signature_name, _NO_SIGNATURE)
        self._bounds.check_count(len(request.inputs), where="inputs")
        self._bounds.check_count(len(request.output_filter), where="output_filter")
        check_input_names(signature, list(request.inputs))
        begun = perf_counter()
        if call.size <= INLINE_BYTES:
            inputs = self._inputs(request, call)
        else:
            inputs = await offloaded(call.size, lambda: self._inputs(request, call))
        call.spent("decode", begun)
        outputs = await predict(
            self._engine, version, signature, inputs, wanted=tuple(request.output_filter), call=call
        )
        begun = perf_counter()
        wanted = call.metadata.get(TENSOR_CONTENT)
        as_content = self._tensor_content if wanted is None else wanted == b"true"
        response = pb.PredictResponse()
        write_model_spec(response.model_spec, version, signature.name)
        await offloaded(byte_size(outputs.values()), lambda: _encode(outputs, response, as_content=as_content))
        call.spent("encode", begun)
        return response

    def _inputs(self, request: pb.PredictRequest, call: Call) -> dict[str, Tensor]:
        """Returns the tensors by name."""
        inputs = {}
        for name, message in request.inputs.items():
            try:
                inputs[name] = decode_tensor(message, bounds=self._bounds, where=f"inputs.{name}", hold=call.hold)
            except GatewayError as error:
                raise error.reworded(f"tensor parsing error: {name}") if _is_wrong(error) else error from None
        return inputs

    async def classify(self, request: pb.ClassificationRequest, call: Call) -> pb.ClassificationResponse:
        """Answers Classify."""
        version = _resolved(self._engine, request, call)
        signature = classify_signature(self._engine, version, request.model_spec.signature_name)
        examples = await self._examples(request.input, call)
        result = await classify(self._engine, version, signature, examples, call)
        return pb.ClassificationResponse(result=result, model_spec=model_spec(version, signature.name))

    async def regress(self, request: pb.RegressionRequest, call: Call) -> pb.RegressionResponse:
        """Answers Regress."""
        version = _resolved(self._engine, request, call)
        signature = regress_signature(self._engine, version, request.model_spec.signature_name)
        examples = await self._examples(request.input, call)
        result = await regress(self._engine, version, signature, examples, call)
        return pb.RegressionResponse(result=result, model_spec=model_spec(version, signature.name))

    async def multi_inference(self, request: pb.MultiInferenceRequest, call: Call) -> pb.MultiInferenceResponse:
        """Answers MultiInference."""
        self._bounds.check_count(len(request.tasks), where="tasks")
        # Upstream finds the first task's model before it looks at the others (multi_inference.cc).
        version = resolve(self._engine, _named(request.tasks[0].model_spec if request.tasks else pb.ModelSpec()), call)
        names = {task.model_spec.name for task in request.tasks}
        if "" in names:
            raise GatewayError(ErrorKind.INVALID_INPUT, "Found ModelSpec with an empty model name.")
        if len(names) > 1:
            text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            raise GatewayError(ErrorKind.INVALID_INPUT, text)
        tasks = tasks_of(self._engine, version, request)
        examples = await self._examples(request.input, call)
        response = pb.MultiInferenceResponse()
        for task in tasks:
            result = response.results.add(model_spec=model_spec(version, task.given_name))
            if task.method_name == CLASSIFY_METHOD:
                classified = await classify(self._engine, version, task.signature, examples, call)
                result.classification_result.CopyFrom(classified)
            else:
                regressed = await regress(self._engine, version, task.signature, examples, call)
                result.regression_result.CopyFrom(regressed)
        return response

    async def get_model_metadata(self, request: pb.GetModelMetadataRequest, call: Call) -> pb.GetModelMetadataResponse:
        """Answers GetModelMetadata."""
        wanted = _reference(request)
        self._bounds.check_count(len(request.metadata_field), where="metadata_field")
        check_metadata_fields(list(request.metadata_field))
        version = resolve(self._engine, wanted, call)
        response = pb.GetModelMetadataResponse(model_spec=model_spec(version))
        metadata = response.metadata[SIGNATURE_DEF]
        metadata.type_url = _SIGNATURE_MAP_TYPE  # the message's own name is not upstream's
        metadata.value = signature_map(version).SerializeToString()
        return response

    async def _examples(self, message: pb.Input, call: Call) -> Tensor:
        with call.phase("decode"):
            return await offloaded(call.size, lambda: serialized_examples(message, bounds=self._bounds, hold=call.hold))


@dataclass(frozen=True, slots=True)
class ModelService:
    """The handlers of ModelService.

    Attributes:
        models: Those that there are.
        control: Changes what is served.
    """

    models: Models
    control: ModelControl

    def service(self) -> GrpcService:
        """Returns the service with its methods."""
        return _service(
            "ModelService",
            GetModelStatus=(self.get_model_status, Access.READ),
            HandleReloadConfigRequest=(self.reload_config, Access.CONTROL),
        )

    async def get_model_status(self, request: pb.GetModelStatusRequest, call: Call) -> pb.GetModelStatusResponse:
        """Answers GetModelStatus."""
        # Of no name there are no versions: upstream has no other words for it.
        return model_status(self.models, _spec_reference(_model_spec(request)), call)

    async def reload_config(self, request: pb.ReloadConfigRequest, call: Call) -> pb.ReloadConfigResponse:
        """Answers HandleReloadConfigRequest."""
        self.control.permit()
        self.models.check_control_of_all(call)
        configs = decode_reload(request.config)
        call.change = f"models {listed(shown(config.name) for config in configs) or 'none'}"
        await self.control.reload(configs)
        return pb.ReloadConfigResponse(status=pb.StatusProto())


def _encode(outputs: Mapping[str, Tensor], response: pb.PredictResponse, *, as_content: bool) -> None:
    for name, tensor in outputs.items():
        encode_tensor(tensor, response.outputs[name], as_content=as_content)


def _is_wrong(error: GatewayError) -> bool:
    return error.kind is ErrorKind.INVALID_INPUT


def _reference(request: Any) -> ModelRef:
    """Returns which model a request wants.

    Raises:
        GatewayError: INVALID_INPUT when it does not say so.
    """
    return _named(_model_spec(request))


def _model_spec(request: Any) -> pb.ModelSpec:
    if not request.HasField("model_spec"):
        raise GatewayError(ErrorKind.INVALID_INPUT, "Missing ModelSpec")
    spec: pb.ModelSpec = request.model_spec
    return spec


def _named(spec: pb.ModelSpec) -> ModelRef:
    if not spec.name:
        raise GatewayError(ErrorKind.INVALID_INPUT, "ModelSpec has no name specified.")
    return _spec_reference(spec)


def _spec_reference(spec: pb.ModelSpec) -> ModelRef:
    match spec.WhichOneof("version_choice"):
        case "version":
            return ModelRef(spec.name, version=spec.version.value)
        case "version_label":
            return ModelRef(spec.name, label=spec.version_label)
        case _:
            return ModelRef(spec.name)


def _resolved(engine: Engine, request: Any, call: Call) -> ModelVersion:
    return resolve(engine, _reference(request), call)
