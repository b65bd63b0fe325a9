"""Files of an operator's: what is none is refused at once."""

import os
from pathlib import Path

import pytest

from service.core.plain_files import read_plain_file, read_plain_text
from service.errors import GatewayError


def test_a_file_is_read_and_what_waits_for_a_writer_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read_plain_file(tmp_path / "file") == read_plain_file(tmp_path / "link") == b"text"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is not a file"):
        read_plain_file(tmp_path / "pipe")
    for name in ("nothing", "."):
        with pytest.raises(OSError):  # noqa: PT011  # the system says which
            read_plain_file(tmp_path / name)


def test_a_text_that_is_none_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("é".encode())
    assert read_plain_text(tmp_path / "file", "it") == "é"
    (tmp_path / "file").write_bytes(b"\xff")
    for name, message in (("file", "it: it is not UTF-8"), ("nothing", "it: No such file or directory")):
        with pytest.raises(GatewayError, match=message):
            read_plain_text(tmp_path / name, "it")
