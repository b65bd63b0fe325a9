"""Our subsets of upstream's messages, held against upstream's own: field by field, and byte by byte."""

from collections.abc import Iterable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import Descriptor
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import error_codes_pb2, meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    logging_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2,
    regression_pb2,
    status_pb2,
)
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.wire import tensorflow_pb2, tensorflow_serving_pb2

PREFIX = "tensorgate.wire."
OFFICIAL_MODULES = (
    *(example_pb2, feature_pb2, tensor_pb2, tensor_shape_pb2, meta_graph_pb2),
    *(classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, input_pb2, logging_pb2),
    *(model_management_pb2, model_pb2, predict_pb2, prediction_log_pb2, regression_pb2, status_pb2),
    *(file_system_storage_path_source_pb2, model_server_config_pb2),
)


def _messages(descriptor: Descriptor) -> Iterator[Descriptor]:
    yield descriptor
    for nested in descriptor.nested_types:
        if not nested.GetOptions().map_entry:
            yield from _messages(nested)


def _all_messages(modules: Iterable[Any]) -> Iterator[Descriptor]:
    for module in modules:
        for top in module.DESCRIPTOR.message_types_by_name.values():
            yield from _messages(top)


OFFICIAL = {message.full_name: message for message in _all_messages(OFFICIAL_MODULES)}
FIRST_OF_OURS = 1000
"""Fields of this number and beyond are additions."""
OURS = list(_all_messages((tensorflow_pb2, tensorflow_serving_pb2)))
SERVICES = {
    "PredictionService": prediction_service_pb2,
    "ModelService": model_service_pb2,
}


def _official(message: Descriptor) -> Any:
    return OFFICIAL[message.full_name.removeprefix(PREFIX)]


@pytest.mark.parametrize("message", OURS, ids=lambda message: message.full_name.removeprefix(PREFIX))
def test_each_field_is_upstreams(message: Descriptor) -> None:
    official = _official(message)
    for field in message.fields:
        if field.number >= FIRST_OF_OURS:
            continue
        theirs = official.fields_by_number[field.number]
        assert (field.name, field.type, field.is_repeated) == (theirs.name, theirs.type, theirs.is_repeated)
        oneofs = [each.containing_oneof and each.containing_oneof.name for each in (field, theirs)]
        assert oneofs[0] == oneofs[1]
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            assert field.message_type.full_name.removeprefix(PREFIX) == theirs.message_type.full_name


@pytest.mark.parametrize("service", SERVICES)
def test_each_method_is_upstreams(service: str) -> None:
    ours = tensorflow_serving_pb2.DESCRIPTOR.services_by_name[service]
    official = SERVICES[service].DESCRIPTOR.services_by_name[service]

    def signatures(descriptor: Any) -> dict[str, tuple[str, str]]:
        return {
            method.name: tuple(kind.full_name.removeprefix(PREFIX) for kind in (method.input_type, method.output_type))
            for method in descriptor.methods
        }

    assert signatures(ours).items() <= signatures(official).items()


def test_each_status_code_has_upstreams_number() -> None:
    for name, number in tensorflow_serving_pb2.StatusProto.Code.items():
        assert error_codes_pb2.Code.Value(name) == number


def test_each_dtype_has_upstreams_number() -> None:
    for name, number in tensorflow_pb2.DataType.items():
        assert types_pb2.DataType.Value(name) == number


DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16", ml_dtypes.bfloat16]


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_that_we_encode_are_the_same_to_tensorflow(dtype: Any, as_content: bool) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    message = tensorflow_pb2.TensorProto()
    encode_tensor(array, message, as_content=as_content)
    theirs = tf.make_ndarray(tensor_pb2.TensorProto.FromString(message.SerializeToString()))
    assert theirs.dtype == array.dtype
    np.testing.assert_array_equal(theirs, array)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_that_tensorflow_encodes_decode_to_the_same(dtype: Any) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    ours = tensorflow_pb2.TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())
    decoded = decode_tensor(ours, bounds=InputBounds(), where="")
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)


def test_strings_that_tensorflow_encodes_decode_to_the_same() -> None:
    ours = tensorflow_pb2.TensorProto.FromString(tf.make_tensor_proto([[b"a"], [b"\xff"]]).SerializeToString())
    assert decode_tensor(ours, bounds=InputBounds(), where="").tolist() == [[b"a"], [b"\xff"]]
