"""Finds the picture files below a folder, and reads each as the gateway would give it to a model."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from PIL import Image, ImageOps

from pictures.plain import PictureError, plain
from training.classifier.decoding import decode_image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp"})
_OTHER_PICTURES = frozenset({".avif", ".heic", ".heif", ".jp2", ".tif", ".tiff"})  # not to be passed over, silently
_OF_SYSTEMS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN"})
_NO_PICTURE = "expected a PNG, JPEG, GIF, BMP or WebP image, got a file that cannot be decoded"


class UnreadableError(Exception):
    """A file that should be a picture and cannot be read; the message is what was expected and what came."""


def fingerprint(content: bytes) -> int:
    """A number of 64 bits that tells contents apart."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def is_of_system(path: Path) -> bool:
    """Whether a file or folder is one that systems and programs leave among those of people."""
    return path.name.startswith(".") or path.name in _OF_SYSTEMS


def picture_files(folder: Path) -> Iterator[Path]:
    """What should be pictures below a folder, in the order of their paths, but for what systems leave there."""
    for path in sorted(folder.iterdir()):
        if is_of_system(path):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from picture_files(path)
        elif path.suffix.lower() in SUFFIXES | _OTHER_PICTURES or path.is_dir():
            yield path


def content_of(path: Path) -> bytes:
    """Reads a file.

    Raises:
        UnreadableError: it is none, or of a format that nothing here reads.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise UnreadableError("expected a picture, got a link to a folder")
    if path.is_symlink() and not path.exists():
        raise UnreadableError("expected a picture, got a link to nothing")
    if not path.is_file():
        raise UnreadableError("expected a picture, got no plain file")
    if suffix in _OTHER_PICTURES:
        raise UnreadableError(f"expected a PNG, JPEG, GIF, BMP or WebP image, got {suffix}: convert it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error


def as_served(content: bytes) -> bytes:
    """The file as the gateway would give it to the model, a WebP file as PNG.

    Raises:
        UnreadableError: it is not an image, or a damaged one.
    """
    try:
        return plain(_as_png(content) if _is_webp(content) else content)
    except PictureError as error:
        raise UnreadableError(_NO_PICTURE) from error


def shape_of(picture: bytes) -> tuple[int, int, int]:
    """Height, width and channels of a picture, which is decoded for that, so that what is damaged is found.

    Raises:
        UnreadableError: it cannot be decoded.
    """
    try:
        decoded = tf.io.decode_image(picture, expand_animations=False)
        if picture.startswith(b"BM"):  # of which some kinds would be decoded to other pixels
            decode_image(tf.constant(picture), channels=3)
    except tf.errors.InvalidArgumentError as error:
        raise UnreadableError(_NO_PICTURE) from error
    height, width, channels = decoded.shape
    return height, width, channels


def _is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def _as_png(content: bytes) -> bytes:
    """The first frame of a WebP file, upright, as PNG."""
    try:
        with Image.open(io.BytesIO(content), formats=("WEBP",)) as image:
            upright = ImageOps.exif_transpose(image)
            upright.info.clear()
            file = io.BytesIO()
            upright.save(file, "PNG")
            return file.getvalue()
    except Exception as error:  # the library's readers raise whatever they stumble over
        raise PictureError("a damaged WebP file, or a library without it") from error
