"""Our subsets of upstream's messages, held against upstream's own: field by field, and byte by byte."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import Descriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from service.codecs.tensor_proto import decode_tensor
from service.wire import tensorflow_pb2, tensorflow_serving_pb2

PREFIX = "tensorgate.wire."
OFFICIAL = {
    message.full_name: message
    for module in (tensor_pb2, tensor_shape_pb2, model_pb2, predict_pb2, prediction_log_pb2)
    for message in module.DESCRIPTOR.message_types_by_name.values()
}


def _messages(descriptor: Descriptor) -> Iterator[Descriptor]:
    yield descriptor
    for nested in descriptor.nested_types:
        if not nested.GetOptions().map_entry:
            yield from _messages(nested)


OURS = [
    message
    for module in (tensorflow_pb2, tensorflow_serving_pb2)
    for top in module.DESCRIPTOR.message_types_by_name.values()
    for message in _messages(top)
]


def _official(message: Descriptor) -> Any:
    outer, _, nested = message.full_name.removeprefix(PREFIX).partition("TensorShapeProto.")
    return OFFICIAL[outer + "TensorShapeProto"].nested_types_by_name[nested] if nested else OFFICIAL[outer]


@pytest.mark.parametrize("message", OURS, ids=lambda message: message.full_name.removeprefix(PREFIX))
def test_each_field_is_upstreams(message: Descriptor) -> None:
    official = _official(message)
    for field in message.fields:
        theirs = official.fields_by_number[field.number]
        assert (field.name, field.type, field.is_repeated) == (theirs.name, theirs.type, theirs.is_repeated)
        oneofs = [each.containing_oneof and each.containing_oneof.name for each in (field, theirs)]
        assert oneofs[0] == oneofs[1]


def test_each_dtype_has_upstreams_number() -> None:
    for name, number in tensorflow_pb2.DataType.items():
        assert types_pb2.DataType.Value(name) == number


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "i2", "i1", "i8", "?"])
def test_tensors_that_tensorflow_encodes_decode_to_the_same(dtype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    ours = tensorflow_pb2.TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())
    decoded = decode_tensor(ours)
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)


def test_strings_that_tensorflow_encodes_decode_to_the_same() -> None:
    ours = tensorflow_pb2.TensorProto.FromString(tf.make_tensor_proto([[b"a"], [b"\xff"]]).SerializeToString())
    assert decode_tensor(ours).tolist() == [[b"a"], [b"\xff"]]
