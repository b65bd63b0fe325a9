"""Addresses of replicas: as an operator writes them, and what they resolve to at the moment."""

import asyncio
import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_DNS = "dns:///"
_UNIX = "unix:"
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\],]+):(?P<port>[0-9]{1,5})")


class AddressError(ValueError):
    """What was written is no address."""


@dataclass(frozen=True, slots=True)
class Address:
    """One entry of the list.

    Attributes:
        text: As it was written.
        host: Of TCP; empty for a unix socket.
        port: Likewise; 0 for a unix socket.
        all_of_name: Whether each address that the name has is a replica of its own.
    """

    text: str
    host: str = ""
    port: int = 0
    all_of_name: bool = False


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Reads ``host:port``, ``dns:///name:port`` and ``unix:/path``, with commas between them.

    Raises:
        AddressError: When one is none of these, or is there twice, or there are none.
    """
    addresses = tuple(_parsed(entry.strip()) for entry in text.split(",") if entry.strip())
    if not addresses or len(set(addresses)) < len(addresses):
        raise AddressError("host:port, dns:///name:port or unix:/path, each once, with commas between them")
    return addresses


def _parsed(text: str) -> Address:
    if text.startswith(_UNIX) and len(text) > len(_UNIX):
        return Address(text)
    match = _HOST_AND_PORT.fullmatch(text.removeprefix(_DNS))
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise AddressError(f"host:port, dns:///name:port or unix:/path, not {text!r}")
    try:
        match["host"].encode("idna")
    except UnicodeError:
        raise AddressError(f"a name that can be looked up, not {match['host']!r}") from None
    return Address(text, match["host"].strip("[]"), int(match["port"]), all_of_name=text.startswith(_DNS))


async def resolve(addresses: Iterable[Address], before: frozenset[str]) -> frozenset[str]:
    """Returns a gRPC target for each replica that there is at the moment.

    Args:
        addresses: Of the list.
        before: What was found last time; of names that cannot be looked up now, those stay.
    """
    found: set[str] = set()
    for address in addresses:
        if not address.all_of_name:
            found.add(address.text)
            continue
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        except OSError as error:
            logger.warning("the name %s cannot be looked up: %s", address.host, error.strerror or error)
            return before | found
        found |= {_target(str(info[4][0]), address.port) for info in infos}
    return frozenset(found)


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
