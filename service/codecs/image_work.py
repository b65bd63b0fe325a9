"""How much work an image file makes beyond its pixels, told by its structure: parts to walk over, and passes to make.

A file of a few kilobytes may have a hundred thousand chunks, or a scan that goes over the whole picture a thousand
times. Nothing is unpacked to find that out, and the walk ends where there is too much of anything.
"""

from typing import NamedTuple

PIXELS_PER_PART = 250
"""What could be unpacked in the time that a part takes."""
_FREE_PARTS = 1024
_FREE_SCANS = 16
"""Scans of a JPEG that make one pass; progressive ones have about ten, each of which is a part of the work."""

_PNG, _JPEG, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8"
_SCAN, _SCAN_MARKER = b"\xff\xda", 0xDA
_GIF_HEADER, _GIF_FRAME_HEADER = 13, 10
_GIF_TABLE, _GIF_TABLE_SIZE = 0x80, 0x07
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21


class Work(NamedTuple):
    """What a file makes.

    Attributes:
        parts: Segments, chunks or blocks to walk over, beyond those that any file may have.
        passes: How often all pixels are gone over.
        frames: How many pictures there are, one after the other.
    """

    parts: int = 0
    passes: int = 1
    frames: int = 1

    @property
    def pixels(self) -> int:
        """What could be unpacked in the time that the parts take."""
        return self.parts * PIXELS_PER_PART


def work_of(data: bytes, *, max_pixels: int) -> Work:
    """Returns the work that a file makes; where it is more than so many pixels are, as much as was found until there.

    Args:
        data: The file; of what is none, there is no work.
        max_pixels: What it may cost.
    """
    most = _FREE_PARTS + max_pixels // PIXELS_PER_PART + 1
    try:
        if data.startswith(_PNG):
            return Work(_beyond(_chunks(data, most)))
        if data.startswith(_JPEG):
            # Within a scan this byte never follows that one; in what comes before, it may, by chance, seldom.
            return Work(_beyond(_segments(data, most)), -(-data.count(_SCAN) // _FREE_SCANS) or 1)
        if data.startswith(_GIF):
            blocks, frames = _blocks(data, most)
            return Work(_beyond(blocks), frames=frames)
    except IndexError:  # it is cut off, which is found by whoever reads it
        pass
    return Work()


def _beyond(parts: int) -> int:
    return max(0, parts - _FREE_PARTS)


def _chunks(data: bytes, most: int) -> int:
    position, count = len(_PNG), 0
    while position < len(data) and count < most:
        position += 12 + int.from_bytes(data[position : position + 4], "big")  # length, kind and checksum are 12 bytes
        count += 1
    return count


def _segments(data: bytes, most: int) -> int:
    """Returns the segments before the first scan."""
    position, count = len(_JPEG), 0
    while position + 3 < len(data) and data[position + 1] != _SCAN_MARKER and count < most:
        # What stands between two segments is passed over byte by byte.
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big") if data[position] == _SCAN[0] else 1
        count += 1
    return count


def _blocks(data: bytes, most: int) -> tuple[int, int]:
    """Returns how many blocks of data there are in a GIF, and how many frames."""
    position, count, frames = _GIF_HEADER + _table(data[_GIF_HEADER - 3]), 0, 0
    while count < most:
        kind = data[position : position + 1]
        if kind == bytes([_GIF_FRAME]):
            frames += 1
            position += _GIF_FRAME_HEADER + _table(data[position + _GIF_FRAME_HEADER - 1]) + 1
        elif kind == bytes([_GIF_EXTENSION]):
            position += 2
        else:
            break
        while position < len(data) and count < most:
            size = data[position]
            position += 1 + size
            count += 1
            if not size:
                break
    return count, max(1, frames)


def _table(flags: int) -> int:
    """Returns the bytes of a table of colours."""
    return 3 << (flags & _GIF_TABLE_SIZE) + 1 if flags & _GIF_TABLE else 0
