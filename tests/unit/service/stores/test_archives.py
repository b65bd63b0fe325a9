import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import GatewayError
from service.stores.archives import unpack
from tests.stores import FILES, read

MANY = 10**9


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def archive(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    file = tmp_path / "archive"
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return file


def files(prefix: str = "") -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(f"{prefix}{name}", data) for name, data in FILES.items()]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["", "./", "3/", "./3/", "models/digits/3/"])
def test_the_folder_of_the_model_is_unpacked(tmp_path: Path, prefix: str, mode: str) -> None:
    members = [member(prefix.rstrip("/") or ".", type=tarfile.DIRTYPE), *files(prefix)]
    assert unpack(archive(tmp_path, members, mode), tmp_path / "to", MANY) == sum(map(len, FILES.values()))
    assert read(tmp_path / "to") == FILES


def test_what_is_unpacked_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: dict[str, int] = {}

    def fsync(descriptor: int) -> None:
        synced[str(Path(f"/proc/self/fd/{descriptor}").readlink())] = os.fstat(descriptor).st_size

    monkeypatch.setattr(os, "fsync", fsync)
    unpack(archive(tmp_path, files()), tmp_path / "to", MANY)
    assert synced == {str(tmp_path / "to" / name): len(data) for name, data in FILES.items()}


def test_what_lies_beside_the_model_is_left_out(tmp_path: Path) -> None:
    beside = [member("etc/passwd", b"x"), member("bin/sh", type=tarfile.SYMTYPE, linkname="/bin/dash")]
    unpack(archive(tmp_path, [*beside, *files("models/1/")]), tmp_path / "to", MANY)
    assert read(tmp_path / "to") == FILES


def test_a_member_gets_no_rights(tmp_path: Path) -> None:
    unpack(archive(tmp_path, [member("saved_model.pb", b"x", mode=0o6777, uid=4711)]), tmp_path / "to", MANY)
    assert (tmp_path / "to" / "saved_model.pb").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (lambda: member("../outside", b"x"), "one of dots"),
        (lambda: member("/outside", b"x"), "is absolute"),
        (lambda: member("a/../../outside", b"x"), "one of dots"),
        (lambda: member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "neither a file nor a folder"),
        (lambda: member("link", type=tarfile.LNKTYPE, linkname="saved_model.pb"), "neither a file nor a folder"),
        (lambda: member("pipe", type=tarfile.FIFOTYPE), "neither a file nor a folder"),
        (lambda: member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a file nor a folder"),
        (lambda: member("SAVED_MODEL.pb", b"x"), "one to some file systems"),
        (lambda: member("variables", b"x"), "is a file and a folder"),
    ],
)
def test_an_archive_with_anything_odd_is_refused(
    tmp_path: Path, odd: Callable[[], tuple[tarfile.TarInfo, bytes]], words: str
) -> None:
    with pytest.raises(GatewayError, match=words):
        unpack(archive(tmp_path, [*files(), odd()]), tmp_path / "to", MANY)
    assert not (tmp_path / "to").exists()
    assert not (tmp_path / "outside").exists()


def test_what_unpacks_to_too_much_is_refused_before_it_is_written(tmp_path: Path) -> None:
    bomb = [*files(), member("zeros", b"\0" * 10_000_000)]
    packed = archive(tmp_path, bomb)
    assert packed.stat().st_size < 100_000
    with pytest.raises(GatewayError, match="there is room for 5000000"):
        unpack(packed, tmp_path / "to", 5_000_000)
    assert not (tmp_path / "to").exists()


def test_what_is_no_archive_of_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(GatewayError, match="it is no archive, or a damaged one"):
        unpack(tmp_path / "text", tmp_path / "to", MANY)
    with pytest.raises(GatewayError, match=r"no saved_model\.pb in the archive"):
        unpack(archive(tmp_path, [member("readme.md", b"x")]), tmp_path / "to", MANY)


def cut(data: bytes) -> bytes:
    return gzip.compress(data)[:-500]


def with_other_contents(data: bytes) -> bytes:
    """Returns an archive in two parts, the first with the checksum of something else."""
    first, second = gzip.compress(data[:1_000_000]), gzip.compress(data[1_000_000:])
    return first[:-8] + bytes(4) + first[-4:] + second


def damaged_xz(data: bytes) -> bytes:
    packed = bytearray(lzma.compress(data))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    "harm", [cut, lambda data: data[:-20_000], with_other_contents, lzma.compress, damaged_xz, bz2.compress]
)
def test_a_damaged_archive_is_refused_as_one(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    packed = archive(tmp_path, files(), "w")
    packed.write_bytes(harm(packed.read_bytes()))
    with pytest.raises(GatewayError, match=r"it is no archive, or a damaged one: .") as refused:
        unpack(packed, tmp_path / "to", MANY)
    assert "None" not in refused.value.message
