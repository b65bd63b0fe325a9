"""What messages are told to take by their bytes, held against what the parser takes."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.seam.message_cost import TooManyFieldsError, message_cost
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.processes import ROOT

MANY = 100_000_000
SIZE = 4 * 1024 * 1024


def part(number: int, content: bytes) -> bytes:
    """A length-delimited field of up to 127 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def long_part(number: int, content: bytes) -> bytes:
    """One of four mebibytes."""
    length = len(content)
    return bytes([number << 3 | 2, *(length >> shift & 0x7F | 0x80 for shift in (0, 7, 14)), length >> 21]) + content


def many(content: bytes) -> bytes:
    return content * (SIZE // len(content))


def cost(kind: Any, data: bytes, max_fields: int) -> int:
    return message_cost(kind.DESCRIPTOR, data, max_fields)


MESSAGES: dict[str, tuple[Any, Callable[[], bytes]]] = {
    "inputs": (oip.ModelInferRequest, lambda: many(part(5, b""))),
    "parameters": (oip.ModelInferRequest, lambda: many(part(4, part(2, b"\x10\x01")))),
    "raw contents": (oip.ModelInferRequest, lambda: many(part(7, b""))),
    "one key of a map": (tfs.PredictRequest, lambda: many(part(2, b""))),
    "one key, with its value": (tfs.PredictRequest, lambda: many(part(2, part(2, part(2, b""))))),
    "small numbers": (tf_pb.TensorProto, lambda: long_part(10, bytes(SIZE))),
    "strings": (tf_pb.TensorProto, lambda: many(part(8, b""))),
    "dimensions": (tf_pb.TensorShapeProto, lambda: many(part(2, b""))),
    "features": (
        tf_pb.Example,
        lambda: long_part(1, b"".join(part(1, part(1, b"%d" % key)) for key in range(SIZE // 11))),
    ),
    "models": (tfs.ReloadConfigRequest, lambda: long_part(1, long_part(1, many(part(1, b""))))),
    "unknown fields": (pb.ClassifyRequest, lambda: many(b"\xf8\x07\x00")),
    "series": (pb.ForecastRequest, lambda: many(part(3, b""))),
}

PARSING = """
import sys
from tests.unit.service.seam.test_message_cost import MESSAGES

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) * 1024

kind, make = MESSAGES[sys.argv[1]]
data = make()
before = resident()
message = kind.FromString(data)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("case", MESSAGES)
def test_no_message_takes_more_than_it_is_told_to(case: str) -> None:
    kind, make = MESSAGES[case]
    data = make()
    taken = subprocess.run([sys.executable, "-c", PARSING, case], cwd=ROOT, check=True, capture_output=True, text=True)
    told = len(data) + cost(kind, data, MANY)
    assert int(taken.stdout) <= 1.1 * told + 1024 * 1024
    assert told <= 128 * len(data)


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_tensor_as_bytes_takes_next_to_nothing_beyond_them(size: int) -> None:
    tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_content=bytes(size))
    data = tfs.PredictRequest(inputs={"x": tensor}).SerializeToString()
    assert cost(tfs.PredictRequest, data, 100) < 1000


def test_fields_are_counted_on_all_levels() -> None:
    message = oip.ModelInferRequest(inputs=[oip.ModelInferRequest.InferInputTensor(name="x", shape=[1, 2])] * 10)
    data = message.SerializeToString()
    cost(oip.ModelInferRequest, data, 30)
    with pytest.raises(TooManyFieldsError):
        cost(oip.ModelInferRequest, data, 29)


@given(
    st.binary(max_size=60) | st.text("\x0a\x12\x1a\x22\x2a\x80\x01\x00\x03\x0b\x0c\x7f", max_size=40).map(str.encode)
)
def test_no_bytes_whatever_crash_it(data: bytes) -> None:
    for kind in (tfs.PredictRequest, oip.ModelInferRequest, tf_pb.TensorProto, pb.ClassifyRequest):
        assert cost(kind, data, MANY) >= 0
