"""What is around a message: compression, gRPC's framing and gRPC-Web's base64."""

import gzip
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, MutableMapping, Sequence
from random import Random
from typing import Any

from fuzz.models import awaited
from fuzz.target import Target, check
from service.codecs.content_encoding import decompressed
from service.core.admission import Admission
from service.errors import GatewayError
from service.transport.grpc.framing import MessageReader, Receive, framed
from service.transport.grpc.metadata import timeout_of
from service.transport.grpc.writers import from_base64
from tests.mutations import mutated_bytes

_LIMIT = 2**16
_ENCODINGS = ("", "gzip", "deflate", "identity", "snappy")
_CUTS = (1, 2, 3, 5, 7, 64, 2**20)


def _unpacked(encoding: str, reference: Callable[[bytes], bytes]) -> Callable[[bytes], None]:
    def decode(data: bytes) -> None:
        held: list[int] = []
        unpacked = awaited(decompressed(data, encoding, limit=_LIMIT, hold=held.append))
        check(unpacked == reference(data), f"not what Python's own {encoding} makes of it")
        check(sum(held) == len(unpacked) <= _LIMIT, f"{sum(held)} bytes were counted of {len(unpacked)}")

    return decode


def _events(parts: Sequence[bytes]) -> Receive:
    left = list(parts)

    async def receive() -> MutableMapping[str, Any]:
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return receive


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def _outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except GatewayError as refusal:
        return refusal.kind


async def _all(reader: MessageReader, admission: Admission) -> list[bytes]:
    with admission.admitted() as held:
        return [message async for message in reader.all(held)]


async def _only(reader: MessageReader, admission: Admission) -> list[bytes]:
    with admission.admitted() as held:
        return [await reader.only(held)]


def _frames(data: bytes) -> None:
    """The first byte says how messages are compressed and where the rest is cut: the cuts make no difference."""
    first = data[0] if data else 0
    encoding, size = _ENCODINGS[first % len(_ENCODINGS)], _CUTS[first // len(_ENCODINGS) % len(_CUTS)]
    admission = Admission(requests=1, streams=1, request_bytes=2**24)
    read: Any
    for read in (_all, _only):
        whole, pieces = (
            _outcome(lambda: awaited(read(MessageReader(_events(parts), encoding=encoding, limit=_LIMIT), admission)))  # noqa: B023
            for parts in ([data[1:]], _cut(data[1:], size))
        )
        check(whole == pieces, f"in one piece {whole!r}, in pieces of {size} bytes {pieces!r}")
    check(admission.bytes_held() == 0, f"{admission.bytes_held()} bytes are held for ever")


async def _decoded(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        event = await receive()
        parts.append(event["body"])
        more = event["more_body"]
    return b"".join(parts)


def _base64(data: bytes) -> None:
    """The first byte says where the rest is cut: that makes no difference."""
    size = _CUTS[data[0] % len(_CUTS)] if data else 1
    whole, pieces = (
        _outcome(lambda: awaited(_decoded(from_base64(_events(parts)))))  # noqa: B023
        for parts in ([data[1:]], _cut(data[1:], size))
    )
    check(whole == pieces, f"in one piece {whole!r}, in pieces of {size} bytes {pieces!r}")


def _timeout(data: bytes) -> None:
    seconds = timeout_of(data)
    check(seconds is not None and seconds >= 0, f"{seconds} seconds")


def _mutated_gzip(data: bytes, random: Random) -> bytes:
    """Changes what is compressed, and at times what it is compressed to, or adds another member."""
    unpacked = mutated_bytes(gzip.decompress(data), random)
    again = gzip.compress(unpacked * random.choice((1, 1, 1, 40)), mtime=0)
    again += random.choice((b"", b"", gzip.compress(unpacked[:9], mtime=0), b"\0" * 9, b"x"))
    return again if random.random() < 0.4 else mutated_bytes(again, random)


def _mutated_deflate(data: bytes, random: Random) -> bytes:
    again = zlib.compress(mutated_bytes(zlib.decompress(data), random), random.randint(0, 9))
    return again if random.random() < 0.4 else mutated_bytes(again, random)


def _mutated_frames(data: bytes, random: Random) -> bytes:
    """Has another prefix lie, puts a message in, or changes bytes."""
    prefix = struct.pack(
        ">BI", random.choice((0, 0, 1, 2, 128, 255)), random.choice((0, 1, 5, 2**16, 2**31, 2**32 - 1))
    )
    piece = random.choice((prefix, framed(random.randbytes(3)), framed(b"abc", "gzip"), framed(b"abc" * 9, "deflate")))
    at = random.randrange(1, len(data) + 1)
    changed = data[:at] + piece + data[at:] if random.random() < 0.5 else data[:1] + mutated_bytes(data[1:], random)
    return changed if random.random() < 0.8 else bytes([random.randrange(256)]) + changed[1:]


def _mutated_base64(data: bytes, random: Random) -> bytes:
    piece = random.choice((b"=", b"==", b"-", b"\n", b64encode(random.randbytes(random.randrange(5)))))
    at = random.randrange(1, len(data) + 1)
    changed = data[:at] + piece + data[at:] if random.random() < 0.6 else data[:1] + mutated_bytes(data[1:], random)
    return changed if random.random() < 0.8 else bytes([random.randrange(256)]) + changed[1:]


def _inflated(data: bytes) -> bytes:
    return zlib.decompress(data)


_TEXT = b"abc" * 30
_MESSAGES = (
    framed(b"abc") + framed(b""),
    framed(b"abc", "gzip") + framed(b"abc"),
    framed(bytes(200), "deflate"),
    b"",
    framed(b"x" * 70),
)
_FRAMES = tuple(bytes([first]) + data for first in range(0, 35, 6) for data in _MESSAGES)
TARGETS = (
    Target("gzip", _unpacked("gzip", gzip.decompress), (gzip.compress(_TEXT, mtime=0),), _mutated_gzip),
    Target("deflate", _unpacked("deflate", _inflated), (zlib.compress(_TEXT),), _mutated_deflate),
    Target("grpc-frames", _frames, _FRAMES, _mutated_frames),
    Target(
        "grpc-web-base64", _base64, (b"\0" + b64encode(framed(b"ab")) + b64encode(b"cde"), b"\1YWI="), _mutated_base64
    ),
    Target("grpc-timeout", _timeout, (b"1S", b"99999999n", b"100m")),
)
