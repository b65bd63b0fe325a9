"""Servers that are asked over gRPC: TensorFlow Serving's PredictionService, and the Open Inference Protocol's."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Protocol

import grpc

from service.codecs.open_inference import datatype_of, decode_raw, dtype_of, encode_raw
from service.codecs.open_inference_contents import decode_contents
from service.codecs.prediction_log import CLASSIFY, EXAMPLES, classified, examples_of, regressed, verb_of
from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.core.record import Record
from service.core.tasks import PREDICT
from service.core.tensors import Tensor
from service.errors import OK, GatewayError
from service.replay.target import Aim, Answer
from service.wire import open_inference_pb2 as v2
from service.wire import tensorflow_serving_pb2 as pb

PREDICTION_SERVICE = "/tensorflow.serving.PredictionService/"
INFERENCE_SERVICE = "/inference.GRPCInferenceService/"
_MOST = 2**31 - 1
_BOUNDS = InputBounds(max_request_bytes=_MOST, max_tensor_elements=_MOST)

Read = Callable[[Any], Mapping[str, Tensor]]


class RpcProtocol(Protocol):
    """How a protocol asks over gRPC."""

    def call(self, record: Record, aim: Aim) -> tuple[str, Any, Any, Read]:
        """Returns the path of the method, the request, the class of the response, and what reads that.

        Raises:
            GatewayError: NOT_SUPPORTED when a tensor has no form in it.
        """


class RpcTarget:
    """A server that is asked over gRPC.

    Args:
        channel: To the server; closed with this.
        protocol: That it speaks.
        aim: Which model is asked.
        timeout: Seconds for an answer.
    """

    def __init__(self, channel: grpc.Channel, protocol: RpcProtocol, aim: Aim, timeout: float) -> None:
        self._channel = channel
        self._protocol = protocol
        self._aim = aim
        self._timeout = timeout

    def ask(self, record: Record) -> Answer:
        """Asks what was recorded.

        Raises:
            GatewayError: NOT_SUPPORTED when a tensor has no form in the protocol.
        """
        path, request, response, read = self._protocol.call(record, self._aim)
        method = self._channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        begun = perf_counter()
        try:
            message = method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            failed: Any = error
            return Answer(failed.code().name, {}, failed.details() or "", perf_counter() - begun)
        seconds = perf_counter() - begun
        try:
            return Answer(OK, read(message), "", seconds)
        except (GatewayError, LookupError) as error:
            return Answer("not understood", {}, str(error), seconds)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


class TfServingOverRpc:
    """TensorFlow Serving's PredictionService: examples by Classify and Regress, as they came, all else by Predict."""

    def call(self, record: Record, aim: Aim) -> tuple[str, Any, Any, Read]:
        """Returns the method, the request, the class of the response, and what reads that."""
        if (verb := verb_of(record)) and (examples := examples_of(record.inputs[EXAMPLES])) is not None:
            given: Any = pb.ClassificationRequest() if verb == CLASSIFY else pb.RegressionRequest()
            _specify(given.model_spec, record, aim)
            given.input.example_list.examples.extend(examples)
            if verb == CLASSIFY:
                path = f"{PREDICTION_SERVICE}Classify"
                return path, given, pb.ClassificationResponse, lambda message: classified(message.result)
            return (
                f"{PREDICTION_SERVICE}Regress",
                given,
                pb.RegressionResponse,
                lambda message: regressed(message.result),
            )
        request = pb.PredictRequest(output_filter=record.wanted)
        _specify(request.model_spec, record, aim)
        for name, tensor in record.inputs.items():
            encode_tensor(tensor, request.inputs[name], as_content=True)
        return f"{PREDICTION_SERVICE}Predict", request, pb.PredictResponse, _predicted


class OpenInferenceOverRpc:
    """The Open Inference Protocol's ModelInfer, with raw tensors."""

    def call(self, record: Record, aim: Aim) -> tuple[str, Any, Any, Read]:
        """Returns the method, the request, the class of the response, and what reads that."""
        version = "" if aim.version is None else str(aim.version)
        request = v2.ModelInferRequest(model_name=aim.name(record), model_version=version)
        for name, tensor in record.inputs.items():
            datatype = datatype_of(tensor, where=f"inputs.{name}")
            request.inputs.add(name=name, datatype=datatype, shape=tensor.shape)
            request.raw_input_contents.append(encode_raw(tensor))
        for name in record.wanted:
            request.outputs.add(name=name)
        if record.signature != PREDICT:
            request.parameters["signature_name"].string_param = record.signature
        return f"{INFERENCE_SERVICE}ModelInfer", request, v2.ModelInferResponse, _inferred


def _specify(spec: pb.ModelSpec, record: Record, aim: Aim) -> None:
    spec.name, spec.signature_name = aim.name(record), record.signature
    if aim.version is not None:
        spec.version.value = aim.version
    elif aim.label is not None:
        spec.version_label = aim.label


def _predicted(response: pb.PredictResponse) -> Mapping[str, Tensor]:
    return {name: decode_tensor(each, bounds=_BOUNDS, where=name) for name, each in response.outputs.items()}


def _inferred(response: v2.ModelInferResponse) -> Mapping[str, Tensor]:
    outputs = {}
    for index, entry in enumerate(response.outputs):
        dtype, shape = dtype_of(entry.datatype, where=entry.name), tuple(entry.shape)
        if response.raw_output_contents:
            outputs[entry.name] = decode_raw(response.raw_output_contents[index], dtype, shape, where=entry.name)
        else:
            outputs[entry.name] = decode_contents(entry.contents, dtype, shape, where=entry.name)
    return outputs
