import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.content_encoding import decompressed
from service.errors import ErrorKind, GatewayError

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
encodings = pytest.mark.parametrize("encoding", COMPRESS)


async def unpacked(data: bytes, encoding: str, limit: int = 2**24) -> bytes:
    return await decompressed(data, encoding, limit=limit, hold=lambda _: None)


async def failure(data: bytes, encoding: str, limit: int = 2**24) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await unpacked(data, encoding, limit)
    return caught.value


@encodings
@pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024, 3_000_000])
async def test_what_was_packed_comes_out(encoding: str, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"a" * (size % 256)
    assert await unpacked(COMPRESS[encoding](data), encoding) == data


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
async def test_what_was_not_packed_is_left_alone(encoding: str) -> None:
    data = b"anything"
    assert await unpacked(data, encoding) is data


async def test_names_are_read_as_http_has_them() -> None:
    assert await unpacked(gzip.compress(b"a"), " GZIP ") == b"a"
    assert await unpacked(gzip.compress(b"a"), "x-gzip") == b"a"


async def test_gzip_may_have_several_members() -> None:
    assert await unpacked(gzip.compress(b"a" * 100_000) + gzip.compress(b"") + gzip.compress(b"b"), "gzip") == (
        b"a" * 100_000 + b"b"
    )


async def test_no_end_of_members_is_refused() -> None:
    error = await failure(gzip.compress(b"") * 2000, "gzip")
    assert error.kind is ErrorKind.MALFORMED
    assert "members" in error.message


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, deflate", "gzipx"])
async def test_other_encodings_are_refused(encoding: str) -> None:
    error = await failure(b"", encoding)
    assert (error.kind, error.violations[0].where) == (ErrorKind.UNSUPPORTED_FORMAT, "Content-Encoding")


@encodings
async def test_what_is_cut_off_anywhere_is_refused(encoding: str) -> None:
    data = COMPRESS[encoding](b"some text, some text")
    for size in range(len(data)):
        assert (await failure(data[:size], encoding)).kind is ErrorKind.MALFORMED


@encodings
async def test_bytes_after_the_end_are_refused(encoding: str) -> None:
    error = await failure(COMPRESS[encoding](b"text") + b"more", encoding)
    assert (error.kind, error.violations[0].where) == (ErrorKind.MALFORMED, "body")


@encodings
async def test_the_limit_is_exact(encoding: str) -> None:
    packed = COMPRESS[encoding](bytes(1000))
    assert await unpacked(packed, encoding, limit=1000) == bytes(1000)
    error = await failure(packed, encoding, limit=999)
    assert error.kind is ErrorKind.TOO_LARGE
    assert "max_request_bytes" in error.message


@encodings
async def test_what_unpacks_to_much_stops_at_the_limit(encoding: str) -> None:
    packed = COMPRESS[encoding](bytes(200_000_000))
    tracemalloc.start()
    try:
        assert (await failure(packed, encoding, limit=5_000_000)).kind is ErrorKind.TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


async def test_each_step_is_counted_before_it_is_kept() -> None:
    held: list[int] = []

    def hold(size: int) -> None:
        held.append(size)
        if sum(held) > 2_000_000:
            raise GatewayError(ErrorKind.OVERLOADED, "too many")

    with pytest.raises(GatewayError, match="too many"):
        await decompressed(gzip.compress(bytes(10_000_000)), "gzip", limit=20_000_000, hold=hold)
    assert sum(held) < 3_100_000


@given(st.binary(max_size=300), st.sampled_from(list(COMPRESS)), st.booleans())
async def test_no_bytes_whatever_crash_it(data: bytes, encoding: str, looks_right: bool) -> None:
    start = COMPRESS[encoding](b"abc")[:10] if looks_right else b""
    try:
        await unpacked(start + data, encoding)
    except GatewayError as error:
        assert error.kind is ErrorKind.MALFORMED
