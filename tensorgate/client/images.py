"""Images as people have them, and as they travel."""

import io
import sys
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from tensorgate.client.errors import invalid
from tensorgate.client.packed import Array, append_packed
from tensorgate.v1 import tensorgate_pb2 as pb

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

ImageLike: TypeAlias = "str | PathLike[str] | bytes | bytearray | memoryview | Array | PilImage"
"""The path of a file, its bytes, a picture of Pillow, or pixels, 0 to 255, in the model's own size: [height, width] or
[height, width, channels]."""

_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_ORIENTATION = 0x0112
_RANKS = (2, 3)


class PixelRangeWarning(UserWarning):
    """Pixels are most probably scaled to 0 to 1, where 0 to 255 is expected: such an image is seen as black."""


def is_one(images: Any) -> bool:
    """Whether this is one image and not several, as the rows of an array with a dimension more are."""
    if isinstance(images, np.ndarray):
        return images.ndim <= max(_RANKS)
    return not isinstance(images, Sequence) or isinstance(images, str | bytes | bytearray | memoryview)


def image_message(image: Any, where: str) -> pb.Image:
    """Returns one image as it travels.

    Args:
        image: As `ImageLike` says.
        where: Path of it, for errors.

    Raises:
        InvalidInput: When it is no image, or its file cannot be read.
    """
    match image:
        case bytes():
            return pb.Image(encoded=image)
        case bytearray() | memoryview():
            return pb.Image(encoded=bytes(image))
        case str() | PathLike():
            return pb.Image(encoded=_read(Path(image), where))
        case np.ndarray():
            return pb.Image(pixels=_pixels(image, where))
    pil = sys.modules.get("PIL.Image")  # where nobody has imported it, this is none of its pictures
    if pil is not None and isinstance(image, pil.Image):
        return pb.Image(encoded=_png(cast("PilImage", image)))
    expected = "a path, the bytes of a file, a picture of Pillow or an array of pixels"
    raise invalid(where, expected, type(image).__name__)


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise invalid(where, "a file that can be read", f"{path}: {reason}") from error


def _pixels(image: Array, where: str) -> pb.Pixels:
    if image.ndim not in _RANKS:
        got = f"an array of shape {list(image.shape)}"
        raise invalid(where, "pixels [height, width] or [height, width, channels]", got)
    if image.size and image.dtype.kind in "fb" and 0 < image.max() <= 1:
        text = "images: pixels between 0 and 1, next to black where classifiers take 0 to 255: multiply them by 255?"
        warnings.warn(text, PixelRangeWarning, stacklevel=2)
    pixels = pb.Pixels(shape=image.shape)
    if image.dtype == np.uint8:
        pixels.bytes_values = image.tobytes()
    elif image.dtype.kind in "buif":
        append_packed(pixels, "values", image, "<f4")
    else:
        raise invalid(where, "pixels that are numbers", f"an array of {image.dtype}")
    return pixels


def _png(image: "PilImage") -> bytes:
    """Returns the picture as a file, which the server sees as people see it: with how it lies."""
    file = io.BytesIO()
    exif = image.getexif()
    lies = {"exif": exif} if exif.get(_ORIENTATION, 1) != 1 else {}
    plain = image if image.mode in _PNG_MODES else image.convert("RGB")
    plain.save(file, "PNG", compress_level=1, **lies)
    return file.getvalue()
