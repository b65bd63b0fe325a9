"""TensorFlow's TensorProto to numpy arrays and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.codecs.booleans import check_booleans
from service.codecs.packed import append_packed, field_head, is_packable, read_numbers, read_packed
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor, dtype_name
from service.errors import ErrorKind, Violation, invalid_input
from service.wire import tensorflow_pb2 as tf_pb

NAMES: dict[tf_pb.DataType, str] = {
    tf_pb.DT_FLOAT: "float32",
    tf_pb.DT_DOUBLE: "float64",
    tf_pb.DT_HALF: "float16",
    tf_pb.DT_BFLOAT16: "bfloat16",
    tf_pb.DT_INT8: "int8",
    tf_pb.DT_INT16: "int16",
    tf_pb.DT_INT32: "int32",
    tf_pb.DT_INT64: "int64",
    tf_pb.DT_UINT8: "uint8",
    tf_pb.DT_UINT16: "uint16",
    tf_pb.DT_UINT32: "uint32",
    tf_pb.DT_UINT64: "uint64",
    tf_pb.DT_BOOL: "bool",
    tf_pb.DT_COMPLEX64: "complex64",
    tf_pb.DT_COMPLEX128: "complex128",
    tf_pb.DT_STRING: STRING,
}
"""The dtypes of the wire, by the names that they have everywhere else."""
NUMBERS: dict[str, tf_pb.DataType] = {name: number for number, name in NAMES.items()}

_FIELDS: dict[str, tuple[str, str]] = {
    "float32": ("float_val", "float32"),
    "float64": ("double_val", "float64"),
    "float16": ("half_val", "uint16"),
    "bfloat16": ("half_val", "uint16"),
    "int8": ("int_val", "int32"),
    "int16": ("int_val", "int32"),
    "int32": ("int_val", "int32"),
    "int64": ("int64_val", "int64"),
    "uint8": ("int_val", "int32"),
    "uint16": ("int_val", "int32"),
    "uint32": ("uint32_val", "uint32"),
    "uint64": ("uint64_val", "uint64"),
    "bool": ("bool_val", "bool"),
    "complex64": ("scomplex_val", "float32"),
    "complex128": ("dcomplex_val", "float64"),
}
"""The field that holds the values of a dtype one by one, and the dtype in which they lie there.

Of 16-bit floats the field holds the bits, of complex numbers both parts by turns (TensorFlow's ``tensor.proto``).
"""
_BITS = {"float16", "bfloat16"}
_FLOATS = {"float32", "float64"}
_CHUNK = 65_536
_CONTENT = tf_pb.TensorProto.TENSOR_CONTENT_FIELD_NUMBER
_NOTHING: Tensor = np.empty(0, np.uint8)


Hold = Callable[[int], None]
"""Counts bytes that are about to be allocated beyond those that came; refuses where there are too many."""


def decode_tensor(
    message: tf_pb.TensorProto, *, bounds: InputBounds, where: str, hold: Hold = lambda _: None
) -> Tensor:
    """Returns the tensor as an array; numbers in ``tensor_content`` are not copied, and so are read-only.

    Values that come one by one may be fewer than the shape says: the last one is repeated, and none at all are zeros.
    What is beyond the shape is dropped. TensorFlow reads them so (``Tensor::FromProto``).

    Args:
        message: With its values in ``tensor_content`` or in the field of its dtype.
        bounds: Of its size; checked before anything is allocated.
        where: Path of the tensor, for errors.
        hold: Called before values that were not sent are allocated.

    Raises:
        GatewayError: INVALID_INPUT when it makes no tensor, TOO_LARGE, and what ``hold`` raises.
    """
    name = NAMES.get(message.dtype)
    if name is None:
        raise invalid_input(Violation(f"{where}.dtype", "a dtype that can be served", str(message.dtype)))
    given = message.tensor_shape
    if given.unknown_rank:
        raise invalid_input(Violation(f"{where}.tensor_shape", "a known shape", "an unknown rank"))
    shape = tuple([dim.size for dim in given.dim])  # a list: a generator takes twice as long
    count = bounds.check_shape(shape, where=f"{where}.tensor_shape")
    if name == STRING:
        return _strings(message, count, _Claims(bounds, where, hold)).reshape(shape)
    if content := message.tensor_content:  # each look at it is a copy
        return _content(content, name, count, where).reshape(shape)
    return _values(message, name, count, _Claims(bounds, where, hold)).reshape(shape)


@dataclass(slots=True)
class _Claims:
    """Bounds what a tensor's shape claims beyond the values that came."""

    bounds: InputBounds
    where: str
    hold: Hold

    def check(self, size: int) -> None:
        """Refuses, or counts, bytes that are about to be allocated."""
        self.bounds.check_bytes(size, where=self.where)
        self.hold(size)


def _content(data: bytes, name: str, count: int, where: str) -> Tensor:
    dtype = NUMPY_DTYPES[name]
    if len(data) != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize} bytes, as {count} of {name} have"
        raise invalid_input(Violation(f"{where}.tensor_content", expected, f"{len(data)} bytes"))
    if name == "bool":
        check_booleans(data, where=f"{where}.tensor_content")
    return np.frombuffer(data, dtype)


def _values(message: tf_pb.TensorProto, name: str, count: int, claims: _Claims) -> Tensor:
    field, held_as = _FIELDS[name]
    dtype = NUMPY_DTYPES[name]
    given: Tensor
    if held_as in _FLOATS:
        given = read_packed(message, field, held_as)
    else:
        given = read_numbers(getattr(message, field), "int32" if name in _BITS else held_as)
    if name in _BITS:
        given = given.astype(held_as).view(dtype)
    elif dtype.kind == "c":
        given = given[: len(given) // 2 * 2].view(dtype)
    else:
        given = given.astype(dtype, copy=False)
    if len(given) >= count:
        return given[:count]
    claims.check((count - len(given)) * dtype.itemsize)
    filled = np.full(count, given[-1] if len(given) else 0, dtype)
    filled[: len(given)] = given
    return filled


def _strings(message: tf_pb.TensorProto, count: int, claims: _Claims) -> Tensor:
    where = claims.where
    given = _unpacked(message.tensor_content, count, where) if message.tensor_content else list(message.string_val)
    repeated = given[-1] if given else b""
    # TensorFlow has a copy of the string for each of them.
    claims.check(max(0, count - len(given)) * (NUMPY_DTYPES[STRING].itemsize + len(repeated)))
    array = np.empty(count, object)
    array[:] = repeated
    array[: len(given)] = given[:count]
    return array


def _unpacked(data: bytes, count: int, where: str) -> list[bytes]:
    """Reads strings that TensorFlow packed: all their lengths as varints, then all their bytes."""
    position, lengths = 0, []
    fault = invalid_input(Violation(f"{where}.tensor_content", f"{count} packed strings", f"{len(data)} other bytes"))
    for _ in range(count):
        length = shift = 0
        while True:
            if position == len(data) or shift > 63:  # a varint has at most ten bytes
                raise fault
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # its last byte
                break
        lengths.append(length)
    if sum(lengths) != len(data) - position:
        raise fault
    strings = []
    for length in lengths:
        strings.append(data[position : position + length])
        position += length
    return strings


def encode_tensor(tensor: Tensor, message: tf_pb.TensorProto, *, as_content: bool) -> None:
    """Fills a message with the tensor.

    Args:
        tensor: Of any dtype that can be served.
        message: Empty.
        as_content: Whether numbers go into ``tensor_content``, as bytes, or one by one into the field of their dtype.

    Raises:
        GatewayError: NOT_SUPPORTED for a dtype that the wire does not have.
    """
    name = dtype_name(tensor)
    _describe(name, tensor.shape, message)
    if name == STRING:
        message.string_val.extend(tensor.ravel().tolist())
    elif as_content:
        message.tensor_content = tensor.tobytes()
    else:
        _extend(message, tensor, name)


def serialize_tensor(tensor: Tensor) -> tuple[bytes, Tensor]:
    """Returns a serialized message in two parts: numbers are the second one, and not copied before both are joined.

    Args:
        tensor: Of any dtype that can be served; numbers travel as ``tensor_content``.

    Raises:
        GatewayError: NOT_SUPPORTED for a dtype that the wire does not have.
    """
    name = dtype_name(tensor)
    if name != STRING:
        return _content_head(name, tensor.shape, tensor.nbytes), np.ascontiguousarray(tensor)
    message = tf_pb.TensorProto()
    _describe(name, tensor.shape, message)
    message.string_val.extend(tensor.ravel().tolist())
    return message.SerializeToString(), _NOTHING


def _content_head(name: str, shape: tuple[int, ...], size: int) -> bytes:
    """Returns all of a serialized message that stands before so many bytes of ``tensor_content``."""
    message = tf_pb.TensorProto()
    _describe(name, shape, message)
    return message.SerializeToString() + field_head(_CONTENT, size)


def _describe(name: str, shape: tuple[int, ...], message: tf_pb.TensorProto) -> None:
    """Fills in dtype and shape."""
    message.dtype = _number(name)
    shape_of = message.tensor_shape
    shape_of.SetInParent()
    add = shape_of.dim.add
    for size in shape:
        add(size=size)


def _extend(message: tf_pb.TensorProto, tensor: Tensor, name: str) -> None:
    field, held_as = _FIELDS[name]
    if is_packable(tensor):
        append_packed(message, field, tensor)
        return
    flat: Any = np.ascontiguousarray(tensor).ravel()
    if name in _BITS:
        flat = flat.view(held_as)
    values = getattr(message, field)
    for start in range(0, len(flat), _CHUNK):  # between two of them other threads get their turn
        values.extend(flat[start : start + _CHUNK].tolist())


def _number(name: str) -> tf_pb.DataType:
    number = NUMBERS.get(name)
    if number is None:
        raise invalid_input(Violation("outputs", "a dtype of the protocol", name), kind=ErrorKind.NOT_SUPPORTED)
    return number


def dtype_number(name: str) -> tf_pb.DataType:
    """Returns the wire's number of a dtype; DT_INVALID for one that it does not have."""
    return NUMBERS.get(name, tf_pb.DT_INVALID)
