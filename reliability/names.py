"""A name server of one name, which can fall silent."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

from reliability.surroundings import NotHereError

ADDRESS, PORT = "127.0.0.99", 53
"""Of this machine alone; the resolvers of the system ask on that port."""
NAME = "replicas.test"
_HEAD = struct.Struct(">HHHHHH")
_A, _IN, _POINTER_TO_QUESTION = 1, 1, 0xC00C
_ANSWER, _UNKNOWN = 0x8580, 0x8583


class NameServer(asyncio.DatagramProtocol):
    """Answers who asks for the addresses of `NAME`.

    Attributes:
        silent: Whether it answers nobody.
    """

    def __init__(self) -> None:
        self.silent = False
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Takes what it answers by."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answers a question."""
        if not self.silent and self._transport is not None:
            self._transport.sendto(answer_to(data, IPv4Address("127.0.0.1")), addr)


def answer_to(query: bytes, address: IPv4Address) -> bytes:
    """Returns the answer to a query with one question: the address, none of other types, and no other name."""
    number, _, questions, *_ = _HEAD.unpack_from(query)
    labels, place = [], _HEAD.size
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode())
        place += 1 + length
    end = place + 1 + 4
    kind = int.from_bytes(query[place + 1 : place + 3], "big")
    known = ".".join(labels).lower() == NAME
    records = b""
    if known and kind == _A:
        records = struct.pack(">HHHIH", _POINTER_TO_QUESTION, _A, _IN, 1, 4) + address.packed
    head = _HEAD.pack(number, _ANSWER if known else _UNKNOWN, questions, bool(records), 0, 0)
    return head + query[_HEAD.size : end] + records


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Runs one while the body runs.

    Raises:
        NotHereError: When this user may not listen on that port.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=(ADDRESS, PORT))
    except OSError as error:
        raise NotHereError(f"{ADDRESS}:{PORT}: {error.strerror}") from None
    try:
        yield server
    finally:
        transport.close()
