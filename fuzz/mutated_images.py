"""Image files that differ a little from valid ones: their chunks and segments moved, repeated, left out or changed."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from tests.mutations import Change, change_some, moved, mutated_bytes, removed

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_WITHOUT_LENGTH = {0xD8, 0xD9, 0x01, *range(0xD0, 0xD8)}


@dataclass(slots=True)
class _Part:
    """A PNG's chunk, a JPEG's segment or what lies between two of those, or some bytes of a file of another format.

    Attributes:
        kind: Of a chunk, four bytes; of a segment, the two of its marker; else empty.
    """

    kind: bytes
    value: bytes


def mutated_image(data: bytes, random: Random) -> bytes:
    """Returns another file, or what is none any more.

    Args:
        data: A valid file.
        random: Says what is changed.
    """
    if random.random() < 0.2:
        return mutated_bytes(data, random)
    if data.startswith(_PNG):
        parts, written = _chunks(data), _png
    elif data.startswith(_JPEG):
        parts, written = _segments(data), _joined
    else:
        parts, written = [_Part(b"", data[at : at + 16]) for at in range(0, len(data), 16)], _joined
    change_some(parts, _CHANGES, random)
    return written(parts, random)


def _chunks(data: bytes) -> list[_Part]:
    parts, position = [], len(_PNG)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        parts.append(_Part(data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += length + 12
    return parts


def _png(parts: Sequence[_Part], random: Random) -> bytes:
    written = [_PNG]
    for part in parts:
        body = part.kind + part.value
        length = len(part.value) if random.random() < 0.98 else random.choice((0, 1, 2**31 - 1, 2**32 - 1))
        checksum = zlib.crc32(body) if random.random() < 0.98 else random.getrandbits(32)
        written.append(struct.pack(">I", length) + body + struct.pack(">I", checksum))
    return b"".join(written)


def _segments(data: bytes) -> list[_Part]:
    parts, position = [], 0
    while position < len(data):
        marker = data[position : position + 2]
        if marker[0] == 0xFF and marker[1] not in {0x00, *_WITHOUT_LENGTH}:
            end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        else:  # coded pixels, up to the next marker
            end = position + 2
            while end < len(data) and (data[end] != 0xFF or data[end + 1 : end + 2] == b"\0"):
                end += 1
        parts.append(_Part(marker, data[position + 2 : end]))
        position = end
    return parts


def _joined(parts: Sequence[_Part], random: Random) -> bytes:
    return b"".join(part.kind + part.value for part in parts)


def _changed(parts: list[_Part], index: int, random: Random) -> None:
    parts[index] = _Part(parts[index].kind, mutated_bytes(parts[index].value, random))


def _renamed(parts: list[_Part], index: int, random: Random) -> None:
    parts[index] = _Part(random.choice(parts).kind, parts[index].value)


def _again(parts: list[_Part], index: int, random: Random) -> None:
    parts[index:index] = [parts[index]] * random.choice((1, 1, 1, 2, 20))


_CHANGES: tuple[Change, ...] = (removed, moved, _changed, _changed, _changed, _renamed, _again)


def seeds() -> tuple[bytes, ...]:
    """Returns small files of all formats, and of most kinds of each."""
    grey = Image.frombytes("L", (8, 6), bytes(range(48)))
    rgb = Image.merge("RGB", [grey, grey.transpose(Image.Transpose.FLIP_TOP_BOTTOM), grey])
    turned = Image.Exif()
    turned[0x0112] = 6
    ways: tuple[Callable[[io.BytesIO], None], ...] = (
        lambda file: grey.save(file, "PNG"),
        lambda file: rgb.save(file, "PNG", exif=turned),
        lambda file: rgb.convert("RGBA").save(file, "PNG"),
        lambda file: rgb.convert("P").save(file, "PNG", transparency=3, bits=8),
        lambda file: grey.convert("1").save(file, "PNG"),
        lambda file: grey.convert("I;16").save(file, "PNG"),
        lambda file: grey.convert("LA").save(file, "PNG", pnginfo=None),
        lambda file: rgb.save(file, "JPEG", exif=turned),
        lambda file: rgb.save(file, "JPEG", progressive=True),
        lambda file: rgb.convert("CMYK").save(file, "JPEG"),
        lambda file: rgb.save(file, "JPEG", restart_marker_blocks=1, comment=b"about"),
        lambda file: rgb.save(file, "MPO", save_all=True, append_images=[rgb]),
        lambda file: grey.save(file, "GIF"),
        lambda file: rgb.convert("P").save(file, "GIF", save_all=True, append_images=[grey], transparency=2),
        lambda file: rgb.save(file, "BMP"),
        lambda file: grey.convert("1").save(file, "BMP"),
        lambda file: rgb.convert("P").save(file, "BMP"),
        lambda file: rgb.convert("RGBA").save(file, "BMP"),
    )
    return tuple(_saved(way) for way in ways)


def _saved(way: Callable[[io.BytesIO], None]) -> bytes:
    file = io.BytesIO()
    way(file)
    return file.getvalue()
