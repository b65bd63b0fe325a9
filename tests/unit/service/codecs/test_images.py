import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.codecs.images import FORMATS, check_encoded
from service.errors import ErrorKind, GatewayError


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


@pytest.mark.parametrize("file_format", ["GIF", "PNG"])
def test_animations_are_refused(file_format: str) -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 128, 255)]
    file = io.BytesIO()
    frames[0].save(file, file_format, save_all=True, append_images=frames[1:])
    assert "animated" in str(refusal(file.getvalue()))


@given(st.binary(max_size=300), st.sampled_from(FORMATS), st.integers(0, 200))
def test_no_bytes_whatever_crash_it(noise: bytes, file_format: str, at: int) -> None:
    whole = encoded(file_format)
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :]):
        try:
            check(data)
        except GatewayError as error:
            assert error.kind in {ErrorKind.INVALID_INPUT, ErrorKind.TOO_LARGE}
