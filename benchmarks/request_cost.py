"""Measures what memory requests take to be read, in multiples of their bytes: ``python -m benchmarks.request_cost``.

Each kind of input is the worst that is known of it, 4 MB of it, and is read as the server reads it, by a process of its
own; Linux only. The table stands in docs/operations.md, below "What a request can cost".
"""

import asyncio
import ctypes
import gzip
import os
import struct
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from service.codecs.content_encoding import decompressed
from service.codecs.images import as_seen
from service.codecs.json_document import parse_json
from service.codecs.open_inference import decode_raw
from service.codecs.tensor_proto import decode_tensor
from service.core.bounds import InputBounds
from service.core.tensors import Signature, TensorSpec
from service.protocols.open_inference.grpc_messages import decode_request
from service.protocols.tfserving.examples import serialized_examples
from service.protocols.tfserving.instances import predict_body
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

SIZE = 4_000_000
BOUNDS = replace(InputBounds(), max_extended_json_bytes=2 * SIZE, max_request_rows=SIZE)
NUMBERS = Signature("s", "", {"x": TensorSpec("float32", None)}, {})
STRINGS = Signature("s", "", {"x": TensorSpec("string", None)}, {})
MIB = 1024 * 1024

Read = Callable[[bytes], object]


def many(content: bytes) -> bytes:
    """As much of it as there is to be."""
    return content * (SIZE // len(content))


def part(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*head, length]) + content


def listed(element: bytes) -> bytes:
    """A document whose rows are these."""
    return b'{"instances": [' + b",".join([element] * (SIZE // (len(element) + 1))) + b"]}"


def predict(signature: Signature) -> Read:
    """Reads a body of TensorFlow Serving's REST API."""
    return lambda data: predict_body(parse_json(data, bounds=BOUNDS, arrays=True), signature, bounds=BOUNDS)


def parsed(data: bytes) -> object:
    """Reads JSON, and nothing of it."""
    return parse_json(data, bounds=BOUNDS, arrays=True)


def tensor(data: bytes) -> object:
    """Reads a tensor of TensorFlow Serving's gRPC API."""
    message = tf_pb.TensorProto.FromString(data)
    return message, decode_tensor(message, bounds=BOUNDS, where="x")


def proto(dtype: tf_pb.DataType, count: int, values: bytes) -> bytes:
    """A tensor of so many values."""
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=count)])
    return tf_pb.TensorProto(dtype=dtype, tensor_shape=shape).SerializeToString() + values


def infer(data: bytes) -> object:
    """Reads a message of the Open Inference Protocol."""
    return decode_request(oip.ModelInferRequest.FromString(data), bounds=BOUNDS)


def examples(data: bytes) -> object:
    """Reads the examples of Classify."""
    message = tfs.Input.FromString(data)
    return message, serialized_examples(message, bounds=BOUNDS, hold=lambda _: None)


def unpacked(data: bytes) -> object:
    """Reads a compressed body."""
    return asyncio.run(decompressed(data, "gzip", limit=BOUNDS.max_request_bytes, hold=lambda _: None))


def transparent() -> bytes:
    """A picture of 4 million pixels that is not plain."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2000, 2000, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(2000 * (1 + 4 * 2000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


CASES: Mapping[str, tuple[Callable[[], bytes], Read]] = {
    "JSON: numbers in a list": (lambda: listed(b"1"), predict(NUMBERS)),
    "JSON: a number in each row's object": (lambda: listed(b'{"x":1}'), predict(NUMBERS)),
    "JSON: short strings": (lambda: listed(b'"ab"'), predict(STRINGS)),
    "JSON: empty lists": (lambda: listed(b"[[]]"), parsed),
    "JSON: objects": (lambda: listed(b'{"a":0}'), parsed),
    "JSON that is not plain: numbers and NaN": (lambda: listed(b"1") [:-2] + b",NaN]}", predict(NUMBERS)),
    "JSON that is not plain: objects and NaN": (lambda: listed(b'{"a":0}')[:-2] + b",NaN]}", parsed),
    "gRPC: numbers as bytes": (lambda: proto(tf_pb.DT_FLOAT, SIZE // 4, part(4, bytes(SIZE))), tensor),
    "gRPC: numbers one by one": (lambda: proto(tf_pb.DT_FLOAT, SIZE // 4, part(5, bytes(SIZE))), tensor),
    "gRPC: small integers of 64 bits": (lambda: proto(tf_pb.DT_INT64, SIZE, part(10, bytes(SIZE))), tensor),
    "gRPC: empty strings": (lambda: proto(tf_pb.DT_STRING, SIZE // 2, many(part(8, b""))), tensor),
    "gRPC: one key of a map, again and again": (lambda: many(part(2, b"")), tfs.PredictRequest.FromString),
    "gRPC: empty inputs": (lambda: many(part(5, b"")), oip.ModelInferRequest.FromString),
    "gRPC: examples of one feature": (lambda: part(1, many(part(1, part(1, part(1, part(1, b"a")))))), examples),
    "gRPC: models of a reload": (lambda: part(1, part(1, many(part(1, b"")))), tfs.ReloadConfigRequest.FromString),
    "raw strings of no bytes": (lambda: many(bytes(4)), lambda data: decode_raw(data, "string", [10**6], where="x")),
    "gzip of 30 MiB of spaces": (lambda: gzip.compress(b" " * (30 * MIB)), unpacked),
    "a PNG that is not plain, 4 million pixels": (transparent, lambda data: as_seen(data, where="x")),
}  # fmt: skip


def main() -> None:
    """Prints the table."""
    sys.stdout.write("| input | bytes | memory | multiple |\n| --- | --- | --- | --- |\n")
    for name, (make, read) in CASES.items():
        data = make()
        taken = _in_a_process_of_its_own(partial(_taken, data, read))
        row = f"| {name} | {len(data):,} | {taken / 1e6:.0f} MB | {taken / len(data):.1f} |\n"
        sys.stdout.write(row)
        sys.stdout.flush()


def _taken(data: bytes, read: Read) -> int:
    ctypes.CDLL(None).malloc_trim(0)  # what lies ready from before would not be seen
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until now
    before = _memory("VmRSS")
    kept: Any = read(data)
    taken = _memory("VmHWM") - before
    del kept
    return taken


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


def _in_a_process_of_its_own(work: Callable[[], int]) -> int:
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, str(work()).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as result:
        return int(result.read() or -1)


if __name__ == "__main__":
    main()
