from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from training.tfrecord import crc32c, write_records


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


@given(records=st.lists(st.binary(max_size=300), max_size=5))
def test_tensorflow_reads_back_what_was_written(records: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records") / "file"
    write_records(path, records)
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == records


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_records(path, [b"payload"])
    content = bytearray(path.read_bytes())
    content[14] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(path)))
