import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.codecs.packed import append_packed, is_packable, read_packed
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb

FIELDS = {"float32": "float_val", "float64": "double_val", "complex64": "scomplex_val", "complex128": "dcomplex_val"}


@pytest.mark.parametrize("dtype", FIELDS)
@given(data=st.data())
def test_the_field_holds_what_one_number_after_the_other_would_give(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, array_shapes(min_dims=0, min_side=0, max_side=40)))
    numbers = array.ravel()
    parts = numbers.view(numbers.real.dtype) if numbers.dtype.kind == "c" else numbers
    expected = tf_pb.TensorProto()
    getattr(expected, FIELDS[dtype]).extend(parts.tolist())
    message = tf_pb.TensorProto()
    append_packed(message, FIELDS[dtype], array)
    assert message.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


def test_it_appends_to_what_is_there_and_touches_nothing_else() -> None:
    message = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, float_val=[1], int_val=[7])
    append_packed(message, "float_val", np.arange(200, dtype=np.float32))
    assert list(message.float_val) == [1, *range(200)]
    assert (message.dtype, list(message.int_val)) == (tf_pb.DT_FLOAT, [7])


def test_rows_that_are_not_next_to_each_other_and_big_endian_numbers() -> None:
    contents = oip.InferTensorContents()
    append_packed(contents, "fp64_contents", np.arange(6.0).reshape(2, 3)[:, ::-1].astype(">f8"))
    assert list(contents.fp64_contents) == [2, 1, 0, 5, 4, 3]


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32", "float16", "object"])
def test_other_numbers_have_other_bytes_on_the_wire(dtype: str) -> None:
    assert not is_packable(np.zeros(1, dtype))


@pytest.mark.parametrize(("field", "dtype"), [("float_val", "float32"), ("double_val", "float64")])
@given(data=st.data())
def test_numbers_are_read_bit_by_bit_whatever_else_the_message_holds(
    field: str, dtype: str, data: st.DataObject
) -> None:
    array = data.draw(arrays(dtype, st.integers(0, 70)))
    message = tf_pb.TensorProto(dtype=tf_pb.DT_UINT64, int_val=[7], string_val=[b"x" * 200], uint64_val=[2**63])
    message.tensor_shape.dim.add(size=2**40)
    append_packed(message, field, array)
    numbers = read_packed(message, field, dtype)
    assert numbers.tobytes() == array.tobytes()
    assert numbers.flags.aligned
    assert numbers.flags.writeable


def test_numbers_that_came_in_pieces_and_unpacked_are_read_in_their_order() -> None:
    one, two, three = (np.float32(number).tobytes() for number in (1, 2, 3))
    packed, single = b"\x2a\x04", b"\x2d"  # the field 5, with a length, and as 32 bits
    group = b"\xab\x02" + packed + one + b"\xac\x02"  # the field 37, which is unknown, and begins and ends
    message = tf_pb.TensorProto.FromString(
        group + packed + one + single + two + packed + three + b"\xd1\x02" + b"8" * 8
    )
    assert read_packed(message, "float_val", "float32").tolist() == [1, 2, 3]
    assert read_packed(tf_pb.TensorProto.FromString(group), "float_val", "float32").tolist() == []
