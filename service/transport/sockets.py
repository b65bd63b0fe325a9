"""Listening sockets."""

import socket

_BACKLOG = 2048
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds without a word after which the other side is asked whether it is there, and between questions; how many."""


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
