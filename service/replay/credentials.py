"""The key or the token that a client shows to a server."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from service.replay.tls import ClientTls

VARIABLE = "TENSORGATE_KEY"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows to a server, and whom it trusts.

    Attributes:
        key: Or a token; empty for none.
        tls: For TLS.
    """

    key: str = ""
    tls: ClientTls = field(default_factory=ClientTls)


class KeyFileError(Exception):
    """There is no key in a file; the message says why."""


def key_in(file: Path | None, *, default: bool = True) -> str:
    """Returns the key in a file, or else that of `VARIABLE`; empty for none.

    Args:
        file: That has nothing but the key.
        default: Whether the variable counts.

    Raises:
        KeyFileError: When the file cannot be read, or has something else.
    """
    if file is None:
        return os.environ.get(VARIABLE, "").strip() if default else ""
    try:
        text = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{file}: {getattr(error, 'strerror', None) or 'expected a key, got other bytes'}") from None
    if not text or len(text.split()) > 1:
        raise KeyFileError(f"{file}: expected a key and nothing else, got {len(text.split())} words")
    return text


def headers_of(key: str) -> dict[str, str]:
    """Returns the headers that show a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def showing(key: str, channel: grpc.Channel) -> grpc.Channel:
    """Returns a channel whose calls show a key, if there is one."""
    return grpc.intercept_channel(channel, _Showing(key)) if key else channel


class _Showing(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, key: str) -> None:
        self._metadata = [(name.lower(), value) for name, value in headers_of(key).items()]

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Adds the key to what goes with a call."""
        metadata = [*(client_call_details.metadata or ()), *self._metadata]
        return continuation(client_call_details._replace(metadata=metadata), request)
