from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from service.backends.tfserving.messages import outputs_of, predict_request
from service.codecs.tensor_proto import decode_tensor
from service.core.bounds import InputBounds
from service.core.model_version import ModelVersion, State
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as pb

VERSION = ModelVersion("m", 7, State.AVAILABLE)
TENSORS: dict[str, Tensor] = {
    "rows": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns": np.arange(12, dtype=np.int64).reshape(3, 4)[:, ::2],
    "scalar": np.array(True),
    "nothing": np.zeros((0, 3), np.float64),
    "bfloat16": np.array([1.5, -2], ml_dtypes.bfloat16),
    "complex": np.array([1 + 2j]),
    "größe": np.array([[b"a", b"\xff" * 300]], object),
}


def signature(**outputs: Any) -> Signature:
    return Signature("serving_default", "", {}, outputs)


def assert_same(tensor: Tensor, expected: Tensor) -> None:
    assert (tensor.dtype, tensor.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(tensor, expected)


def test_a_request_holds_what_was_put_in() -> None:
    data = predict_request(VERSION, signature(), TENSORS)
    request = pb.PredictRequest.FromString(data)
    assert (request.model_spec.name, request.model_spec.version.value) == ("m", 7)
    assert request.model_spec.signature_name == "serving_default"
    assert request.inputs.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert_same(decode_tensor(request.inputs[name], bounds=InputBounds(), where=name), tensor)
    assert predict_pb2.PredictRequest.FromString(data).inputs["rows"].tensor_content == TENSORS["rows"].tobytes()


@pytest.mark.parametrize("as_content", [True, False])
def test_an_answer_gives_its_tensors(as_content: bool) -> None:
    response = pb.PredictResponse()
    output = response.outputs["y"]
    output.dtype = tf_pb.DT_FLOAT
    output.tensor_shape.dim.add().size = 2
    if as_content:
        output.tensor_content = np.array([1, 2], np.float32).tobytes()
    else:
        output.float_val.extend([1, 2])
    outputs = outputs_of(response, signature(y=TensorSpec("float32", (None,))))
    assert_same(outputs["y"], np.array([1, 2], np.float32))


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({}, "the outputs ['y'] instead of []"),
        ({"z": TensorSpec("float32", None)}, "the outputs ['y'] instead of ['z']"),
        ({"y": TensorSpec("int32", None)}, "float32 for the output y, which is int32"),
        ({"y": TensorSpec("float32", None)}, "outputs.y.tensor_shape: expected dimensions of 0 or more, got '[-1]'"),
    ],
)
def test_an_answer_that_does_not_fit_the_signature_is_the_backends_fault(outputs: Any, text: str) -> None:
    response = pb.PredictResponse()
    response.outputs["y"].dtype = tf_pb.DT_FLOAT
    response.outputs["y"].tensor_shape.dim.add().size = -1 if "shape" in text else 1
    with pytest.raises(GatewayError) as caught:
        outputs_of(response, signature(**outputs))
    assert caught.value.kind is ErrorKind.BACKEND_FAILED
    assert caught.value.message == f"the backend's answer makes no sense: {text}"
