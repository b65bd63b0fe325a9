"""TFRecord files: byte strings, each guarded by two checksums, so that a reader finds what is damaged and goes on.

One record is, in little-endian order, its length as eight bytes, the masked CRC-32C of those eight bytes, the
payload, and the masked CRC-32C of the payload (TensorFlow documentation, "TFRecord and tf.train.Example").
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from service.codecs.crc32c import masked_crc32c, masked_crc32c_of_rows

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEAD = _LENGTH.size + _CHECKSUM.size
OVERHEAD = _HEAD + _CHECKSUM.size
"""Bytes of a record beyond its payload."""
_WINDOW = 1 << 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands at a place of a file: a record, or something damaged.

    Attributes:
        number: Of the record in the file, from 1 on; what is damaged counts as one.
        offset: Where it begins, in bytes.
        payload: Of the record; empty where it is damaged.
        fault: What is wrong with it; empty where nothing is.
    """

    number: int
    offset: int
    payload: bytes
    fault: str = ""


def frame(payload: bytes) -> bytes:
    """Returns a record with this payload."""
    length = _LENGTH.pack(len(payload))
    head = length + _CHECKSUM.pack(masked_crc32c(length))
    return b"".join((head, payload, _CHECKSUM.pack(masked_crc32c(payload))))


def read_records(file: BinaryIO, size: int) -> Iterator[Chunk]:
    """Yields what the file holds, one record in memory at a time.

    After a payload that does not fit its checksum the next record is read; after a damaged length, the next place is
    looked for at which a length fits its checksum.

    Args:
        file: At its beginning; it can be told where to go on.
        size: Of the file, in bytes: no record is longer, whatever its length says.

    Raises:
        OSError: When it cannot be read.
    """
    offset, number = 0, 0
    while offset < size:
        number += 1
        file.seek(offset)
        length = _length(file.read(_HEAD))
        if length is None or length > size - offset - OVERHEAD:
            fault = "its length is damaged" if length is None else "it is cut off"
            following = _next_head(file, offset + 1, size)
            yield Chunk(number, offset, b"", f"{fault}; {following - offset} bytes are left out")
            offset = following
            continue
        payload, checksum = file.read(length), file.read(_CHECKSUM.size)
        if checksum == _CHECKSUM.pack(masked_crc32c(payload)):
            yield Chunk(number, offset, payload)
        else:
            yield Chunk(number, offset, b"", "it does not fit its checksum")
        offset += length + OVERHEAD


def whole_length(file: BinaryIO, size: int) -> int:
    """Returns up to where a file holds whole records; what follows was never completed.

    Args:
        file: Can be told where to go on.
        size: Of the file, in bytes.
    """
    offset = 0
    while offset < size:
        file.seek(offset)
        length = _length(file.read(_HEAD))
        if length is None or length > size - offset - OVERHEAD:
            break
        offset += length + OVERHEAD
    return offset


def _length(head: bytes) -> int | None:
    """Returns the length that a record's head states; ``None`` where it does not fit its checksum."""
    if len(head) < _HEAD or head[_LENGTH.size :] != _CHECKSUM.pack(masked_crc32c(head[: _LENGTH.size])):
        return None
    return int(_LENGTH.unpack_from(head)[0])


def _next_head(file: BinaryIO, offset: int, size: int) -> int:
    """Returns the next place at which a record begins that ends within the file, or else the file's end."""
    while offset + OVERHEAD <= size:
        file.seek(offset)
        window = file.read(_WINDOW + _HEAD)
        if len(window) < _HEAD:
            break
        heads = np.lib.stride_tricks.sliding_window_view(np.frombuffer(window, np.uint8), _HEAD)
        stated = np.ascontiguousarray(heads[:, _LENGTH.size :]).view("<u4").ravel()
        for index in np.flatnonzero(stated == masked_crc32c_of_rows(heads[:, : _LENGTH.size])).tolist():
            (length,) = _LENGTH.unpack_from(window, index)
            if offset + index + length + OVERHEAD <= size:
                return offset + int(index)
        offset += len(heads)
    return size
