"""Requests of HTTP/1.1 that two readers may read in two ways, and requests that never end.

Where a proxy and the server behind it disagree on where a request ends, a part of one client's body becomes another
client's request (https://portswigger.net/web-security/request-smuggling; RFC 9112, section 11.2).
"""

from collections.abc import Mapping

SMUGGLED = "/v2/models/smuggled/ready"
_HIDDEN = f"GET {SMUGGLED} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Comes after each attack: whoever reads on answers it, and closes the connection."""
_HEAD = b"POST /v1/models/double:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_BODY = b'{"instances":[1]}'
_LENGTH = b"Content-Length: 17\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_END = b"0\r\n\r\n"
_CHUNKS = b"11\r\n" + _BODY + b"\r\n" + _END
_ALL = len(_CHUNKS) + len(_HIDDEN)


def _with_length(field: bytes) -> bytes:
    return _HEAD + field + b"\r\n" + _BODY + _HIDDEN


def _chunked(field: bytes) -> bytes:
    return _HEAD + field + b"\r\n" + _CHUNKS + _HIDDEN


def _in_chunks(chunks: bytes) -> bytes:
    return _HEAD + _CHUNKED + b"\r\n" + chunks + _HIDDEN


REFUSED: Mapping[str, bytes] = {
    "CL.TE": _chunked(b"Content-Length: %d\r\n" % _ALL + _CHUNKED),
    "TE.CL": _chunked(_CHUNKED + b"Content-Length: 4\r\n"),
    "TE.TE": _chunked(_CHUNKED + b"Transfer-Encoding: identity\r\n"),
    "TE of a name that is none": _with_length(b"Transfer-Encoding: xchunked\r\n" + _LENGTH),
    "TE identity": _with_length(b"Transfer-Encoding: identity\r\n" + _LENGTH),
    "TE chunked and then more": _chunked(b"Transfer-Encoding: chunked, identity\r\n"),
    "TE chunked twice": _chunked(b"Transfer-Encoding: chunked, chunked\r\n"),
    "TE in quotes": _chunked(b'Transfer-Encoding: "chunked"\r\n'),
    "TE folded": _chunked(b"Transfer-Encoding:\r\n chunked\r\n"),
    "TE and a vertical tab": _chunked(b"Transfer-Encoding: \x0bchunked\r\n"),
    "TE and a zero": _chunked(b"Transfer-Encoding: chunked\0\r\n"),
    "TE and a space before the colon": _with_length(b"Transfer-Encoding : chunked\r\n" + _LENGTH),
    "TE after a bare LF": _with_length(b"X: y\nTransfer-Encoding: chunked\r\n" + _LENGTH),
    "TE after a bare CR": _with_length(b"X: y\rTransfer-Encoding: chunked\r\n" + _LENGTH),
    "CL twice, differently": _with_length(_LENGTH + b"Content-Length: %d\r\n" % (17 + len(_HIDDEN))),
    "CL of two numbers": _with_length(b"Content-Length: 17, 20\r\n"),
    "CL of two words": _with_length(b"Content-Length: 17 1\r\n"),
    "CL with a plus": _with_length(b"Content-Length: +17\r\n"),
    "CL below zero": _with_length(b"Content-Length: -1\r\n"),
    "CL in hexadecimal": _with_length(b"Content-Length: 0x11\r\n"),
    "CL with an underscore": _with_length(b"Content-Length: 1_7\r\n"),
    "CL beyond 64 bits": _with_length(b"Content-Length: 18446744073709551633\r\n"),
    "CL of nothing": _with_length(b"Content-Length: \r\n"),
    "CL folded": _with_length(b"Content-Length: 1\r\n 7\r\n"),
    "CL and a space before the colon": _with_length(b"Content-Length : 17\r\n"),
    "a folded header": _with_length(b"X: a\r\n b\r\n" + _LENGTH),
    "bare LF throughout": (_HEAD + _LENGTH + b"\r\n").replace(b"\r\n", b"\n") + _BODY + _HIDDEN,
    "a bare LF at the end of the head": _HEAD + _LENGTH + b"\n" + _BODY + _HIDDEN,
    "two bare LF within the head": _with_length(b"X: y\n\n" + _LENGTH),
    "a bare LF in a chunk's extension": _in_chunks(b"11;a=\nxx\r\n" + _BODY + b"\r\n" + _END),
    "a bare LF after a chunk's size": _in_chunks(b"11\n" + _BODY + b"\r\n" + _END),
    "a bare LF after a chunk": _in_chunks(b"11\r\n" + _BODY + b"\n" + _END),
    "bare LFs after the last chunk": _in_chunks(b"11\r\n" + _BODY + b"\r\n0\n\n"),
    "a chunk's size with 0x": _in_chunks(b"0x11\r\n" + _BODY + b"\r\n" + _END),
    "a chunk's size with a plus": _in_chunks(b"+11\r\n" + _BODY + b"\r\n" + _END),
    "a chunk's size and a space": _in_chunks(b"11 \r\n" + _BODY + b"\r\n" + _END),
    "a chunk's size beyond 64 bits": _in_chunks(b"10000000000000011\r\n" + _BODY + b"\r\n" + _END),
    "a chunk longer than it says": _in_chunks(b"11\r\n" + _BODY + b"xx" + _END),
    "TE in a trailer": _in_chunks(_CHUNKS[:-2] + _CHUNKED + b"\r\n"),
    "a target with a space": b"GET /livez HTTP/1.1 /x HTTP/1.1\r\nHost: localhost\r\n\r\n" + _HIDDEN,
    "a version of two letters more": b"GET /livez HTTP/1.1xx\r\nHost: localhost\r\n\r\n" + _HIDDEN,
    "a version that there is not": b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n" + _HIDDEN,
    "a zero in a header": _with_length(b"X: a\0b\r\n" + _LENGTH),
    "a space in a header's name": _with_length(b"X y: z\r\n" + _LENGTH),
    "a header without a name": _with_length(b": z\r\n" + _LENGTH),
    "CONNECT": b"CONNECT x:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n" + _HIDDEN,
}
"""Attacks that nobody may read in any way."""

READ: Mapping[str, tuple[bytes, tuple[int, ...]]] = {
    "two requests": (_with_length(_LENGTH), (200, 404)),
    "the same CL twice": (_with_length(_LENGTH * 2), (200, 404)),
    "the same CL twice on a line": (_with_length(b"Content-Length: 17, 17\r\n"), (200, 404)),
    "CL with zeros before it": (_with_length(b"Content-Length: 00017\r\n"), (200, 404)),
    "TE after a tab": (_chunked(b"Transfer-Encoding:\tchunked\r\n"), (200, 404)),
    "TE in capitals": (_chunked(b"TRANSFER-ENCODING: CHUNKED\r\n"), (200, 404)),
    "TE gzip, which is none, and chunked": (_chunked(b"Transfer-Encoding: gzip, chunked\r\n"), (200, 404)),
    "TE in HTTP/1.0": (_chunked(_CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0", 1), (200,)),
    "a chunk's extension": (_in_chunks(b"11;a=b\r\n" + _BODY + b"\r\n" + _END), (200, 404)),
    "zeros before a chunk's size": (_in_chunks(b"000000000000011\r\n" + _BODY + b"\r\n" + _END), (200, 404)),
    "CL in a trailer": (_in_chunks(_CHUNKS[:-2] + b"Content-Length: 900\r\n\r\n"), (200, 404)),
    "a request in the body of a GET": (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(_HIDDEN) + _HIDDEN,
        (200,),
    ),
    "an offer of h2c with a body": (
        _with_length(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" + _LENGTH),
        (200, 404),
    ),
}
"""What may be refused or read, but in this way alone: the statuses of the answers, before that to `LAST`."""

SLOW: Mapping[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a line": (b"GET /li", b"v"),
    "headers": (_HEAD, b"X-A: b\r\n"),
    "a body": (_HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
    "chunks": (_HEAD + _CHUNKED + b"\r\n", b"1\r\nx\r\n"),
    "a chunk's size": (_HEAD + _CHUNKED + b"\r\n", b"0"),
    "trailers": (_HEAD + _CHUNKED + b"\r\n" + _CHUNKS[:-2], b"X-A: b\r\n"),
}
"""Requests that never end: how they begin, and what comes of them again and again."""
