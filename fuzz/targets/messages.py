"""Messages of Protocol Buffers: tensors, tf.Examples, and the requests of the three gRPC protocols."""

from functools import partial
from typing import Any

import numpy as np
from google.protobuf.message import Message

from fuzz.models import BOUNDS, call, engine, requested, same
from fuzz.target import Target, check
from service.codecs.open_inference import encode_raw
from service.codecs.packed import read_packed
from service.codecs.tensor_proto import decode_tensor, encode_tensor, serialize_tensor
from service.core.model_version import ModelRef
from service.core.tasks import PREDICT
from service.protocols.native import grpc_messages as native
from service.protocols.open_inference.grpc_messages import decode_request, parameters_of
from service.protocols.open_inference.messages import wanted_signature
from service.protocols.tfserving.examples import serialized_examples
from service.schemas import ClassifyRequest, ForecastRequest
from service.seam.grpc import parser_of
from service.validation import validated
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as typed
from tests.mutated_messages import mutated_message
from tests.valid_rpcs import CLASSIFY, IMAGES, INFER, MULTI, REGRESS, RPCS, SERIES, RpcMethod
from tests.valid_rpcs import PREDICT as TFS_PREDICT


def _tensor(data: bytes) -> None:
    """What was decoded is written in each way, and decoded again."""
    tensor = decode_tensor(parser_of(tf_pb.TensorProto)(data), bounds=BOUNDS, where="x")
    check(tensor.size <= BOUNDS.max_tensor_elements, f"{tensor.size} elements")
    for as_content in (False, True):
        message = tf_pb.TensorProto()
        encode_tensor(tensor, message, as_content=as_content)
        again = decode_tensor(message, bounds=BOUNDS, where="x")
        check(same(tensor, again), f"written as {message} it is another tensor")
    head, rest = serialize_tensor(tensor)
    again = decode_tensor(tf_pb.TensorProto.FromString(head + rest.tobytes()), bounds=BOUNDS, where="x")
    check(same(tensor, again), "serialized in two parts it is another tensor")


def _packed(data: bytes) -> None:
    message = parser_of(tf_pb.TensorProto)(data)
    for field, dtype in (("float_val", "float32"), ("double_val", "float64")):
        numbers = read_packed(message, field, dtype)
        check(same(numbers, np.array(getattr(message, field), dtype)), f"{field} is read otherwise than one by one")


def _infer(data: bytes) -> None:
    request = parser_of(oip.ModelInferRequest)(data)
    message = decode_request(request, bounds=BOUNDS)
    for tensor in message.inputs.values():
        encode_raw(tensor)
    name = wanted_signature(message.parameters) or PREDICT
    version = engine().resolve(ModelRef(request.model_name), call())
    wanted = tuple(output.name for output in message.outputs)
    requested(version, engine().signature(version, name), message.inputs, wanted)


def _parameters(data: bytes) -> None:
    parameters_of(parser_of(oip.RepositoryModelLoadRequest)(data).parameters, bounds=BOUNDS)


def _predict(data: bytes) -> None:
    request = parser_of(tfs.PredictRequest)(data)
    version = engine().resolve(ModelRef(request.model_spec.name), call())
    signature = engine().signature(version, request.model_spec.signature_name or PREDICT)
    inputs = {name: decode_tensor(tensor, bounds=BOUNDS, where=name) for name, tensor in request.inputs.items()}
    requested(version, signature, inputs, tuple(request.output_filter))


def _examples(kind: type[Message], data: bytes) -> None:
    request: Any = parser_of(kind)(data)
    examples = serialized_examples(request.input, bounds=BOUNDS, hold=lambda _: None)
    for example in examples:
        tf_pb.Example.FromString(example)


def _classify(data: bytes) -> None:
    validated(ClassifyRequest, native.classify_fields(parser_of(typed.ClassifyRequest)(data)))


def _forecast(data: bytes) -> None:
    validated(ForecastRequest, native.forecast_fields(parser_of(typed.ForecastRequest)(data)))


def _seeds(method: RpcMethod) -> tuple[bytes, ...]:
    return tuple(message.SerializeToString() for message in RPCS[method])


def _of(kind: type[Message]) -> Any:
    return lambda data, random: mutated_message(data, kind, random)


_TENSORS = tuple(
    tensor.SerializeToString()
    for message in RPCS[TFS_PREDICT]
    for tensor in getattr(message, "inputs").values()  # noqa: B009  # of a message of any kind
)
_LOAD = oip.RepositoryModelLoadRequest(
    model_name="sum",
    parameters={
        "config": oip.ModelRepositoryParameter(string_param="{}"),
        "number": oip.ModelRepositoryParameter(int64_param=7),
        "file": oip.ModelRepositoryParameter(bytes_param=b"\0\xff"),
    },
)
TARGETS = (
    Target("tensor-proto", _tensor, _TENSORS, _of(tf_pb.TensorProto)),
    Target("packed", _packed, _TENSORS, _of(tf_pb.TensorProto)),
    Target("rpc-predict", _predict, _seeds(TFS_PREDICT), _of(tfs.PredictRequest)),
    Target("rpc-classify", partial(_examples, tfs.ClassificationRequest), _seeds(CLASSIFY), _of(CLASSIFY.request)),
    Target("rpc-regress", partial(_examples, tfs.RegressionRequest), _seeds(REGRESS), _of(REGRESS.request)),
    Target("rpc-multi", partial(_examples, tfs.MultiInferenceRequest), _seeds(MULTI), _of(MULTI.request)),
    Target("rpc-infer", _infer, _seeds(INFER), _of(oip.ModelInferRequest)),
    Target("rpc-load", _parameters, (_LOAD.SerializeToString(),), _of(oip.RepositoryModelLoadRequest)),
    Target("rpc-images", _classify, _seeds(IMAGES), _of(typed.ClassifyRequest)),
    Target("rpc-series", _forecast, _seeds(SERIES), _of(typed.ForecastRequest)),
)
