"""gRPC's metadata as HTTP headers and trailers: timeouts, binary values, messages.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import re
from base64 import b64encode
from urllib.parse import quote

from service.errors import Violation, invalid_input, shown
from service.transport.grpc.calls import Refusal

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_UNESCAPED = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"
"""Printable ASCII but for the per cent sign; what is not named here `quote` leaves alone anyway."""


def timeout_of(value: bytes | None) -> float | None:
    """Returns the seconds that ``grpc-timeout`` gives a call, ``None`` where there is no such header.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if value is None:
        return None
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        expected = "up to 8 digits and a unit: H, M, S, m, u or n"
        raise invalid_input(Violation("grpc-timeout", expected, shown(value.decode("latin-1"))))
    return int(match[1]) * _UNITS[match[2]]


def _escaped(text: str) -> bytes:
    """Returns the text as a header can hold it: spaces at its ends are no part of a header."""
    escaped = quote(text, safe=_UNESCAPED)
    inner = escaped.strip(" ")
    before = len(escaped) - len(escaped.lstrip(" "))
    return ("%20" * before + inner + "%20" * (len(escaped) - before - len(inner))).encode()


def trailers_of(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """Returns the trailers that tell how a call failed."""
    trailers = [
        (b"grpc-status", b"%d" % refusal.code),
        (b"grpc-message", _escaped(refusal.message)),
    ]
    for name, value in refusal.metadata:
        # Without padding, as clients must take it and some send it.
        written = b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode()
        trailers.append((name.encode(), written))
    return trailers
