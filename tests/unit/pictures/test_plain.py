import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures.plain import FORMATS, PictureError, plain
from tests.pictures import (
    COLOURS,
    ODD,
    Pixels,
    animation,
    chunk,
    deep_png,
    field,
    file,
    oriented,
    pixels_of,
    png,
    ycck,
)

_WHITE = (255, 255, 255)


def seen(data: bytes) -> Pixels:
    """Returns what is in the plain file made of it [height,width,3]."""
    made = plain(data)
    assert made != data
    image = Image.open(io.BytesIO(made))
    assert (image.format, image.info, image.mode in {"L", "RGB"}) == ("PNG", {}, True)
    assert made[24] == 8
    assert plain(made) == made
    return pixels_of(made)


def on_white(colours: Pixels, alpha: Pixels) -> Any:
    share = alpha[..., np.newaxis] / 255
    return colours * share + 255 * (1 - share)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_ordinary_files_stay_as_they_are(file_format: str, mode: str) -> None:
    data = file(Image.fromarray(field()).convert("L" if (file_format, mode) == ("JPEG", "P") else mode), file_format)
    assert plain(data) is data


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_an_upright_file_that_says_so_stays_as_it_is(file_format: str) -> None:
    data = oriented(field(), file_format, 1)
    assert plain(data) is data


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_that_lies_is_set_upright(file_format: str, orientation: int) -> None:
    np.testing.assert_allclose(seen(oriented(field(), file_format, orientation)), field(), atol=4)


def test_exif_behind_the_pixels_of_a_png_counts_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    rows = [row.tobytes() for row in COLOURS[::-1, ::-1]]
    late = chunk(b"eXIf", exif.tobytes()[6:])
    np.testing.assert_array_equal(seen(png(rows, 3, 8, 2, after=late)), COLOURS)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff"]
    + [b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1" + value for value in (b"\0\0\0\0", b"\0\x09\0\0", b"\0")],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_exif_that_makes_no_sense_is_passed_over(file_format: str, exif: bytes) -> None:
    data = file(Image.fromarray(field()), file_format, exif=exif)
    assert plain(data) is data


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode: str) -> None:
    colours = COLOURS if mode == "RGBA" else np.repeat(COLOURS[..., :1], 3, axis=2)
    alpha = np.array([[0, 255, 128], [1, 64, 254]], np.uint8)
    image = Image.fromarray(colours)
    image.putalpha(Image.fromarray(alpha))
    data = file(image.convert(mode), "PNG")
    np.testing.assert_allclose(seen(data), on_white(colours, alpha), atol=1)
    assert Image.open(io.BytesIO(plain(data))).mode == ("RGB" if mode == "RGBA" else "L")


@pytest.mark.parametrize(("file_format", "alpha"), [("PNG", bytes([255, 0, 100])), ("PNG", 1), ("GIF", 1)])
def test_transparent_entries_of_a_palette_lie_on_white(file_format: str, alpha: Any) -> None:
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    image.putpalette(COLOURS[0].tobytes())
    levels = np.array(list(alpha) if isinstance(alpha, bytes) else [255, 0, 255], np.uint8)
    expected = on_white(COLOURS[0], levels)[np.asarray(image)]
    np.testing.assert_allclose(seen(file(image, file_format, transparency=alpha)), expected, atol=1)


def test_a_grey_gif_with_a_transparent_shade_lies_on_white() -> None:
    data = file(Image.fromarray(np.arange(0, 6, dtype=np.uint8).reshape(2, 3)), "GIF", transparency=4)
    np.testing.assert_array_equal(seen(data)[..., 0], [[0, 1, 2], [3, 255, 5]])


def test_a_transparent_colour_lies_on_white() -> None:
    expected = COLOURS.copy()
    expected[0, 1] = _WHITE
    data = file(Image.fromarray(COLOURS), "PNG", transparency=(30, 180, 60))
    np.testing.assert_array_equal(seen(data), expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_shade_of_grey_lies_on_white_however_many_bits_it_has(depth: int) -> None:
    packed = {1: 0b01000000, 2: 0b00_01_00_01, 4: 0x01, 8: 0}[depth]
    rows = [bytes([packed]) + (b"\1" if depth == 8 else b"")]
    data = png(rows, 2, depth, 0, chunk(b"tRNS", b"\0\0"))
    np.testing.assert_array_equal(seen(data)[0, :, 0], [255, 255 // (2**depth - 1)])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_become_eight_and_are_not_cut_off(channels: int) -> None:
    levels = np.linspace(0, 65535, 60).astype(np.uint16).reshape(-1, 10, 1)
    alpha = [np.full_like(levels, 65535)] if channels % 2 == 0 else []
    data = deep_png(np.concatenate([levels] * (channels - len(alpha)) + alpha, axis=2))
    np.testing.assert_allclose(seen(data)[..., 0], levels[..., 0] / 257, atol=1)


def test_transparency_of_sixteen_bits_lies_on_white() -> None:
    levels = np.array([[[0x1234], [0x1235], [0xFFFF]]], np.uint16)
    np.testing.assert_array_equal(seen(deep_png(levels, chunk(b"tRNS", b"\x12\x34")))[0, :, 0], [255, 0x12, 255])
    colour = np.array([[[0x1234, 0x5678, 0x9ABC], [0x2234, 0x5678, 0x9ABC]]], np.uint16)
    data = deep_png(colour, chunk(b"tRNS", b"\x12\x34\x56\x78\x9a\xbc"))
    np.testing.assert_array_equal(seen(data), [[_WHITE, (0x22, 0x56, 0x9A)]])
    clear = np.array([[[0, 0, 0, 0x8000]]], np.uint16)
    np.testing.assert_allclose(seen(deep_png(clear)), 127, atol=1)


def test_inks_become_light() -> None:
    data = file(Image.fromarray(field()).convert("CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(seen(data), field(), atol=6)
    np.testing.assert_allclose(seen(ycck((255, 0, 0, 0)))[0, 0], (0, 255, 255), atol=3)
    np.testing.assert_allclose(seen(ycck((0, 51, 255, 102)))[0, 0], (153, 122, 0), atol=3)


@pytest.mark.parametrize("file_format", ["GIF", "PNG"])
def test_of_an_animation_the_first_frame_is_seen(file_format: str) -> None:
    np.testing.assert_array_equal(seen(animation(file_format, 30, 128, 255)), np.full((4, 4, 3), 30))


def test_of_a_still_picture_and_an_animation_in_a_png_the_still_is_seen() -> None:
    data = animation("PNG", 30, 128, 255, default_image=True)
    np.testing.assert_array_equal(seen(data), np.full((4, 4, 3), 30))


def test_of_several_pictures_in_one_jpeg_decoders_read_the_first() -> None:
    first = Image.fromarray(field())
    data = file(first, "MPO", save_all=True, append_images=[first.rotate(180)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert plain(data) is data


def test_what_the_frame_of_a_gif_does_not_cover_is_white() -> None:
    data = bytearray(file(Image.new("P", (2, 2), 1), "GIF"))
    data[6:10] = b"\3\0\4\0"  # the size of the screen
    frame = data.index(b",", 13)
    data[frame + 1 : frame + 5] = b"\1\0\1\0"  # where the frame begins
    colour = pixels_of(file(Image.new("P", (2, 2), 1), "GIF"))[0, 0]
    expected = np.full((4, 3, 3), 255)
    expected[1:3, 1:3] = colour
    np.testing.assert_array_equal(seen(bytes(data)), expected)


def bitmap(bits: int, compression: int, pixels: bytes, *masks: int) -> bytes:
    """Returns a BMP of 2 x 1 pixels, with masks of its channels in place of a palette."""
    header = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    header += struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


def test_bitmaps_that_the_graph_reads_otherwise_or_not_at_all_are_made_plain() -> None:
    bits = Image.fromarray(np.array([[0, 255, 0], [255, 255, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(seen(file(bits, "BMP"))[..., 0], [[0, 255, 0], [255, 255, 0]])
    red_and_blue = [[(255, 0, 0), (0, 0, 255)]]
    np.testing.assert_array_equal(seen(bitmap(16, 0, b"\x00\x7c\x1f\x00")), red_and_blue)
    np.testing.assert_array_equal(seen(bitmap(16, 3, b"\x00\xf8\x1f\x00", 0xF800, 0x7E0, 0x1F)), red_and_blue)
    masked = bitmap(32, 3, b"\0\0\0\xff\0\xff\0\0", 0xFF000000, 0xFF0000, 0xFF00)
    np.testing.assert_array_equal(seen(masked), red_and_blue)
    run_lengths = bytearray(file(Image.new("L", (4, 2), 7), "BMP"))
    start = int.from_bytes(run_lengths[10:14], "little")
    run_lengths[30] = 1
    run_lengths[start:] = b"\4\7\0\0\4\x09\0\1"
    np.testing.assert_array_equal(seen(bytes(run_lengths))[..., 0], [[9] * 4, [7] * 4])


def test_the_fourth_byte_of_an_ordinary_bitmap_means_nothing() -> None:
    data = file(Image.fromarray(COLOURS).convert("RGBA"), "BMP")
    assert plain(data) is data


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        plain(data)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_that_does_not_begin_with_its_header_is_damaged(depth: int) -> None:
    data = png([bytes(2 * depth // 8)], 2, depth, 0)
    signature, header, rest = data[:8], data[8:33], data[33:]
    assert plain(data)
    with pytest.raises(PictureError, match="damaged"):
        plain(signature + chunk(b"IDAT", b"") + header + rest)


@pytest.mark.parametrize("kind", ODD)
@given(noise=st.binary(min_size=1, max_size=20), at=st.floats(0, 1))
def test_no_damage_whatever_raises_anything_else(kind: str, noise: bytes, at: float) -> None:
    data, place = ODD[kind], int(at * len(ODD[kind]))
    for damaged in (data[:place] + noise + data[place + len(noise) :], data[:place] + noise):
        with suppress(PictureError):
            assert plain(damaged)
