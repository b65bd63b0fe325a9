"""CRC-32C (Castagnoli), with numpy: no package that the gateway needs has it, and byte by byte Python takes too long.

A checksum is the remainder of a polynomial over GF(2), so that of two parts is the first one's, moved on by the length
of the second, XOR the second one's. All words of a block are joined in pairs, then all pairs in pairs, and so on: each
level is a few operations on whole arrays, in which a number is moved on by a look into tables (Kadatch and Jenkins,
"Everything we know about CRC but afraid to forget", 2010).
"""

from functools import cache
from typing import Any

import numpy as np

# The polynomial 0x1EDC6F41 with its bits reversed, as RFC 3720, appendix B.4, uses it.
_POLYNOMIAL = 0x82F63B78
_WORD = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8
_FEW = 128
"""Bytes up to which a loop takes no longer than arrays do."""
_BLOCK = 1 << 18
"""Bytes of a block: its words fit into a cache, and between two of them other threads get their turn."""

_Words = np.ndarray[Any, np.dtype[np.uint32]]


def crc32c(data: bytes | memoryview) -> int:
    """Returns the CRC-32C of the bytes, as an unsigned 32-bit number; of nothing it is 0."""
    view = memoryview(data).cast("B")
    state = _WORD
    few = len(view) if len(view) <= _FEW else len(view) % 4
    table = _bytes_table()
    for byte in view[:few]:
        state = (state >> 8) ^ table[(state ^ byte) & 0xFF]
    for start in range(few, len(view), _BLOCK):
        state = _moved_by_words(np.frombuffer(view[start : start + _BLOCK], "<u4"), state)
    return state ^ _WORD


def masked_crc32c(data: bytes | memoryview) -> int:
    """Returns the checksum as TFRecord stores it: rotated right by 15 bits, plus a constant.

    The mask keeps the checksum of data that itself contains checksums from degenerating (TensorFlow's ``crc32c.h``).
    """
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + _MASK_DELTA) & _WORD


def masked_crc32c_of_rows(rows: "np.ndarray[Any, np.dtype[np.uint8]]") -> _Words:
    """Returns the masked checksum of each of the rows [N, length] of few bytes."""
    table = np.array(_bytes_table(), np.uint32)
    state = np.full(len(rows), _WORD, np.uint32)
    for column in rows.T:
        state = (state >> 8) ^ table[(state ^ column) & 0xFF]
    value = state ^ np.uint32(_WORD)
    return (((value >> 15) | (value << 17)) + np.uint32(_MASK_DELTA)).astype(np.uint32, copy=False)


def _moved_by_words(words: _Words, state: int) -> int:
    """Returns the state after so many words, of which there is one or more."""
    words = words.copy()
    words[0] ^= state
    level = 0
    while len(words) > 1:
        if len(words) % 2:  # nothing in front of them changes nothing
            words = np.concatenate([np.zeros(1, np.uint32), words])
        words = _moved(words[0::2], level) ^ words[1::2]
        level += 1
    return int(_moved(words, 0)[0])


def _moved(words: _Words, level: int) -> _Words:
    """Returns each of the words moved on by 4 * 2**level bytes of zeros."""
    low, high = _tables(level)
    moved: _Words = low.take(words & 0xFFFF) ^ high.take(words >> 16)
    return moved


@cache
def _bytes_table() -> tuple[int, ...]:
    """The remainder of every single byte."""
    entries = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


@cache
def _tables(level: int) -> tuple[_Words, _Words]:
    """What moving on by 4 * 2**level bytes makes of the lower and the upper half of a word."""
    if level:
        images = [int(_moved(_moved(np.array([1 << bit], np.uint32), level - 1), level - 1)[0]) for bit in range(32)]
    else:
        images = [_moved_by_zeros(1 << bit) for bit in range(32)]
    return _spanned(images[:16]), _spanned(images[16:])


def _moved_by_zeros(value: int) -> int:
    for _ in range(4):
        value = (value >> 8) ^ _bytes_table()[value & 0xFF]
    return value


def _spanned(images: list[int]) -> _Words:
    """Returns what becomes of every number of 16 bits, of what becomes of each bit."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate([table, table ^ np.uint32(image)])
    return table
