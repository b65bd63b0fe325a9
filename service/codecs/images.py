"""Image files: what their headers say, read before anything is unpacked, and what people see when they look at them.

The model decodes images itself, in its graph. What is looked at here is what must be known before: that it is an image
of a known format, whole, and that it does not unpack to more pixels than is bearable; and whether a graph would read it
as people see it. Only where it would not, it is unpacked here, and made a file of which that is true.
"""

from typing import NamedTuple

from PIL.ImageFile import ImageFile

from pictures.plain import PictureError, TooManyPixelsError, is_plain, opened, plain
from service.codecs.image_work import work_of
from service.errors import ErrorKind, GatewayError, Violation, invalid_input

_PNG_END = b"IEND\xaeB`\x82"
_TAIL = 4096
"""Some cameras and editors pad files behind their end marker; it is searched for in this many bytes."""
_EXPECTED = "a PNG, JPEG, GIF or BMP file"


class Checked(NamedTuple):
    """What the header of a file says.

    Attributes:
        pixels: How many it unpacks to; more where it takes several passes, or has many parts.
        plain: Whether a model can be given it as it is; else what `as_seen` makes of it.
    """

    pixels: int
    plain: bool


def check_encoded(data: bytes, *, where: str, max_pixels: int) -> Checked:
    """Refuses what is not an image file that can be decoded, by its header and its structure alone.

    Args:
        data: The whole file.
        where: Path of the image, for errors.
        max_pixels: How many pixels it may unpack to.

    Raises:
        GatewayError: INVALID_INPUT or TOO_LARGE.
    """
    if not data:
        raise invalid_input(Violation(where, _EXPECTED, "0 bytes"))
    work = work_of(data, max_pixels=max_pixels)
    if work.pixels > max_pixels:
        raise _too_much(where, max_pixels, "so many parts that to read them is more work than that")
    with _opened(data, where) as image:
        passes = f" x {work.passes} passes" if work.passes > 1 else ""
        pixels = image.width * image.height * work.passes + work.pixels
        if pixels > max_pixels:
            raise _too_much(where, max_pixels, f"{image.width} x {image.height}{passes} = {pixels} pixels")
        try:
            checked = Checked(pixels, is_plain(image, data))
        except PictureError:
            raise _damaged(image.format, where) from None
        if not _is_whole(data, image):
            raise _damaged(image.format, where)
        return checked


def as_seen(data: bytes, *, where: str) -> bytes:
    """Returns the file that a model is given in place of one that is not plain; takes its time, and memory.

    Args:
        data: A file that was checked.
        where: Path of the image, for errors.

    Raises:
        GatewayError: INVALID_INPUT, when it turns out to be damaged.
    """
    try:
        return plain(data)
    except PictureError:
        raise _damaged(_opened(data, where).format, where) from None


def _too_much(where: str, max_pixels: int, got: str) -> GatewayError:
    expected = f"at most {max_pixels} pixels more in this request (max_image_pixels)"
    return invalid_input(Violation(where, expected, got), kind=ErrorKind.TOO_LARGE)


def _damaged(file_format: str | None, where: str) -> GatewayError:
    return invalid_input(Violation(where, f"a whole {file_format} file", "one that is cut off or damaged"))


def _opened(data: bytes, where: str) -> ImageFile:
    try:
        return opened(data)
    except TooManyPixelsError:
        raise invalid_input(
            Violation(where, "an image of bearable size", "one whose header claims far too many pixels"),
            kind=ErrorKind.TOO_LARGE,
        ) from None
    except PictureError:
        raise invalid_input(Violation(where, _EXPECTED, f"{len(data)} bytes of something else")) from None


def _is_whole(data: bytes, image: ImageFile) -> bool:
    """Returns whether the file has its end; damage inside is found by what decodes it."""
    match image.format:
        case "PNG":
            try:
                image.verify()  # lengths and checksums of all chunks, without unpacking them
            except Exception:  # the library's readers raise whatever they stumble over
                return False
            return _PNG_END in data[-_TAIL:]
        case "JPEG" | "MPO":
            return b"\xff\xd9" in data[-_TAIL:]
        case "GIF":
            return data.rstrip(b"\x00").endswith(b"\x3b")
        case _:
            return len(data) >= _bmp_size(image)


def _bmp_size(image: ImageFile) -> int:
    """Returns how long a BMP file is at least; of one with run lengths that is known when it is unpacked."""
    tile = image.tile[0]
    if tile.codec_name != "raw" or not isinstance(tile.args, tuple):
        return tile.offset
    _, row, _ = tile.args  # in bytes
    return tile.offset + int(row) * image.height
