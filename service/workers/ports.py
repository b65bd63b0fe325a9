"""Ports that several processes share: each listens on its own socket, and the system spreads the connections."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that all workers listen on."""

    rest: int
    grpc: int


@contextmanager
def reserved(host: str, *, rest: int, grpc: int) -> Iterator[Ports]:
    """Keeps two ports for this process and its workers while the body runs.

    Args:
        host: Address to listen on.
        rest: Port of REST, or 0 for any free one.
        grpc: Port of gRPC, likewise.

    Raises:
        OSError: When one of them cannot be had.
    """
    with ExitStack() as kept:
        found = []
        for name, port in (("REST", rest), ("gRPC", grpc)):
            try:
                held = kept.enter_context(_held(host, port))
            except OSError as error:
                raise OSError(error.errno, f"cannot listen on {host}:{port} for {name}: {error.strerror}") from error
            found.append(held.getsockname()[1])
        yield Ports(*found)


def _held(host: str, port: int) -> socket.socket:
    """Returns a socket that has the port, but no connections, as it does not listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        # Who shares a port lets anybody in who does so too, and a second server would take half of the connections.
        # So it is asked for unshared first.
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind((host, port))
        address = alone.getsockname()
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without SO_REUSEADDR: two sockets that have it and do not listen may have the same port.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held
