"""TensorFlow Serving's gRPC services: messages to requests, answers to messages."""

from collections.abc import Mapping
from typing import Any, Literal

from grpc import aio

from service.codecs.model_config import decode_reload
from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core import call as calls
from service.core.call import Call
from service.core.catalog import ModelRef, ModelVersion
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.offload import INLINE_BYTES, offloaded
from service.core.tensors import Signature, Tensor, byte_size
from service.errors import ErrorKind, GatewayError
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
)
from service.protocols.tfserving.predict import check_input_names, predict, resolve, signature_named
from service.protocols.tfserving.rpc_shortcut import PredictShortcut
from service.wire import tensorflow_serving_pb2 as pb

PACKAGE = "tensorflow.serving"
DESCRIPTORS = pb.DESCRIPTOR.services_by_name

_NO_SIGNATURE = 'Serving signature key "{name}" not found.'
_SIGNATURE_MAP_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"

Context = aio.ServicerContext[Any, Any]


class PredictionServicer:
    """The handlers of PredictionService.

    Args:
        engine: Has the models and runs them.
        tensor_content: Whether numbers are answered as bytes: where the request's came so, always, or never.

    Attributes:
        shortcuts: Of its methods, by name.
    """

    def __init__(self, engine: Engine, *, tensor_content: Literal["mirror", "always", "never"]) -> None:
        self._engine = engine
        self._tensor_content = tensor_content
        self._shortcut = PredictShortcut(engine, tensor_content=tensor_content)
        self.shortcuts = {"Predict": self._shortcut}

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802
        """Answers Predict."""
        call = calls.current()
        version = _resolved(self._engine, request, call)
        signature = signature_named(self._engine, version, request.model_spec.signature_name, _NO_SIGNATURE)
        bounds = self._engine.bounds
        bounds.check_count(len(request.inputs), where="inputs")
        bounds.check_count(len(request.output_filter), where="output_filter")
        check_input_names(signature, request.inputs.keys())
        with call.phase("decode"):
            size = request.ByteSize()
            if size <= INLINE_BYTES:
                inputs = self._inputs(request, call)
            else:
                inputs = await offloaded(size, lambda: self._inputs(request, call))
        outputs = await predict(
            self._engine, version, signature, inputs, wanted=tuple(request.output_filter), call=call
        )
        self._shortcut.remember(request, version, signature, inputs, call)
        with call.phase("encode"):
            response = pb.PredictResponse(model_spec=model_spec(version, signature.name))
            as_content = self._as_content(inputs)
            size = byte_size(outputs.values())
            if size <= INLINE_BYTES:
                _encode(outputs, response, as_content=as_content)
            else:
                await offloaded(size, lambda: _encode(outputs, response, as_content=as_content))
        return response

    def _inputs(self, request: pb.PredictRequest, call: Call) -> dict[str, Tensor]:
        inputs = {}
        for name, message in request.inputs.items():
            try:
                inputs[name] = decode_tensor(
                    message, bounds=self._engine.bounds, where=f"inputs.{name}", hold=call.hold
                )
            except GatewayError as error:
                raise error.reworded(f"tensor parsing error: {name}") if _is_wrong(error) else error from None
        return inputs

    def _as_content(self, inputs: Mapping[str, Tensor]) -> bool:
        if self._tensor_content == "mirror":
            return any(not tensor.flags.writeable for tensor in inputs.values())  # those that came as bytes
        return self._tensor_content == "always"

    async def Classify(self, request: pb.ClassificationRequest, context: Context) -> pb.ClassificationResponse:  # noqa: N802
        """Answers Classify."""
        call = calls.current()
        version = _resolved(self._engine, request, call)
        signature = classify_signature(self._engine, version, request.model_spec.signature_name)
        examples = await self._examples(request.input, call)
        result = await classify(self._engine, version, signature, examples, call)
        return pb.ClassificationResponse(result=result, model_spec=model_spec(version, signature.name))

    async def Regress(self, request: pb.RegressionRequest, context: Context) -> pb.RegressionResponse:  # noqa: N802
        """Answers Regress."""
        call = calls.current()
        version = _resolved(self._engine, request, call)
        signature = regress_signature(self._engine, version, request.model_spec.signature_name)
        examples = await self._examples(request.input, call)
        result = await regress(self._engine, version, signature, examples, call)
        return pb.RegressionResponse(result=result, model_spec=model_spec(version, signature.name))

    async def MultiInference(  # noqa: N802
        self, request: pb.MultiInferenceRequest, context: Context
    ) -> pb.MultiInferenceResponse:
        """Answers MultiInference."""
        call = calls.current()
        self._engine.bounds.check_count(len(request.tasks), where="tasks")
        names = {task.model_spec.name for task in request.tasks}
        if "" in names:
            raise GatewayError(ErrorKind.INVALID_INPUT, "Found ModelSpec with an empty model name.")
        if len(names) > 1:
            text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            raise GatewayError(ErrorKind.INVALID_INPUT, text)
        if not names:
            raise GatewayError(ErrorKind.INVALID_INPUT, "Missing ModelSpec")
        version = _resolved(self._engine, request.tasks[0], call)
        tasks = tasks_of(self._engine, version, request)
        examples = await self._examples(request.input, call)
        response = pb.MultiInferenceResponse()
        for task in tasks:
            result = response.results.add(model_spec=model_spec(version, task.given_name))
            await self._run(version, task.signature, task.method_name, examples, result)
        return response

    async def _run(
        self, version: ModelVersion, signature: Signature, method: str, examples: Tensor, result: pb.InferenceResult
    ) -> None:
        call = calls.current()
        if method == CLASSIFY_METHOD:
            classified = await classify(self._engine, version, signature, examples, call)
            result.classification_result.CopyFrom(classified)
        else:
            regressed = await regress(self._engine, version, signature, examples, call)
            result.regression_result.CopyFrom(regressed)

    async def GetModelMetadata(  # noqa: N802
        self, request: pb.GetModelMetadataRequest, context: Context
    ) -> pb.GetModelMetadataResponse:
        """Answers GetModelMetadata."""
        wanted = _reference(request)
        self._engine.bounds.check_count(len(request.metadata_field), where="metadata_field")
        check_metadata_fields(list(request.metadata_field))
        version = resolve(self._engine, wanted, calls.current())
        response = pb.GetModelMetadataResponse(model_spec=model_spec(version))
        metadata = response.metadata[SIGNATURE_DEF]
        metadata.type_url = _SIGNATURE_MAP_TYPE  # the message's own name is not upstream's
        metadata.value = signature_map(version).SerializeToString()
        return response

    async def _examples(self, message: pb.Input, call: Call) -> Tensor:
        with call.phase("decode"):
            return await offloaded(
                message.ByteSize(), lambda: serialized_examples(message, bounds=self._engine.bounds, hold=call.hold)
            )


class ModelServicer:
    """The handlers of ModelService.

    Args:
        engine: Has the models.
        control: Changes what is served.
    """

    def __init__(self, engine: Engine, control: ModelControl) -> None:
        self._engine = engine
        self._control = control

    async def GetModelStatus(self, request: pb.GetModelStatusRequest, context: Context) -> pb.GetModelStatusResponse:  # noqa: N802
        """Answers GetModelStatus."""
        return model_status(self._engine, _reference(request), calls.current())

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: pb.ReloadConfigRequest, context: Context
    ) -> pb.ReloadConfigResponse:
        """Answers HandleReloadConfigRequest."""
        self._control.permit()
        await self._control.reload(decode_reload(request.config))
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
    if not request.HasField("model_spec"):
        raise GatewayError(ErrorKind.INVALID_INPUT, "Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise GatewayError(ErrorKind.INVALID_INPUT, "ModelSpec has no name specified.")
    match spec.WhichOneof("version_choice"):
        case "version":
            return ModelRef(spec.name, version=spec.version.value)
        case "version_label":
            return ModelRef(spec.name, label=spec.version_label)
        case _:
            return ModelRef(spec.name)


def _resolved(engine: Engine, request: Any, call: Call) -> ModelVersion:
    return resolve(engine, _reference(request), call)
