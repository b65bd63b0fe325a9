"""Messages between the gateway and its helper process: a few fields and tensors, as one frame on a socket.

Numbers are in a frame as they are in memory, and only the kernel copies them. Both ends are of the same release and on
the same machine.
"""

import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from service.core.tensors import NUMPY_DTYPES, STRING, Tensor, dtype_name
from service.wire import tensorflow_pb2 as tf_pb

Fields = dict[str, Any]
"""What JSON can hold."""
Frame = tuple[Fields, dict[str, Tensor]]

_HEAD_BYTES = struct.Struct("<Q")
_MAX_PARTS = 512
"""Parts in one system call, which takes 1024."""
_TENSORS = "tensors"


class ConnectionEndedError(Exception):
    """The other end has closed the connection."""


def encode(fields: Fields, tensors: Mapping[str, Tensor]) -> list[memoryview]:
    """Returns a frame, in parts; numbers are not copied.

    Args:
        fields: With any names except ``tensors``.
        tensors: By name.
    """
    described, parts = [], []
    for name, tensor in tensors.items():
        dtype = dtype_name(tensor)
        part = _packed(tensor) if dtype == STRING else np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data
        described.append((name, dtype, tensor.shape, part.nbytes))
        parts.append(part)
    head = orjson.dumps(fields | {_TENSORS: described})
    return [memoryview(_HEAD_BYTES.pack(len(head)) + head), *parts]


def send(connection: socket.socket, frame: Sequence[memoryview]) -> None:
    """Sends a frame.

    Raises:
        ConnectionEndedError: When the other end is gone.
    """
    left = [part for part in frame if part.nbytes]
    try:
        while left:
            sent = connection.sendmsg(left[:_MAX_PARTS])
            while left and sent >= left[0].nbytes:
                sent -= left.pop(0).nbytes
            if sent:
                left[0] = left[0][sent:]
    except OSError as error:
        raise ConnectionEndedError from error


def receive(connection: socket.socket) -> Frame:
    """Waits for a frame; returns its fields and tensors.

    Raises:
        ConnectionEndedError: When the other end is gone, even in the middle of a frame.
    """
    prefix = _read(connection, _HEAD_BYTES.size)
    fields: Fields = orjson.loads(_read(connection, _HEAD_BYTES.unpack(prefix)[0]))
    tensors = {
        name: _tensor(dtype, shape, _read(connection, size)) for name, dtype, shape, size in fields.pop(_TENSORS)
    }
    return fields, tensors


def _read(connection: socket.socket, size: int) -> memoryview:
    data = np.empty(size, np.uint8).data
    done = 0
    try:
        while done < size:
            read = connection.recv_into(data[done:], 0, socket.MSG_WAITALL)
            if not read:
                raise ConnectionEndedError
            done += read
    except OSError as error:
        raise ConnectionEndedError from error
    return data


def _tensor(dtype: str, shape: Sequence[int], data: memoryview) -> Tensor:
    if dtype != STRING:
        return np.frombuffer(data, NUMPY_DTYPES[dtype]).reshape(shape)
    values = tf_pb.TensorProto.FromString(bytes(data)).string_val
    tensor = np.empty(len(values), object)
    tensor[:] = list(values)
    return tensor.reshape(shape)


def _packed(tensor: Tensor) -> memoryview:
    """Returns strings as a message of TensorFlow, which C++ encodes and decodes."""
    return memoryview(tf_pb.TensorProto(string_val=tensor.ravel().tolist()).SerializeToString())
