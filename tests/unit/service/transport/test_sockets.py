"""Connections that are held open for a while after who had them has closed them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.transport.sockets import accepted, close_all, listen


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0, "a test", stall_timeout=60) as listening:
        yield listening


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_connections_to_the_port_are_found_once_and_nothing_else_is_held(listening: socket.socket) -> None:
    with (
        socket.create_connection(listening.getsockname()) as client,
        listening.accept()[0] as server,
        server.dup(),
        listening.dup(),
    ):
        before = descriptors()
        found = accepted(listening)
        assert [one.getpeername() for one in found] == [client.getsockname()]
        assert descriptors() == before + 1
        close_all(found)
        assert descriptors() == before


def test_who_sends_to_one_that_was_closed_still_reads_what_was_sent_before(listening: socket.socket) -> None:
    with socket.create_connection(listening.getsockname(), 20) as client:
        server, _ = listening.accept()
        found = accepted(listening)
        server.sendall(b"farewell")
        server.close()
        client.sendall(b"on its way")
        client.sendall(b"and more")
        assert client.recv(100) == b"farewell"
        close_all(found)
