"""Listening sockets, and the connections that were accepted from them."""

import os
import socket
import stat
from contextlib import suppress

_BACKLOG = 2048
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Keepalive: seconds of silence before the first probe and between probes, and how many probes."""


def listen(host: str, port: int, protocol: str, *, stall_timeout: float) -> socket.socket:
    """Returns a listening socket.

    The system closes a connection that it accepted there when the other side is gone without a word, and when it takes
    nothing of what is to be sent to it for too long: neither HTTP server does that.

    Args:
        host: Address to listen on.
        port: Port, or 0 for any free one.
        protocol: What it is for; for the error.
        stall_timeout: Seconds that what is to be sent may wait while the other side takes nothing.

    Raises:
        OSError: When the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, the event loop knows that it is TCP, and sends small answers at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted ones have it from this one
        for name, value in (_KEEPALIVE | {"TCP_USER_TIMEOUT": round(stall_timeout * 1000)}).items():
            if hasattr(socket, name):  # not on every system
                listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        address = f"[{host}]:{port}" if family is socket.AF_INET6 else f"{host}:{port}"
        raise OSError(error.errno, f"cannot listen on {address} for {protocol}: {error.strerror}") from error
    return listening


def accepted(listening: socket.socket) -> list[socket.socket]:
    """Returns duplicates of this process's connections to the port of a socket, whoever in it has accepted them.

    As long as there is a duplicate, a connection that is closed stays open for the system: what the other side has on
    the way is taken, where it would be answered with a reset, which takes from the other side what it has yet to read.
    """
    port = listening.getsockname()[1]
    found: dict[int, socket.socket] = {}
    with suppress(FileNotFoundError):  # not every system has it
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names are all that is wanted
            with suppress(OSError):  # closed meanwhile, no socket, or one too many
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode) and status.st_ino not in found:
                    connection = socket.socket(fileno=os.dup(int(name)))
                    if _is_connected(connection, port):
                        found[status.st_ino] = connection
                    else:
                        connection.close()
    return list(found.values())


def _is_connected(connection: socket.socket, port: int) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return False
    return connection.family in _INTERNET and connection.getsockname()[1] == port


def close_all(sockets: list[socket.socket]) -> None:
    """Closes them."""
    for one in sockets:
        one.close()
