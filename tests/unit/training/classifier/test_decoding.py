import io

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from pictures.plain import plain
from tests.pictures import ODD, pixels_of
from training.classifier.decoding import decode_images

_LUMA = np.array([0.299, 0.587, 0.114])


def _colours(height: int = 6, width: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _decoded(*files: bytes, height: int = 6, width: int = 5, channels: int = 3) -> NDArray[np.float32]:
    run = tf.function(lambda data: decode_images(data, height=height, width=width, channels=channels))
    pixels: NDArray[np.float32] = run(tf.constant(files)).numpy()
    return pixels


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", mode) for mode in ("RGB", "RGBA", "P", "L", "LA", "1")]
    + [("BMP", mode) for mode in ("RGB", "RGBA", "P", "L")],
)
def test_lossless_files_of_every_mode_decode_to_what_pillow_sees(kind: str, mode: str) -> None:
    image = Image.fromarray(_colours()).convert(mode)
    seen = np.asarray(image.convert("RGB"), np.float32)
    np.testing.assert_array_equal(_decoded(_file(image, kind))[0], seen)
    grey = seen @ _LUMA
    np.testing.assert_allclose(_decoded(_file(image, kind), channels=1)[0, ..., 0], grey, atol=1e-3)


def test_sixteen_bits_become_eight() -> None:
    values = np.linspace(0, 65535, 30).reshape(6, 5).astype(np.uint16)
    pixels = _decoded(_file(Image.fromarray(values), "PNG"), channels=1)
    np.testing.assert_allclose(pixels[0, ..., 0], values / 257, atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_lies_on_white(mode: str, channels: int) -> None:
    alpha = np.linspace(0, 255, 30).astype(np.uint8).reshape(6, 5)
    colours = np.repeat(_colours()[..., :1], 3, axis=2)
    image = Image.fromarray(colours)
    image.putalpha(Image.fromarray(alpha))
    file = _file(image.convert(mode), "PNG")
    if mode == "P":
        image = Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5), "P")
        image.putpalette(colours.tobytes())
        file = _file(image, "PNG", transparency=alpha.tobytes())
    share = alpha[..., np.newaxis] / 255
    expected = (colours * share + 255 * (1 - share))[..., :channels]
    np.testing.assert_allclose(_decoded(file, channels=channels)[0], expected, atol=1e-3)


def test_the_fourth_byte_of_a_bitmap_means_nothing() -> None:
    image = Image.fromarray(_colours())
    image.putalpha(0)
    np.testing.assert_array_equal(_decoded(_file(image, "BMP"))[0], _colours())


@pytest.mark.parametrize("kind", ODD)
def test_plain_files_decode_to_what_pillow_sees(kind: str) -> None:
    file = plain(ODD[kind])
    height, width, _ = pixels_of(file).shape
    np.testing.assert_array_equal(_decoded(file, height=height, width=width)[0], pixels_of(file))


def test_a_jpeg_decodes_to_nearly_its_pixels() -> None:
    smooth = np.tile(np.linspace(0, 255, 16, dtype=np.uint8)[:, None, None], (1, 16, 3))
    file = _file(Image.fromarray(smooth), "JPEG", quality=95)
    np.testing.assert_allclose(_decoded(file, height=16, width=16)[0], smooth, atol=6)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("P", (5, 6), color=index) for index in (7, 9)]
    for frame in frames:
        frame.putpalette([value for index in range(256) for value in (index, index, index)])
    file = _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(_decoded(file)[0], np.full((6, 5, 3), 7.0))


def test_files_of_different_sizes_and_kinds_fit_in_one_batch() -> None:
    files = [_file(Image.fromarray(_colours(*size)), "PNG") for size in ((6, 5), (40, 30), (1, 1))]
    assert _decoded(*files, _file(Image.new("L", (9, 9)), "BMP")).shape == (4, 6, 5, 3)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((60, 50), np.uint8)
    stripes[:, ::2] = 255
    pixels = _decoded(_file(Image.fromarray(stripes), "PNG"), channels=1)
    np.testing.assert_allclose(pixels, 127.5, atol=6)


_PNG = _file(Image.fromarray(_colours()), "PNG")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no image",
        _PNG[:40],
        _PNG[:-20],
        b"BM",
        _file(Image.fromarray(_colours()), "BMP")[:60],
        _file(Image.fromarray(_colours()), "JPEG")[:100],
        b"GIF89a",
    ],
    ids=["empty", "text", "png-header", "png-cut", "bmp-magic", "bmp-cut", "jpeg-cut", "gif-magic"],
)
def test_a_broken_file_is_an_invalid_argument(broken: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        _decoded(_PNG, broken)


def test_a_run_length_encoded_bmp_is_an_invalid_argument() -> None:
    file = bytearray(_file(Image.fromarray(_colours()).convert("P"), "BMP"))
    file[30] = 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="run-length"):
        _decoded(bytes(file))
