"""Clients that do not say who they are, told apart by the address that they come from."""

import socket
from collections.abc import Callable

_MAPPED = "::ffff:"
"""The prefix of an IPv4 address that reached an IPv6 socket."""


def client_at(peer: tuple[str, int] | Callable[[], str] | None) -> str:
    """Returns the name of the client at an address, such as ``address:192.0.2.1``; empty where it has none.

    Of an IPv6 address that is its first half, ``address:2001:db8::/64``: whoever has one address has all of these.

    Args:
        peer: Host and port; or what returns both as text, with a colon between.
    """
    if peer is None:
        return ""
    host = peer().rpartition(":")[0].strip("[]") if callable(peer) else peer[0]
    if not host:
        return ""
    if ":" in host:
        host = host.partition("%")[0].lower()
        host = host.removeprefix(_MAPPED) if host.startswith(_MAPPED) else _network(host)
    return f"address:{host}"


def _network(host: str) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return host
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))}/64"
