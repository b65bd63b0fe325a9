"""Messages read field by field, against what protobuf says of them."""

import pytest

from service.backends.savedmodel.fields import contents, fields
from service.wire import tensorflow_pb2 as tf_pb

_DIMENSIONS = [tf_pb.TensorShapeProto.Dim(size=size, name="n" * size) for size in (1, 300, 2)]
_TENSOR = tf_pb.TensorProto(
    dtype=tf_pb.DT_FLOAT, tensor_shape=tf_pb.TensorShapeProto(dim=_DIMENSIONS), tensor_content=b"\0" * 20_000
)
_SERIALIZED = memoryview(_TENSOR.SerializeToString())


def test_what_has_a_length_is_found_and_all_else_is_passed_over() -> None:
    found = {field.number: bytes(field.content) for field in fields(_SERIALIZED)}
    assert found == {2: _TENSOR.tensor_shape.SerializeToString(), 4: _TENSOR.tensor_content}
    whole = b"".join(field.whole for field in fields(_SERIALIZED))
    assert tf_pb.TensorProto.FromString(whole).tensor_shape == _TENSOR.tensor_shape


def test_contents_are_those_of_one_number_in_their_order() -> None:
    (shape,) = contents(_SERIALIZED, 2)
    assert [tf_pb.TensorShapeProto.Dim.FromString(bytes(dim)) for dim in contents(shape, 2)] == _DIMENSIONS
    assert not list(contents(shape, 3))


def test_fixed_numbers_are_passed_over() -> None:
    message = b"\x0d1234" + b"\x1112345678" + b"\x1a\x01x"
    assert [(field.number, bytes(field.content)) for field in fields(memoryview(message))] == [(3, b"x")]


@pytest.mark.parametrize("length", [1, 4, 100, len(_SERIALIZED) - 1])
def test_half_a_message_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="ends too early"):
        list(fields(_SERIALIZED[:length]))


@pytest.mark.parametrize("rubbish", [b"\x0b", b"\x0f123", b"\xff" * 20])
def test_what_is_no_message_is_refused(rubbish: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        list(fields(memoryview(rubbish)))
