"""Picture files of every kind, made for tests: those of Pillow, and those that it does not write."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

COLOURS: Pixels = np.array(
    [[(200, 40, 20), (30, 180, 60), (10, 60, 220)], [(250, 240, 90), (90, 90, 90), (0, 0, 0)]], np.uint8
)
"""Two rows of three colours [2,3,3]: nothing that turns or mirrors them leaves them as they are."""


def field(side: int = 16) -> Pixels:
    """Returns `COLOURS` in squares, large enough for JPEG to keep them."""
    return COLOURS.repeat(side, axis=0).repeat(side, axis=1)


def file(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Returns the file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def pixels_of(data: bytes) -> Pixels:
    """Returns what is in a file that needs no turning and no page, in RGB [height,width,3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def oriented(upright: Pixels, file_format: str, orientation: int) -> bytes:
    """Returns a file in which the picture lies, and EXIF says how."""
    lying = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if file_format == "JPEG" else {}
    return file(Image.fromarray(np.ascontiguousarray(lying)), file_format, exif=exif, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: list[bytes], width: int, depth: int, colour_type: int, *before: bytes, after: bytes = b"") -> bytes:
    """Returns a PNG as the standard describes it.

    Args:
        rows: Their pixels, packed.
        width: In pixels.
        depth: Bits a channel.
        colour_type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha.
        before: Chunks before the pixels.
        after: Chunks behind them.
    """
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + data + after + chunk(b"IEND", b"")


def deep_png(levels: NDArray[np.uint16], *before: bytes) -> bytes:
    """Returns a PNG of 16 bits a channel; levels are [height,width,channels]."""
    height, width, channels = levels.shape
    rows = [levels[row].astype(">u2").tobytes() for row in range(height)]
    return png(rows, width, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], *before)


def ycck(colour: tuple[int, int, int, int], side: int = 16) -> bytes:
    """Returns a JPEG of one colour, in cyan, magenta, yellow and black, as Photoshop writes it: YCCK, inverted."""
    luma = Image.new("RGB", (side, side), colour[:3]).convert("YCbCr")
    bands = [band.point(lambda level: 255 - level) for band in luma.split()]
    data = file(Image.merge("CMYK", [*bands, Image.new("L", (side, side), colour[3])]), "JPEG", quality=100)
    transform = data.index(b"Adobe") + 11
    return data[:transform] + b"\2" + data[transform + 1 :]


def animation(file_format: str, *shades: int, **options: Any) -> bytes:
    """Returns an animation of frames of 4 x 4 pixels, each of one shade of grey."""
    first, *others = [Image.new("L", (4, 4), shade) for shade in shades]
    return file(first, file_format, save_all=True, append_images=others, **options)


ODD = {
    "orientation": oriented(field(4), "JPEG", 6),
    "alpha": file(Image.fromarray(field(4)).convert("RGBA"), "PNG"),
    "palette": file(Image.fromarray(field(4)).convert("P"), "PNG", transparency=b"\0\1\2"),
    "16 bits": deep_png(np.arange(12, dtype=np.uint16).reshape(3, 4, 1)),
    "inks": file(Image.fromarray(field(4)).convert("CMYK"), "JPEG"),
    "animated GIF": animation("GIF", 30, 128, 255),
    "animated PNG": animation("PNG", 30, 128, 255),
    "bits": file(Image.new("1", (40, 40)), "BMP"),
}
"""A file of each kind that is not plain."""
