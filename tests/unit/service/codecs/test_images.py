import io
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures.plain import FORMATS
from service.codecs.images import as_seen, check_encoded
from service.errors import ErrorKind, GatewayError
from tests.pictures import ODD, chunk, field, png
from tests.pictures import file as encoded_as


def encoded(file_format: str, mode: str = "L", size: tuple[int, int] = (9, 7), **options: Any) -> bytes:
    rng = np.random.default_rng(1)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = rng.integers(0, 255, (size[1], size[0], *channels), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()


def check(data: bytes, max_pixels: int = 1000) -> None:
    check_encoded(data, where="images[0].encoded", max_pixels=max_pixels)


def refusal(data: bytes, max_pixels: int = 1000) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        check(data, max_pixels)
    assert caught.value.violations[0].where == "images[0].encoded"
    return caught.value


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_whole_files_pass(file_format: str, mode: str) -> None:
    check(encoded(file_format, mode))


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_that_are_padded_at_their_end_pass(file_format: str) -> None:
    check(encoded(file_format) + bytes(16))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("cut", [1, 2, 7, 20])
def test_files_that_are_cut_off_are_refused(file_format: str, cut: int) -> None:
    error = refusal(encoded(file_format)[:-cut])
    assert error.kind is ErrorKind.INVALID_INPUT


def test_damage_is_found_where_the_format_has_checksums() -> None:
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 1
    assert "damaged" in str(refusal(bytes(data)))


@pytest.mark.parametrize("data", [b"", b"hello", bytes(100), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data).kind is ErrorKind.INVALID_INPUT


def test_formats_that_the_model_cannot_decode_are_refused() -> None:
    assert "expected a PNG, JPEG, GIF or BMP file" in str(refusal(encoded("WEBP", "RGB")))


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_size_is_read_from_the_header_before_anything_is_unpacked(file_format: str) -> None:
    error = refusal(encoded(file_format, size=(100, 50)), max_pixels=4999)
    assert error.kind is ErrorKind.TOO_LARGE
    assert "max_image_pixels" in str(error)
    assert "100 x 50 = 5000 pixels" in str(error)


def test_a_header_that_claims_an_absurd_size_is_refused() -> None:
    data = bytearray(encoded("PNG"))
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert refusal(bytes(data)).kind is ErrorKind.TOO_LARGE


@pytest.mark.parametrize("file_format", FORMATS)
def test_ordinary_files_are_left_to_the_model(file_format: str) -> None:
    data = encoded(file_format, "RGB")
    assert check_encoded(data, where="", max_pixels=63) == (63, True)


@pytest.mark.parametrize("kind", ODD)
def test_others_are_told_by_their_header_and_made_plain(kind: str) -> None:
    checked = check_encoded(ODD[kind], where="", max_pixels=10_000)
    assert not checked.plain
    seen = as_seen(ODD[kind], where="")
    assert check_encoded(seen, where="", max_pixels=10_000) == (checked.pixels, True)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_others_that_are_cut_off_are_refused_likewise(kind: str, share: float) -> None:
    error = refusal(ODD[kind][: int(len(ODD[kind]) * share)], max_pixels=10_000)
    assert error.kind is ErrorKind.INVALID_INPUT


def test_damage_that_only_unpacking_finds_is_refused_in_the_same_words() -> None:
    data = png([bytes(12)], 3, 8, 6, chunk(b"IDAT", b"\x78\x9cnonsense"))
    check(data)
    with pytest.raises(GatewayError) as caught:
        as_seen(data, where="images[0].encoded")
    [violation] = caught.value.violations
    assert (violation.where, violation.got) == ("images[0].encoded", "one that is cut off or damaged")
    assert violation.expected == "a whole PNG file"


def test_one_of_several_pictures_in_a_jpeg_is_a_whole_file() -> None:
    first = Image.fromarray(field(4))
    data = encoded_as(first, "MPO", save_all=True, append_images=[first])
    assert check_encoded(data, where="", max_pixels=96).plain


def test_a_bitmap_of_few_bits_is_measured_by_its_rows() -> None:
    data = encoded_as(Image.new("1", (70, 3)), "BMP")
    assert not check_encoded(data, where="", max_pixels=210).plain
    assert refusal(data[:-1]).kind is ErrorKind.INVALID_INPUT


@given(st.sampled_from(sorted(ODD)), st.binary(min_size=1, max_size=20), st.floats(0, 1))
def test_no_damage_to_others_crashes_it(kind: str, noise: bytes, share: float) -> None:
    whole = ODD[kind]
    at = int(share * len(whole))
    with suppress(GatewayError):
        damaged = whole[:at] + noise + whole[at + len(noise) :]
        check(damaged)
        as_seen(damaged, where="images[0].encoded")


@given(st.binary(max_size=300), st.sampled_from(FORMATS), st.integers(0, 200))
def test_no_bytes_whatever_crash_it(noise: bytes, file_format: str, at: int) -> None:
    whole = encoded(file_format)
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :]):
        try:
            check(data)
        except GatewayError as error:
            assert error.kind in {ErrorKind.INVALID_INPUT, ErrorKind.TOO_LARGE}
