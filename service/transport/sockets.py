"""Listening sockets."""

import socket

_BACKLOG = 2048


def listen(host: str, port: int, protocol: str) -> socket.socket:
    """Returns a listening socket.

    Args:
        host: Address to listen on.
        port: Port, or 0 for any free one.
        protocol: What it is for; for the error.

    Raises:
        OSError: When the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, the event loop knows that it is TCP, and sends small answers at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        address = f"[{host}]:{port}" if family is socket.AF_INET6 else f"{host}:{port}"
        raise OSError(error.errno, f"cannot listen on {address} for {protocol}: {error.strerror}") from error
    return listening
