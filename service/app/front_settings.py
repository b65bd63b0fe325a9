"""The settings of the front door: who may reach it, which browsers it answers, and where operators come in."""

import ipaddress
import socket
from collections.abc import Iterable

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from service.transport.cross_site import SitePolicy


class FrontSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    insecure: bool = Field(
        False,
        description="Whether it may listen where other machines reach it, with neither TLS nor access control: for "
        "networks in which something else decides who comes through.",
    )
    allowed_hosts: str = Field(
        "",
        description="Host names that requests may be for, with commas between them; *.example.com for all below one, * "
        "for any. By default localhost and host where host is this machine's own address, else any; addresses always.",
    )
    admin_address: str = Field(
        "",
        description="Address, host:port, where everything is answered; /metrics and changes of models and labels are "
        "then answered there alone. None by default.",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, text: str) -> str:
        SitePolicy.of(hosts=text, origins="", local_host="")
        return text

    @field_validator("admin_address")
    @classmethod
    def _is_address(cls, text: str) -> str:
        split_address(text)
        return text

    def check_exposure(self, hosts: Iterable[str], *, is_guarded: bool) -> None:
        """Refuses to listen where other machines reach the server, and nothing keeps anybody out.

        Args:
            hosts: What it is to listen on.
            is_guarded: Whether there is TLS or access control.

        Raises:
            ValueError: For a validator.
        """
        if self.insecure or is_guarded:
            return
        if exposed := [host for host in hosts if not is_loopback(host)]:
            raise ValueError(
                "a host that this machine alone reaches (127.0.0.1, ::1, localhost), got "
                f"{', '.join(map(repr, exposed))}: to be reached from elsewhere it needs TLS or access control, or "
                "--insecure (TENSORGATE_INSECURE=true) where something before it decides who comes through"
            )


def split_address(text: str) -> tuple[str, int] | None:
    """Returns host and port of an address; ``None`` for an empty one.

    Raises:
        ValueError: Where it is none.
    """
    if not text:
        return None
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise ValueError("an address host:port, such as 127.0.0.1:8002 or [::1]:8002")
    return bare, int(port)


def is_loopback(host: str) -> bool:
    """Returns whether this machine alone reaches what listens on a host, which may be a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        return False  # nobody knows where that is
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)
