"""A log of requests: a share of them, handed to a thread that writes them, through a queue that is bounded.

Nobody waits for it. What does not fit into the queue, or cannot be written, is left out and counted.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np

from service.codecs.prediction_log import encode_log
from service.codecs.recorded_json import encode_line
from service.codecs.tfrecord import frame, whole_length
from service.core.record import Record
from service.core.tensors import STRING, Tensor, byte_size, dtype_name
from service.errors import OK, GatewayError, Violation, invalid_input
from service.recording.files import RotatedFiles, Whole, whole_lines

TFRECORD, JSONL = "tfrecord", "jsonl"
_MOST_WAITING = 1024
_MOST_BYTES_WAITING = 64 * 1024 * 1024
_SECONDS_BETWEEN_LINES = 600

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Counts what becomes of the requests that were chosen."""

    def written(self) -> None:
        """Counts one that was written."""

    def dropped(self, reason: str) -> None:
        """Counts one that was left out: ``queue``, ``disk``, ``too_large`` or ``not_supported``."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is logged, and where.

    Attributes:
        folder: Of the files.
        share: Of the requests, 0 to 1.
        max_bytes: Of one file.
        max_files: Complete files that are kept.
        format: ``tfrecord`` or ``jsonl``.
        redact: Names of inputs that are not logged.
    """

    folder: Path
    share: float = 1.0
    max_bytes: int = 64 * 1024 * 1024
    max_files: int = 8
    format: str = TFRECORD
    redact: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Format:
    suffix: str
    encode: Callable[[Record], bytes]
    whole: Whole
    failures: bool  # whether a request that failed can be told from one that did not


_FORMATS: Mapping[str, _Format] = {
    TFRECORD: _Format(".tfrecord", lambda record: frame(encode_log(_blanked(record))), whole_length, failures=False),
    JSONL: _Format(".jsonl", encode_line, whole_lines, failures=True),
}


class RequestLog:
    """Writes a share of the requests to files.

    Args:
        options: What is logged, and where.
        observer: Counts what is written and what is not; called on any thread.
        files: Where it is written, in place of the folder's files.
    """

    def __init__(self, options: LogOptions, observer: Observer, *, files: RotatedFiles | None = None) -> None:
        self._options = options
        self._observer = observer
        self._format = _FORMATS[options.format]
        self._files = files or RotatedFiles(
            options.folder,
            suffix=self._format.suffix,
            max_bytes=options.max_bytes,
            max_files=options.max_files,
            whole=self._format.whole,
        )
        self._share = options.share
        self._draw = Random().random  # noqa: S311  # a sample, and no secret
        self._waiting: deque[tuple[Record, int]] = deque()
        self._bytes_waiting = 0
        self._changed = threading.Condition()
        self._open = False
        self._thread = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._told: dict[str, float] = {}

    def start(self) -> None:
        """Takes the folder and begins to write.

        Raises:
            GatewayError: INVALID_INPUT when the folder cannot be had.
        """
        folder = self._options.folder
        try:
            self._files.open()
        except BlockingIOError:
            got = f"{folder}, which another server has"
            raise invalid_input(Violation("request_log", "a folder of its own", got)) from None
        except OSError as error:
            got = f"{folder}: {error.strerror}"
            raise invalid_input(Violation("request_log", "a folder that can be written to", got)) from None
        self._open = True
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Writes what waits, for so many seconds at most, and completes the file."""
        with self._changed:
            self._open = False
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                waiting = len(self._waiting)
                logger.warning("%d requests and more are missing in the request log: the disk is too slow", waiting)

    def chooses(self) -> bool:
        """Returns whether the next request is logged; each has the same chance."""
        return self._draw() < self._share

    def record(self, record: Record) -> None:
        """Hands a request to the thread that writes, unless too much waits already."""
        if record.code != OK and not self._format.failures:
            return
        size = byte_size(record.inputs.values()) + byte_size((record.outputs or {}).values())
        if size > self._options.max_bytes:
            self._dropped("too_large", f"longer than request_log_max_bytes ({self._options.max_bytes})")
            return
        with self._changed:
            # However long it is, one fits where nothing waits.
            full = self._waiting and self._bytes_waiting + size > _MOST_BYTES_WAITING
            if self._open and not full and len(self._waiting) < _MOST_WAITING:
                outputs = None if record.outputs is None else _owned(record.outputs)
                self._waiting.append((replace(record, outputs=outputs), size))
                self._bytes_waiting += size
                self._changed.notify()
                return
        self._dropped("queue", "more than can be written so fast")

    def _write(self) -> None:
        while (record := self._next()) is not None:
            try:
                entry = self._format.encode(_without(record, self._options.redact))
                if len(entry) > self._options.max_bytes:
                    self._dropped("too_large", f"longer than request_log_max_bytes ({self._options.max_bytes})")
                    continue
                self._files.write(entry)
            except GatewayError as error:
                self._dropped("not_supported", error.message)
            except OSError as error:
                self._dropped("disk", f"{error.strerror}: {self._options.folder}")
            except Exception:
                logger.exception("a request could not be logged")
                self._observer.dropped("not_supported")
            else:
                self._observer.written()
        try:
            self._files.close()
        except OSError as error:
            logger.warning("the last file of the request log could not be completed: %s", error.strerror)

    def _next(self) -> Record | None:
        """Waits for a request; returns ``None`` when there will be none any more."""
        with self._changed:
            while not self._waiting:
                if not self._open:
                    return None
                self._changed.wait()
            record, size = self._waiting.popleft()
            self._bytes_waiting -= size
            return record

    def _dropped(self, reason: str, text: str) -> None:
        """Counts a request that is left out, and says why, for each reason once in a while."""
        self._observer.dropped(reason)
        now = time.monotonic()
        if reason not in self._told or now - self._told[reason] >= _SECONDS_BETWEEN_LINES:
            self._told[reason] = now
            logger.warning("requests are missing in the request log (%s): %s", reason, text)


def _owned(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Returns the tensors; those that are a small part of others, as the rows of a merged run are, as copies.

    What waits would otherwise hold all rows of that run.
    """
    return {
        name: tensor.copy()
        if isinstance(tensor.base, np.ndarray) and tensor.base.nbytes > 2 * tensor.nbytes
        else tensor
        for name, tensor in tensors.items()
    }


def _without(record: Record, names: frozenset[str]) -> Record:
    """Returns the record with the names of those of its inputs that are not to be kept."""
    redacted = tuple(sorted(names & record.inputs.keys()))
    return replace(record, redacted=redacted) if redacted else record


def _blanked(record: Record) -> Record:
    """Returns the record with zeros and empty strings of the same shape for what is not to be kept."""
    if not record.redacted:
        return record
    inputs = {name: _blank(tensor) if name in record.redacted else tensor for name, tensor in record.inputs.items()}
    return replace(record, inputs=inputs)


def _blank(tensor: Tensor) -> Tensor:
    return np.full(tensor.shape, b"", object) if dtype_name(tensor) == STRING else np.zeros_like(tensor)
