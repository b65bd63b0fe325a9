"""TFRecord files: a sequence of byte strings, each guarded by two checksums.

One record is, in little-endian order, its length as eight bytes, the masked CRC-32C of those eight bytes, the
payload, and the masked CRC-32C of the payload (TensorFlow documentation, "TFRecord and tf.train.Example"). Written
by hand because the file then needs neither a TensorFlow session nor a fresh process.
"""

import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# The Castagnoli polynomial 0x1EDC6F41 with its bits reversed, as RFC 3720, appendix B.4, uses it.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    """The CRC of every single byte."""
    entries = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


def crc32c(data: bytes) -> int:
    """Returns the CRC-32C (Castagnoli) of the bytes, as an unsigned 32-bit number."""
    table = _table()
    value = _WORD
    for byte in data:
        value = (value >> 8) ^ table[(value ^ byte) & 0xFF]
    return value ^ _WORD


def masked_crc32c(data: bytes) -> int:
    """Returns the checksum as TFRecord stores it: rotated right by 15 bits, plus a constant.

    The mask keeps the checksum of data that itself contains checksums from degenerating.
    """
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + _MASK_DELTA) & _WORD


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Writes the records to a new file, in their order."""
    with path.open("wb") as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(length + struct.pack("<I", masked_crc32c(length)))
            file.write(record + struct.pack("<I", masked_crc32c(record)))
