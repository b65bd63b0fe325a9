"""The request log: what it keeps, what it leaves out, and what it does when it cannot write."""

import errno
import logging
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from service.codecs.prediction_log import encode_log
from service.codecs.tfrecord import frame
from service.errors import GatewayError
from service.recording import log as module
from service.recording.files import whole_lines
from service.recording.log import LogOptions, RequestLog
from tests.processes import ROOT
from tests.request_logs import Counted, HeldFiles, files, found, log_of, logged, numbers, record


@pytest.mark.parametrize("kind", ["tfrecord", "jsonl"])
def test_requests_are_written_and_files_renamed(tmp_path: Path, kind: str) -> None:
    count = logged(tmp_path / "deep" / "log", *map(record, range(5)), format=kind)
    assert count == {"written": 5}
    [file] = files(tmp_path / "deep" / "log")
    assert file.suffix == f".{kind}"
    assert file.stat().st_mode & 0o077 == 0
    assert numbers(file.parent) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["tfrecord", "jsonl"])
def test_what_is_redacted_is_in_no_file(tmp_path: Path, kind: str) -> None:
    logged(tmp_path, record(7), format=kind, redact=frozenset({"secret", "nope"}))
    [file] = files(tmp_path)
    assert b"hush" not in file.read_bytes()
    [one] = found(tmp_path)
    assert one.inputs["x"].tolist() == [7]
    if kind == "jsonl":
        assert one.redacted == ("secret",)
        assert "secret" not in one.inputs
    else:
        assert one.inputs["secret"].tolist() == [b""]
        assert one.outputs is None


def test_failures_are_in_lines_alone(tmp_path: Path) -> None:
    failed = record(code="timeout", outputs=None)
    assert logged(tmp_path / "lines", failed, format="jsonl") == {"written": 1}
    assert logged(tmp_path / "records", failed) == {}
    assert files(tmp_path / "records") == []


def test_files_are_rotated_and_the_oldest_removed(tmp_path: Path) -> None:
    longest = 4 * 300
    logged(tmp_path, *(record(number, size=50) for number in range(40)), max_bytes=longest, max_files=3)
    assert len(files(tmp_path)) == 3
    assert all(file.stat().st_size <= longest and file.suffix == ".tfrecord" for file in files(tmp_path))
    kept = numbers(tmp_path)
    assert kept == list(range(40))[-len(kept) :]


def test_a_file_being_written_has_another_name(tmp_path: Path) -> None:
    log, count = log_of(tmp_path)
    log.start()
    log.record(record())
    while not count["written"]:
        time.sleep(0.01)
    assert [path.suffix for path in files(tmp_path)] == [".part"]
    log.close(20)
    assert [path.suffix for path in files(tmp_path)] == [".tfrecord"]


@pytest.mark.parametrize("kind", ["tfrecord", "jsonl"])
def test_what_a_killed_server_left_is_completed(tmp_path: Path, kind: str) -> None:
    logged(tmp_path, record(1), record(2), format=kind)
    [whole] = files(tmp_path)
    for name, lost in (("requests-a", 3), ("requests-b", whole.stat().st_size)):
        (tmp_path / f"{name}.{kind}.part").write_bytes(whole.read_bytes()[: whole.stat().st_size - lost])
    logged(tmp_path, format=kind)
    assert [file.name for file in files(tmp_path)] == [whole.name, f"requests-a.{kind}"]
    assert numbers(tmp_path) == [1, 2, 1]


def test_the_last_line_is_found_from_the_end(tmp_path: Path) -> None:
    for text, expected in ((b"", 0), (b"x" * 200_000, 0), (b"a\n" + b"x" * 200_000, 2), (b"a\nb\n", 4)):
        path = tmp_path / "file"
        path.write_bytes(text)
        with path.open("rb") as file:
            assert whole_lines(file, len(text)) == expected


def test_a_folder_belongs_to_one_server(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    log.start()
    with pytest.raises(GatewayError, match="request_log: expected a folder of its own"):
        log_of(tmp_path)[0].start()
    log.close(20)
    logged(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GatewayError, match="request_log: expected a folder that can be written to"):
        log_of(tmp_path / "file" / "log")[0].start()


def test_the_share_is_kept() -> None:
    for share in (0.0, 0.25, 1.0):
        log, _ = log_of(Path("nowhere"), share=share)
        assert sum(log.chooses() for _ in range(4000)) == pytest.approx(4000 * share, abs=300)


def test_too_long_a_request_is_dropped(tmp_path: Path) -> None:
    count = logged(tmp_path, record(size=300), record(size=250), record(1), max_bytes=1024)
    assert count == {"too_large": 2, "written": 1}


def test_what_has_no_form_is_dropped(tmp_path: Path) -> None:
    complex_ones = record(inputs={"x": np.ones(1, np.complex64)})
    assert logged(tmp_path, complex_ones, record(), format="jsonl") == {"not_supported": 1, "written": 1}


def test_while_the_disk_is_slow_requests_are_dropped_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    held, counted = HeldFiles(tmp_path), Counted()
    log = RequestLog(LogOptions(tmp_path), counted, files=held)
    log.start()
    log.record(record())
    assert held.begun.wait(20)
    for number in range(10):
        log.record(record(number))
    assert counted.count == {"queue": 7}
    held.gate.set()
    log.close(20)
    assert counted.count == {"queue": 7, "written": 4}
    assert sum("missing in the request log (queue)" in line for line in caplog.messages) == 1


def test_what_waits_is_bounded_in_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES_WAITING", 1000)
    held, counted = HeldFiles(tmp_path), Counted()
    log = RequestLog(LogOptions(tmp_path), counted, files=held)
    log.start()
    log.record(record())
    assert held.begun.wait(20)
    for _ in range(3):
        log.record(record(size=100))
    assert counted.count == {"queue": 1}
    held.gate.set()
    log.close(20)


def test_what_waits_holds_no_other_rows_of_its_run(tmp_path: Path) -> None:
    run = np.arange(1000, dtype=np.float32)
    whole = weakref.ref(run)
    held = HeldFiles(tmp_path)
    log = RequestLog(LogOptions(tmp_path), Counted(), files=held)
    log.start()
    log.record(record(outputs={"y": run[5:6]}))
    del run
    assert whole() is None
    held.gate.set()
    log.close(20)
    [one] = found(tmp_path)
    assert one.outputs is not None
    assert one.outputs["y"].tolist() == [5]


def test_who_stops_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = HeldFiles(tmp_path)
    log = RequestLog(LogOptions(tmp_path), Counted(), files=held)
    log.start()
    log.record(record())
    log.close(0.05)
    assert "the disk is too slow" in caplog.text
    held.gate.set()
    log.close(20)


def test_a_full_disk_loses_requests_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held, counted = HeldFiles(tmp_path), Counted()
    log = RequestLog(LogOptions(tmp_path), counted, files=held)
    held.failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    held.gate.set()
    log.start()
    with caplog.at_level(logging.WARNING):
        log.record(record(1))
        log.record(record(2))
        while counted.count["disk"] < 2:
            time.sleep(0.01)
    held.failure = None
    log.record(record(3))
    log.close(20)
    assert counted.count == {"disk": 2, "written": 1}
    assert [line.partition(":")[0] for line in caplog.messages] == ["requests are missing in the request log (disk)"]
    assert numbers(tmp_path) == [3]


def test_a_record_that_was_written_in_part_is_cut_back(tmp_path: Path) -> None:
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tests.request_logs import logged, record\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "print(dict(logged(Path(sys.argv[1]), *(record(number, size=50) for number in range(5)))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    each = len(frame(encode_log(record(size=50))))
    whole = 1000 // each
    assert done.stdout.strip() == str({"written": whole, "disk": 5 - whole})
    assert numbers(tmp_path) == list(range(whole))


def test_a_folder_that_was_cleared_away_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log, count = log_of(folder, max_bytes=1024)
    log.start()
    log.record(record(1, size=200))
    while not count["written"]:
        time.sleep(0.01)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    for number in (2, 3):
        log.record(record(number, size=200))
    log.close(20)
    assert count == {"written": 2, "disk": 1}
    assert numbers(folder) == [3]
