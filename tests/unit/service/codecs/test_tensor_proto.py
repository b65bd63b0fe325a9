import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.tensor_proto import decode_tensor
from service.wire import tensorflow_pb2 as pb


def shape(*sizes: int) -> pb.TensorShapeProto:
    return pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in sizes])


def test_numbers_are_read_from_their_bytes() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    message = pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(2, 3), tensor_content=array.tobytes())
    np.testing.assert_array_equal(decode_tensor(message), array)


def test_numbers_are_read_from_the_field_of_their_dtype() -> None:
    message = pb.TensorProto(dtype=pb.DT_INT8, tensor_shape=shape(3), int_val=[-1, 0, 1])
    decoded = decode_tensor(message)
    assert decoded.dtype == np.int8
    assert decoded.tolist() == [-1, 0, 1]


def test_strings_are_bytes() -> None:
    message = pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(2), string_val=[b"a\0", b""])
    assert decode_tensor(message).tolist() == [b"a\0", b""]


@pytest.mark.parametrize(
    "message",
    [
        pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(3), float_val=[1]),
        pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(1), tensor_content=b"abc"),
        pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(-1), float_val=[1]),
        pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=pb.TensorShapeProto(unknown_rank=True)),
        pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(2**40, 2**40)),
        pb.TensorProto(dtype=pb.DT_INVALID, tensor_shape=shape(1)),
    ],
)
def test_what_does_not_go_together_is_refused(message: pb.TensorProto) -> None:
    with pytest.raises(ValueError, match=r"tensor|buffer"):
        decode_tensor(message)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_crash_it(data: bytes) -> None:
    try:
        message = pb.TensorProto.FromString(data)
    except Exception:  # protobuf's own refusal
        return
    with contextlib.suppress(ValueError):
        decode_tensor(message)
