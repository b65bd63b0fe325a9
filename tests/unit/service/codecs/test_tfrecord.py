"""TFRecord files: checksums, and what a reader makes of damage."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.crc32c import crc32c, masked_crc32c
from service.codecs.tfrecord import OVERHEAD, Chunk, frame, read_records, whole_length

PAYLOADS = [b"first", bytes(1000), b"", b"last"]


def chunks(data: bytes) -> list[Chunk]:
    return list(read_records(io.BytesIO(data), len(data)))


@pytest.mark.parametrize(
    ("data", "checksum"),
    # RFC 3720, appendix B.4, and the check value of the CRC catalogue
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_checksums_are_those_of_the_standard(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


def bit_by_bit(data: bytes) -> int:
    """Returns the CRC-32C as the standard defines it, by a division of polynomials."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@given(st.binary(max_size=700))
def test_checksums_are_those_of_a_loop_over_bits(data: bytes) -> None:
    expected = bit_by_bit(data)
    assert crc32c(data) == expected
    assert masked_crc32c(data) == (((expected >> 15) | (expected << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("length", [(1 << 18) - 1, 1 << 18, (1 << 18) + 6, 600_001])
def test_so_are_those_of_what_is_longer_than_a_block(length: int) -> None:
    data = os.urandom(length)
    assert crc32c(data) == bit_by_bit(data)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_was_written_is_read_back(payloads: list[bytes]) -> None:
    assert [chunk.payload for chunk in chunks(b"".join(map(frame, payloads)))] == payloads


def test_a_damaged_payload_is_told_with_its_place_and_the_rest_is_read() -> None:
    data = bytearray(b"".join(map(frame, PAYLOADS)))
    second = len(frame(PAYLOADS[0]))
    data[second + OVERHEAD] ^= 1
    found = chunks(bytes(data))
    assert [chunk.payload for chunk in found if not chunk.fault] == [b"first", b"", b"last"]
    [damaged] = [chunk for chunk in found if chunk.fault]
    assert (damaged.number, damaged.offset) == (2, second)
    assert "checksum" in damaged.fault


def test_after_a_damaged_length_the_next_record_is_found() -> None:
    data = bytearray(b"".join(map(frame, PAYLOADS)))
    second = len(frame(PAYLOADS[0]))
    data[second] ^= 1
    found = chunks(bytes(data))
    assert [chunk.payload for chunk in found if not chunk.fault] == [b"first", b"", b"last"]
    assert found[1] == Chunk(2, second, b"", f"its length is damaged; {1000 + OVERHEAD} bytes are left out")


@given(st.integers(1, 40), st.integers(0, 255))
def test_whatever_is_damaged_no_wrong_record_is_read(place: int, value: int) -> None:
    payloads = [b"one", b"two", b"three"]
    data = bytearray(b"".join(map(frame, payloads)))
    data[place] = value
    assert {chunk.payload for chunk in chunks(bytes(data)) if not chunk.fault} <= set(payloads)


def test_a_record_that_is_cut_off_is_told() -> None:
    data = b"".join(map(frame, PAYLOADS))[:-1]
    found = chunks(data)
    assert [chunk.fault.partition(";")[0] for chunk in found] == ["", "", "", "it is cut off"]
    assert whole_length(io.BytesIO(data), len(data)) == found[-1].offset


def test_a_length_without_end_takes_no_memory() -> None:
    length = (1 << 60).to_bytes(8, "little")
    data = length + masked_crc32c(length).to_bytes(4, "little") + bytes(100)
    assert all(chunk.fault for chunk in chunks(data))
