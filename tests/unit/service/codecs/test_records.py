"""Recorded requests, as PredictionLogs and as lines of JSON: written, and read back."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from service.codecs.prediction_log import CLASSIFY, decode_log, encode_log, verb_of
from service.codecs.recorded_json import decode_line, encode_line
from service.core.bounds import InputBounds
from service.core.record import Record
from service.core.tensors import Tensor
from service.errors import GatewayError
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as pb

BOUNDS = InputBounds()
TENSORS: list[Tensor] = [
    np.array([[1.5, np.nan], [np.inf, -0.1]], np.float32),
    np.array([1e300, -np.inf], np.float64),
    np.arange(40_000, dtype=np.int64).reshape(2, -1),
    np.array([2**64 - 1], np.uint64),
    np.array([True, False]),
    np.array(3, np.int8),
    np.zeros((0, 3), np.float32),
    np.array([b"text", "ä".encode()], object),
    np.array([[b"\xff\x00"]], object),
    np.array([0.5, 1.5], np.float16),
    np.array([0.5, 1.5], ml_dtypes.bfloat16),
]


def strings(*texts: bytes) -> Tensor:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def record(inputs: dict[str, Tensor], outputs: dict[str, Tensor] | None = None, **fields: Any) -> Record:
    known: dict[str, Any] = {"version": 3, "time": 1_700_000_000.0, "request_id": "id", "seconds": 0.25}
    return Record("m", "s", inputs, outputs, **(known | fields))


def example(**values: float) -> bytes:
    message = tf_pb.Example()
    for name, value in values.items():
        message.features.feature[name].float_list.value.append(value)
    return message.SerializeToString()


def same(one: Tensor, other: Tensor) -> None:
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype}{tensor.shape}")
@pytest.mark.parametrize(("encode", "decode"), [(encode_log, decode_log), (encode_line, decode_line)])
def test_tensors_come_back_as_they_were(tensor: Tensor, encode: Any, decode: Any) -> None:
    found = decode(encode(record({"x": tensor}, {"y": tensor}, wanted=("y",))), bounds=BOUNDS)
    same(found.inputs["x"], tensor)
    same(found.outputs["y"], tensor)
    assert (found.model, found.signature, found.version, found.wanted) == ("m", "s", 3, ("y",))


def test_a_line_says_what_is_known_of_the_request() -> None:
    line = encode_line(record({"x": np.ones(2, np.float32)}, method="POST /v2", code="timeout"))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.000000+00:00",
        "request_id": "id",
        "method": "POST /v2",
        "model": "m",
        "version": 3,
        "signature": "s",
        "code": "timeout",
        "seconds": 0.25,
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.0, 1.0]}],
    }
    found = decode_line(line, bounds=BOUNDS)
    assert (found.code, found.outputs, found.request_id) == ("timeout", None, "id")


def test_what_is_redacted_is_missing_in_a_line() -> None:
    line = encode_line(record({"x": np.ones(2), "secret": strings(b"hush")}, redacted=("secret",)))
    assert b"hush" not in line
    assert decode_line(line, bounds=BOUNDS).redacted == ("secret",)


def test_a_log_of_redacted_inputs_has_no_answer() -> None:
    log = encode_log(record({"x": np.zeros(2)}, {"y": np.ones(2)}, redacted=("x",)))
    assert not pb.PredictionLog.FromString(log).predict_log.HasField("response")


def test_a_request_of_examples_is_logged_as_one() -> None:
    examples = strings(example(a=1), example(a=2))
    outputs: dict[str, Tensor] = {
        "classes": np.array([[b"low", b"high"]] * 2, object),
        "scores": np.array([[0.25, 0.75], [1, 0]], np.float32),
    }
    data = encode_log(record({"inputs": examples}, outputs, method="tensorflow.serving.PredictionService/Classify"))
    log = pb.PredictionLog.FromString(data).classify_log
    assert [
        example.features.feature["a"].float_list.value[0] for example in log.request.input.example_list.examples
    ] == [1, 2]
    assert not log.request.model_spec.HasField("version")
    assert log.response.model_spec.version.value == 3
    assert log.response.result.classifications[0].classes[1].label == "high"
    found = decode_log(data, bounds=BOUNDS)
    assert verb_of(found) == CLASSIFY
    assert found.outputs is not None
    for name, tensor in outputs.items():
        same(found.outputs[name], tensor)


def test_so_is_one_of_regression() -> None:
    data = encode_log(
        record(
            {"inputs": strings(example())},
            {"outputs": np.ones((1, 1), np.float32)},
            method="POST /v1/models/{m}:regress",
        )
    )
    found = decode_log(data, bounds=BOUNDS)
    assert found.outputs is not None
    same(found.outputs["outputs"], np.ones(1, np.float32))


def test_what_only_looks_like_examples_is_a_predict_request() -> None:
    outputs: dict[str, Tensor] = {"classes": np.array([[b"a"]], object)}
    for inputs in ({"inputs": strings(b"\xff no example")}, {"image_bytes": strings(example())}):
        log = encode_log(record(inputs, outputs, method="POST /api/v1/models/{model}/classify"))
        assert pb.PredictionLog.FromString(log).WhichOneof("log_type") == "predict_log"


def test_examples_share_a_context() -> None:
    message = pb.PredictionLog()
    with_context = message.regress_log.request.input.example_list_with_context
    with_context.examples.append(tf_pb.Example.FromString(example(a=1)))
    with_context.context.CopyFrom(tf_pb.Example.FromString(example(b=2)))
    found = decode_log(message.SerializeToString(), bounds=BOUNDS)
    assert set(tf_pb.Example.FromString(found.inputs["inputs"][0]).features.feature) == {"a", "b"}
    assert (found.signature, found.outputs, found.version) == ("serving_default", None, None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"model": 1}',
        b'{"model": "m", "signature": "s"}',
        b'{"model": "m", "signature": "s", "inputs": [1]}',
        b'{"model": "m", "signature": "s", "inputs": [], "version": "1"}',
        b'{"model": "m", "signature": "s", "inputs": [], "version": 9223372036854775808}',
        b'{"model": "m", "signature": "s", "inputs": [], "wanted": [1]}',
        b'{"model": "m", "signature": "s", "inputs": [{"name": "x", "datatype": "FP32", "shape": 1, "data": [1]}]}',
        b'{"model": "m", "signature": "s", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}',
        b'{"model": "m", "signature": "s", "inputs": [{"name": "x", "datatype": "FP99", "shape": [1], "data": [1]}]}',
    ],
)
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(GatewayError):
        decode_line(line, bounds=BOUNDS)


@pytest.mark.parametrize(
    "data", [b"\xff\xff", b"", pb.PredictionLog(log_metadata=pb.LogMetadata()).SerializeToString()]
)
def test_a_message_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(GatewayError):
        decode_log(data, bounds=BOUNDS)
