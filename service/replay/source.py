"""Recorded requests out of files, one at a time: TFRecords of PredictionLogs, or lines of JSON; the file shows which.

A file of several gigabytes takes no more memory than its longest record.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.codecs.prediction_log import decode_log
from service.codecs.recorded_json import decode_line
from service.codecs.tfrecord import Chunk, read_records
from service.core.bounds import InputBounds
from service.core.record import Record
from service.errors import GatewayError

WRITING = ".part"
"""What the name of a file ends with that a server has not completed."""
_MOST = 2**31 - 1
_BOUNDS = InputBounds(
    max_request_bytes=_MOST,
    max_tensor_elements=_MOST,
    max_json_values=_MOST,
    max_json_depth=64,
)
"""What was recorded came within a server's bounds."""
_LONGEST_LINE = 1 << 30


@dataclass(frozen=True, slots=True)
class Entry:
    """A recorded request, or what stands in the place of one.

    Attributes:
        file: Where it is.
        number: Of the record in the file, from 1 on.
        offset: Where it begins in the file, in bytes.
        record: The request; ``None`` where it is damaged.
        fault: What is wrong with it; empty where nothing is.
    """

    file: Path
    number: int
    offset: int
    record: Record | None
    fault: str = ""


def files_of(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Returns the files that are named or lie in a folder that is, and those of folders that are not yet complete.

    Raises:
        OSError: When one cannot be found or read.
    """
    files, incomplete = [], []
    for path in paths:
        if not path.is_dir():
            path.stat()
            files.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
        files += [each for each in inside if each.suffix != WRITING]
        incomplete += [each for each in inside if each.suffix == WRITING]
    return files, incomplete


def entries(file: Path) -> Iterator[Entry]:
    """Yields what a file holds, in its order.

    Raises:
        OSError: When it cannot be read.
    """
    with file.open("rb") as opened:
        lines = _is_lines(opened.read(12))
        opened.seek(0)
        chunks = _lines(opened) if lines else read_records(opened, file.stat().st_size)
        for chunk in chunks:
            if chunk.fault:
                yield Entry(file, chunk.number, chunk.offset, None, chunk.fault)
                continue
            try:
                decode = decode_line if lines else decode_log
                record = decode(chunk.payload, bounds=_BOUNDS)
            except GatewayError as error:
                yield Entry(file, chunk.number, chunk.offset, None, error.message)
            else:
                yield Entry(file, chunk.number, chunk.offset, record)


def _is_lines(head: bytes) -> bool:
    """Returns whether a file begins as JSON: a TFRecord begins with a length, of which most bytes are zeros."""
    return head.lstrip()[:1] == b"{" and b"\0" not in head


def _lines(file: BinaryIO) -> Iterator[Chunk]:
    offset, number = 0, 0
    while line := file.readline(_LONGEST_LINE):
        if line.strip():
            number += 1
            yield Chunk(number, offset, line)
        offset += len(line)
