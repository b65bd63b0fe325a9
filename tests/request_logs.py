"""A request log that is counted, on a disk that does as it is told; and what is found in its files."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from service.codecs.prediction_log import decode_log
from service.codecs.recorded_json import decode_line
from service.codecs.tfrecord import read_records
from service.core.bounds import InputBounds
from service.core.record import Record
from service.recording.files import RotatedFiles
from service.recording.log import LogOptions, RequestLog

BOUNDS = InputBounds()


class Counted:
    """Counts what becomes of requests."""

    def __init__(self) -> None:
        self.count = Counter[str]()

    def written(self) -> None:
        self.count["written"] += 1

    def dropped(self, reason: str) -> None:
        self.count[reason] += 1


class HeldFiles(RotatedFiles):
    """Files of a disk that takes its time, or is full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, suffix=".tfrecord", max_bytes=1 << 20, max_files=1, whole=lambda _, size: size)
        self.begun, self.gate = threading.Event(), threading.Event()
        self.failure: OSError | None = None

    def write(self, entry: bytes) -> None:
        self.begun.set()
        assert self.gate.wait(20)
        if self.failure is not None:
            raise self.failure
        super().write(entry)


def record(number: int = 0, size: int = 1, **fields: Any) -> Record:
    inputs = {"x": np.full(size, number, np.float32), "secret": np.array([b"hush"], object)}
    return replace(Record("m", "s", inputs, {"y": np.full(1, number, np.float32)}), **fields)


def log_of(folder: Path, **options: Any) -> tuple[RequestLog, Counter[str]]:
    counted = Counted()
    return RequestLog(LogOptions(folder, **options), counted), counted.count


def logged(folder: Path, *records: Record, **options: Any) -> Counter[str]:
    log, count = log_of(folder, **options)
    log.start()
    for one in records:
        log.record(one)
    log.close(20)
    return count


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def found(folder: Path) -> Iterator[Record]:
    for path in files(folder):
        if path.suffix == ".jsonl":
            yield from (decode_line(line, bounds=BOUNDS) for line in path.read_bytes().splitlines())
        else:
            with path.open("rb") as file:
                chunks = list(read_records(file, path.stat().st_size))
            assert not any(chunk.fault for chunk in chunks)
            yield from (decode_log(chunk.payload, bounds=BOUNDS) for chunk in chunks)


def numbers(folder: Path) -> list[float]:
    return [float(one.inputs["x"][0]) for one in found(folder)]
