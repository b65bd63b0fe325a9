"""TensorFlow's TensorProto to numpy arrays."""

import math

import numpy as np

from service.core.tensors import Tensor
from service.wire import tensorflow_pb2 as tf_pb

_NUMPY: dict[int, str] = {
    tf_pb.DT_FLOAT: "<f4",
    tf_pb.DT_DOUBLE: "<f8",
    tf_pb.DT_INT32: "<i4",
    tf_pb.DT_UINT8: "|u1",
    tf_pb.DT_INT16: "<i2",
    tf_pb.DT_INT8: "|i1",
    tf_pb.DT_INT64: "<i8",
    tf_pb.DT_BOOL: "|b1",
}
_VALUES: dict[int, str] = {
    tf_pb.DT_FLOAT: "float_val",
    tf_pb.DT_DOUBLE: "double_val",
    tf_pb.DT_INT32: "int_val",
    tf_pb.DT_UINT8: "int_val",
    tf_pb.DT_INT16: "int_val",
    tf_pb.DT_INT8: "int_val",
    tf_pb.DT_INT64: "int64_val",
    tf_pb.DT_BOOL: "bool_val",
}


def decode_tensor(message: tf_pb.TensorProto) -> Tensor:
    """Returns the tensor as an array; numbers in ``tensor_content`` are not copied, and so are read-only.

    Args:
        message: With its values in ``tensor_content`` or in the field of its dtype, as many as its shape says.

    Raises:
        ValueError: When the dtype is not one of the subset, or shape and values disagree.
    """
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if min(shape, default=0) < 0 or message.tensor_shape.unknown_rank:
        raise ValueError("a tensor's shape must be known")
    values: Tensor
    if message.dtype == tf_pb.DT_STRING:
        values = np.empty(len(message.string_val), object)
        values[:] = list(message.string_val)
    elif message.dtype not in _NUMPY:
        raise ValueError(f"tensors of dtype {message.dtype} are not supported")
    elif message.tensor_content:
        values = np.frombuffer(message.tensor_content, _NUMPY[message.dtype])
    else:
        values = np.array(getattr(message, _VALUES[message.dtype]), _NUMPY[message.dtype])
    if values.size != math.prod(shape):
        raise ValueError(f"a tensor of shape {list(shape)} came with {values.size} values")
    return values.reshape(shape)
