"""Where a client finds its servers, and what it shows them."""

import ipaddress
import json
import re
import secrets
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import grpc

from tensorgate.client.errors import TensorgateError, Unavailable, error_of, invalid

Metadata = tuple[tuple[str, str], ...]
Pem = str | PathLike[str] | bytes
"""The path of a PEM file, or what is in it."""

_ROUND: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
"""grpc's service config: calls go round among the servers,"""
_HEALTHY = {"healthCheckConfig": {"serviceName": ""}}
"""and of several only among those whose health service says that they serve. One that stands alone is asked anyway: it
may not be ready with all that it has, and answer all the same."""
_HOST_PORT = re.compile(r"([^\s:/\[\]]+|\[[^\s/\[\]]+\]):[0-9]{1,5}")
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")
"""Of names that grpc resolves (https://github.com/grpc/grpc/blob/master/doc/naming.md)."""
_SESSION = "x-tensorgate-session"
_CONTEXT = "opentelemetry.context"


@dataclass(frozen=True, slots=True)
class Tls:
    """How servers are asked with TLS.

    Attributes:
        ca: Of who signed the servers' certificates; by default, those that grpc brings.
        certificate: Shown to servers that ask for one.
        key: Of that certificate.
        server_name: That the servers' certificates must have; by default the name in the first address.
    """

    ca: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            InvalidInput: When there is a certificate and no key, or the other way round.
            OSError: When one cannot be read.
        """
        if (self.certificate is None) != (self.key is None):
            raise invalid("tls", "certificate and key together, or neither", "one of them")
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.key), _pem(self.certificate))


@dataclass(frozen=True, slots=True)
class Connection:
    """What a channel is made of.

    Attributes:
        address: As it was given, for messages.
        target: For grpc.
        options: Of the channel.
        credentials: ``None`` without TLS.
        shown: Metadata of every call.
    """

    address: str
    target: str
    options: tuple[tuple[str, Any], ...]
    credentials: grpc.ChannelCredentials | None
    shown: Metadata

    def metadata(self, session: str | None = None) -> Metadata:
        """Returns the metadata of a call: the key, the session, and the trace that the caller is in, if any."""
        shown = self.shown if session is None else (*self.shown, (_SESSION, session))
        if _CONTEXT not in sys.modules:  # nobody has begun a trace
            return shown
        from opentelemetry.propagate import inject  # noqa: PLC0415  # there, and loaded; the client does not need it

        carrier: dict[str, str] = {}
        inject(carrier)
        return (*shown, *((name.lower(), value) for name, value in carrier.items()))

    def error_of(self, failed: Any) -> TensorgateError:
        """Returns what a failed call means, a ``grpc.RpcError`` of either kind of channel."""
        return error_of(failed, self.address, with_tls=self.credentials is not None)


def session_of_parts() -> str:
    """Returns a session for the parts of one batch, so that where versions share requests one of them answers all."""
    return secrets.token_hex(8)


def checked_session(session: str | None) -> str | None:
    """Returns it.

    Raises:
        InvalidInput: When metadata cannot have it.
    """
    if session is not None and not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", session):
        raise invalid("session", "ASCII characters that can be printed, no spaces around them", repr(session))
    return session


def connection(addresses: str | Sequence[str], key: str | None, tls: Tls | bool | None) -> Connection:
    """Returns what a channel is made of.

    Raises:
        InvalidInput: When there is no address, or the key cannot be sent, or would go unencrypted over a network.
        Unavailable: When one of several names has no address.
        OSError: When a file of TLS cannot be read.
    """
    one = isinstance(addresses, str)
    several = [addresses] if isinstance(addresses, str) else list(addresses)
    if not several or not all(map(_is_address, several)):
        expected = "HOST:PORT of the server's gRPC, such as 127.0.0.1:8001, or a list of them"
        raise invalid("addresses", expected, repr(addresses))
    if key is not None:
        key = _checked(key.strip())  # whoever reads it from a file has the end of its line, too
    if key is not None and tls is None and not all(map(_is_here, several)):
        expected = "tls=True, or tls=False to send the key unencrypted"
        raise invalid("tls", expected, f"a key and a server of another machine, {', '.join(several)}")
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(_ROUND if one else _ROUND | _HEALTHY)),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    target = several[0]
    if len(several) > 1:
        target = _target(several)
        options.append(("grpc.default_authority", several[0]))
    credentials = None
    if tls:
        chosen = Tls() if tls is True else tls
        credentials = chosen.credentials()
        if chosen.server_name:
            options.append(("grpc.ssl_target_name_override", chosen.server_name))
    shown = () if key is None else (("authorization", f"Bearer {key}"),)
    return Connection(", ".join(several), target, tuple(options), credentials, shown)


def _target(addresses: Sequence[str]) -> str:
    """Returns grpc's name of several addresses; names among them are resolved now."""
    found: dict[str, list[str]] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            family, *_, place = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise Unavailable("unavailable", f"{address} is not known: {error.strerror}") from error
        scheme, written = ("ipv6", "[{}]:{}") if family == socket.AF_INET6 else ("ipv4", "{}:{}")
        found.setdefault(scheme, []).append(written.format(*place[:2]))
    if len(found) > 1:
        raise invalid("addresses", "addresses of IPv4 or of IPv6", "both")
    [(scheme, places)] = found.items()
    return f"{scheme}:{','.join(places)}"


def _is_address(address: str) -> bool:
    return address.startswith(_SCHEMES) or _HOST_PORT.fullmatch(address) is not None


def _checked(key: str) -> str:
    """Returns the key; an error does not show it.

    Raises:
        InvalidInput: When it cannot be sent.
    """
    if not re.fullmatch(r"[!-~]+", key):
        got = f"{len(key)} characters, of which some are others" if key else "an empty string"
        raise invalid("key", "an API key or a token, printable ASCII without spaces", got)
    return key


def _is_here(address: str) -> bool:
    """Whether what is sent there does not leave the machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pem(source: Pem | None) -> bytes | None:
    return source if source is None or isinstance(source, bytes) else Path(source).read_bytes()
