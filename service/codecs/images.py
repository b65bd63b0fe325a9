"""Image files: what their headers say, read before anything is unpacked.

The model decodes images itself, in its graph. What is looked at here is what must be known before: that it is an image
of a known format, whole, not animated, and that it does not unpack to more pixels than is bearable.
"""

import io
import warnings

from PIL import Image

from service.errors import ErrorKind, Violation, invalid_input

FORMATS = ("PNG", "JPEG", "GIF", "BMP")
"""What TensorFlow's decoders read."""

_PNG_END = b"IEND\xaeB`\x82"
_TAIL = 4096
"""Some cameras and editors pad files behind their end marker; it is searched for in this many bytes."""
_EXPECTED = "a PNG, JPEG, GIF or BMP file"


def check_encoded(data: bytes, *, where: str, max_pixels: int) -> int:
    """Refuses what is not an image file that a model can decode, by its header and its structure alone.

    Args:
        data: The whole file.
        where: Path of the image, for errors.
        max_pixels: How many pixels it may unpack to.

    Returns:
        How many pixels it unpacks to.

    Raises:
        GatewayError: INVALID_INPUT or TOO_LARGE.
    """
    if not data:
        raise invalid_input(Violation(where, _EXPECTED, "0 bytes"))
    with _opened(data, where) as image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise invalid_input(
                Violation(
                    where,
                    f"at most {max_pixels} pixels more in this request (max_image_pixels)",
                    f"{image.width} x {image.height} = {pixels} pixels",
                ),
                kind=ErrorKind.TOO_LARGE,
            )
        if _is_animated(image, where):
            raise invalid_input(Violation(where, "a still image", f"an animated {image.format}"))
        if not _is_whole(data, image):
            raise invalid_input(Violation(where, f"a whole {image.format} file", "one that is cut off or damaged"))
        return pixels


def _opened(data: bytes, where: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # The caller has a limit of its own, and says which.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise invalid_input(
            Violation(where, "an image of bearable size", "one whose header claims far too many pixels"),
            kind=ErrorKind.TOO_LARGE,
        ) from None
    except Exception:  # the library's readers raise whatever they stumble over
        raise invalid_input(Violation(where, _EXPECTED, f"{len(data)} bytes of something else")) from None


def _is_animated(image: Image.Image, where: str) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # likewise
        raise invalid_input(
            Violation(where, f"a whole {image.format} file", "one that is cut off or damaged")
        ) from None


def _is_whole(data: bytes, image: Image.Image) -> bool:
    """Returns whether the file has its end; damage inside is found by the model's decoder."""
    match image.format:
        case "PNG":
            try:
                image.verify()  # lengths and checksums of all chunks, without unpacking them
            except Exception:  # likewise
                return False
            return _PNG_END in data[-_TAIL:]
        case "JPEG":
            return b"\xff\xd9" in data[-_TAIL:]
        case "GIF":
            return data.rstrip(b"\x00").endswith(b"\x3b")
        case _:
            return len(data) >= _bmp_size(data, image)


def _bmp_size(data: bytes, image: Image.Image) -> int:
    """Returns how long an uncompressed BMP file is at least: its rows are padded to 4 bytes."""
    pixels_at = int.from_bytes(data[10:14], "little")
    bits_per_pixel = int.from_bytes(data[28:30], "little")
    row = (image.width * bits_per_pixel + 31) // 32 * 4
    return pixels_at + row * image.height
