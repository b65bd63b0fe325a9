import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as pb

NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", ml_dtypes.bfloat16]
BOUNDS = InputBounds(max_tensor_elements=1000)


def decoded(message: pb.TensorProto, **options: Any) -> Tensor:
    return decode_tensor(message, bounds=BOUNDS, where="inputs.x", **options)


def encoded(tensor: Tensor, *, as_content: bool) -> pb.TensorProto:
    message = pb.TensorProto()
    encode_tensor(tensor, message, as_content=as_content)
    return pb.TensorProto.FromString(message.SerializeToString())


def shape(*sizes: int) -> pb.TensorShapeProto:
    return pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in sizes])


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@given(data=st.data())
def test_numbers_come_back_bit_by_bit(dtype: Any, as_content: bool, data: st.DataObject) -> None:
    sizes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    words = np.dtype(dtype)
    raw = data.draw(arrays.arrays(np.uint8 if words != np.bool_ else np.bool_, (*data.draw(sizes), words.itemsize)))
    tensor = raw.view(words)[..., 0]
    back = decoded(encoded(tensor, as_content=as_content))
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    if as_content:
        assert back.tobytes() == tensor.tobytes()
    else:
        with np.errstate(invalid="ignore"):  # the bits of a NaN are not kept, one by one
            wide = np.complex128 if words.kind == "c" else np.float64 if words.kind in "fV" else words
            np.testing.assert_array_equal(back.astype(wide), tensor.astype(wide))


@given(st.lists(st.binary(max_size=5), max_size=6))
def test_strings_come_back(values: list[bytes]) -> None:
    tensor = np.empty(len(values), object)
    tensor[:] = values
    assert decoded(encoded(tensor, as_content=True)).tolist() == values


def test_a_column_of_another_array_is_encoded_as_it_reads() -> None:
    tensor = np.arange(6, dtype=np.float32).reshape(2, 3).T
    for as_content in (True, False):
        np.testing.assert_array_equal(decoded(encoded(tensor, as_content=as_content)), tensor)


def test_numbers_in_bytes_are_not_copied() -> None:
    message = pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(2), tensor_content=bytes(8))
    assert not decoded(message).flags.owndata


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(3), float_val=[7]), [7, 7, 7]),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(3), float_val=[1, 2]), [1, 2, 2]),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(3)), [0, 0, 0]),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(1), float_val=[1, 2, 3]), [1]),
        (pb.TensorProto(dtype=pb.DT_INT8, tensor_shape=shape(1), int_val=[300]), [44]),
        (pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(2), string_val=[b"a"]), [b"a", b"a"]),
        (pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(2)), [b"", b""]),
        (pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(2), tensor_content=b"\x01\x02abc"), [b"a", b"bc"]),
    ],
)
def test_what_is_short_or_packed_is_read_as_tensorflow_reads_it(message: pb.TensorProto, values: list[Any]) -> None:
    assert decoded(message).tolist() == values


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(1), tensor_content=b"abc"), "tensor_content"),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(0), tensor_content=b"abcd"), "tensor_content"),
        (
            pb.TensorProto(dtype=pb.DT_BOOL, tensor_shape=shape(3), tensor_content=b"\0\1\2"),
            "tensor_content, element 2",
        ),
        (pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(2), tensor_content=b"\x01\x02ab"), "tensor_content"),
        (pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(1), tensor_content=b"\xff" * 20), "tensor_content"),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(-1), float_val=[1]), "tensor_shape"),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=pb.TensorShapeProto(unknown_rank=True)), "tensor_shape"),
        (pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape(*[1] * 65), float_val=[1]), "tensor_shape"),
        (pb.TensorProto(dtype=pb.DT_INVALID, tensor_shape=shape(1)), "dtype"),
        (pb.TensorProto(dtype=20, tensor_shape=shape(1)), "dtype"),  # type: ignore[arg-type]  # DT_RESOURCE
    ],
)
def test_what_makes_no_tensor_is_refused_with_its_place(message: pb.TensorProto, where: str) -> None:
    with pytest.raises(GatewayError) as caught:
        decoded(message)
    assert (caught.value.kind, caught.value.violations[0].where) == (ErrorKind.INVALID_INPUT, f"inputs.x.{where}")


@pytest.mark.parametrize("sizes", [(1001,), (2**40, 2**40), (2**62, 0, 2**62), (-(2**63),)])
def test_a_huge_shape_allocates_nothing(sizes: tuple[int, ...]) -> None:
    message = pb.TensorProto(dtype=pb.DT_DOUBLE, tensor_shape=shape(*sizes), double_val=[1.0])
    with pytest.raises(GatewayError):
        decoded(message)


def test_values_that_did_not_come_are_counted_before_they_are_made() -> None:
    held: list[int] = []
    decoded(pb.TensorProto(dtype=pb.DT_DOUBLE, tensor_shape=shape(10), double_val=[1.0]), hold=held.append)
    decoded(pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(10)), hold=held.append)
    decoded(pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(10), string_val=[b"abc"]), hold=held.append)
    assert held == [72, 80, 9 * (8 + 3)]


@pytest.mark.parametrize(
    "message",
    [
        pb.TensorProto(dtype=pb.DT_DOUBLE, tensor_shape=shape(1000), double_val=[1.0]),
        pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(1000)),
        pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape(10), string_val=[b"x" * 500]),
    ],
)
def test_values_that_did_not_come_take_no_more_than_a_message(message: pb.TensorProto) -> None:
    bounds = InputBounds(max_request_bytes=4096)
    with pytest.raises(GatewayError, match="max_request_bytes") as caught:
        decode_tensor(message, bounds=bounds, where="x")
    assert caught.value.kind is ErrorKind.TOO_LARGE


@given(st.binary(max_size=200))
def test_no_bytes_whatever_crash_it(data: bytes) -> None:
    try:
        message = pb.TensorProto.FromString(data)
    except Exception:  # protobuf's own refusal
        return
    with contextlib.suppress(GatewayError):
        decoded(message)
