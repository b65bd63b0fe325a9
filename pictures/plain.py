"""Makes plain image files, which every decoder reads alike, of those that decoders read otherwise than people see them.

The decoders of TensorFlow know nothing of orientation and of most transparency, and do not read every kind of BMP. A
file that needs nothing of this stays as it is, byte for byte; one that does becomes a PNG, grey or RGB, 8 bits a
channel, of what a viewer shows on a white page.
"""

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "GIF", "BMP")
"""What TensorFlow's decoders read."""

_ORIENTATION = 0x0112  # the number of its tag in EXIF
_EXIF_BYTES = 1 << 16  # what there may be of it in a JPEG; the end of a PNG is searched for as much
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright, by its orientation; 1 is upright."""


class PictureError(ValueError):
    """A file that is no picture of these formats, or a damaged one."""


class TooManyPixelsError(PictureError):
    """A file whose header claims more pixels than anything could hold."""


def plain(data: bytes) -> bytes:
    """Returns the file if it is plain, else a plain one, a PNG.

    Takes up to 10 bytes of memory for each pixel of a file that is not plain.

    Args:
        data: A whole file.

    Raises:
        PictureError: When it is no PNG, JPEG, GIF or BMP file, or is found to be damaged.
    """
    image = opened(data)
    if is_plain(image, data):
        return data
    try:
        with _quietly():
            seen = _as_seen(image, _depth(image, data))
            seen.info.clear()  # or it would be written too: a profile of other colours, a transparent one
            file = io.BytesIO()
            # Photographs become no smaller by any effort that takes longer than this.
            seen.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
            return file.getvalue()
    except Exception as error:  # the library's readers raise whatever they stumble over
        raise PictureError(f"a damaged {image.format} file") from error


def opened(data: bytes) -> ImageFile:
    """Returns the file with its header read, and nothing unpacked.

    Raises:
        TooManyPixelsError: When its header says so.
        PictureError: When it is no PNG, JPEG, GIF or BMP file.
    """
    try:
        with _quietly():
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError("far too many pixels") from error
    except Exception as error:  # likewise
        raise PictureError("no image file") from error


def is_plain(image: ImageFile, data: bytes) -> bool:
    """Returns whether decoders give what people see, by the header alone.

    Args:
        image: The file, opened.
        data: The file.

    Raises:
        PictureError: When even that much is damaged.
    """
    try:
        if image.format == "BMP":
            return _is_plain_bmp(image, data)
        return (
            image.mode != "CMYK"
            and not image.has_transparency_data
            and _depth(image, data) <= 8
            and _orientation(image) not in _TURNS
            and not _has_late_exif(image, data)
            and _box(image) == (0, 0, *image.size)
            and not _is_animated(image)
        )
    except Exception as error:  # likewise
        raise PictureError(f"a damaged {image.format} file") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what the library thinks of a file out of the log."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def _is_plain_bmp(image: ImageFile, data: bytes) -> bool:
    """Returns whether it has Windows' header and 8, 24 or 32 bits a pixel, neither compressed nor masked."""
    header_size, bits = int.from_bytes(data[14:18], "little"), int.from_bytes(data[28:30], "little")
    return header_size >= 40 and bits in {8, 24, 32} and not image.info.get("compression")


def _depth(image: ImageFile, data: bytes) -> int:
    """Returns the bits a channel.

    Raises:
        ValueError: For a PNG that does not begin with its header, which no decoder of a graph reads.
    """
    if image.format != "PNG":
        return 8
    if data[12:16] != b"IHDR":
        raise ValueError("its header is not where it must be")
    return data[24]


def _orientation(image: ImageFile) -> Any:
    """Returns what EXIF says; None where it says nothing that can be read, which is what viewers make of it."""
    if "exif" not in image.info:
        return None
    try:
        with _quietly():
            exif = Image.Exif()
            exif.load(image.info["exif"])
            return exif.get(_ORIENTATION)
    except Exception:  # likewise
        return None


def _has_late_exif(image: ImageFile, data: bytes) -> bool:
    """Returns whether there may be EXIF behind the pixels, where PNG allows it and a header is not read any more."""
    return image.format == "PNG" and "exif" not in image.info and data.find(b"eXIf", -_EXIF_BYTES) >= 0


def _box(image: ImageFile) -> tuple[int, int, int, int]:
    """Returns what the first frame covers, which need not be the whole picture in a GIF."""
    return image.tile[0].extents or (0, 0, *image.size)


def _is_animated(image: ImageFile) -> bool:
    """Returns whether it has several frames; not of several pictures in one JPEG, as decoders stop after the first."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _as_seen(image: ImageFile, depth: int) -> Image.Image:
    """Returns the first frame as it is seen, in mode L or RGB.

    Args:
        image: The file, opened.
        depth: Bits a channel.
    """
    box = _box(image)
    image.load()
    turn = _TURNS.get(_orientation(image))
    seen = _on_white(image, depth)
    if seen is not image:
        image.close()  # gives its memory back: there is about to be another copy
    if box != (0, 0, *image.size):
        page = Image.new(seen.mode, seen.size, "white")
        page.paste(seen.crop(box), box)
        seen = page
    return seen if turn is None else seen.transpose(turn)


def _on_white(image: Image.Image, depth: int) -> Image.Image:
    """Returns it without transparency, 8 bits a channel; of 16 bits the upper 8 count, as everywhere."""
    transparent: Any = image.info.get("transparency")
    if image.mode in {"1", "L", "I;16"}:
        return _grey_on_white(image, transparent, depth)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode == "RGB" and depth == 16:
        # The lower bits of the pixels are gone by now, so shades of nearly the transparent colour are taken for it.
        image.info["transparency"] = tuple(level >> 8 for level in transparent)
    layer = image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    page = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
    page.paste(layer, mask=layer)
    return page


def _grey_on_white(image: Image.Image, transparent: Any, depth: int) -> Image.Image:
    """Does so for grey without an alpha channel.

    Args:
        image: In mode 1, L or I;16.
        transparent: The level that is transparent, if it is a number; in the file's own bits.
        depth: Those bits.
    """
    levels = np.asarray(image.convert("L") if image.mode == "1" else image)
    grey = (levels >> 8).astype(np.uint8) if depth == 16 else levels
    if isinstance(transparent, int):
        level = transparent * 255 // (2**depth - 1) if depth < 8 else transparent
        grey = np.where(levels == level, np.uint8(255), grey)
    return Image.fromarray(grey)
