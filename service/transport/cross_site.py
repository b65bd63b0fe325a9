"""Refuses what browsers send on behalf of other sites' pages.

Two things a page can do to a server that its reader reaches and it does not. It can have the browser send a request
there, of which it sees no answer, but which is carried out: such requests say where they come from. And it can have its
own name point to the server's address (DNS rebinding), after which the browser takes the server for the page's own
site: such requests say for which host they are.

Source: https://pkg.go.dev/net/http#CrossOriginProtection, whose rules for the first these are.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import ErrorKind, GatewayError, Violation, invalid_input, listed, shown

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Verbs that change nothing, and whose answers browsers keep from foreign pages."""
_OWN_SITE = frozenset({b"same-origin", b"none"})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_FOREIGN = "a page of another site may not call this server from a browser, unless cors_origins names its origin"
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+))(?::[0-9]*)?")
"""With a port or without; an address of IPv6 in brackets."""
_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\*")


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """Which hosts requests may be for, and from which sites' pages.

    Attributes:
        hosts: Names, without ports; ``None`` for any.
        parents: Names of which any below them will do, each with a dot before it.
        origins: Origins of pages that may call from a browser; ``None`` for any.
    """

    hosts: frozenset[str] | None
    parents: tuple[str, ...]
    origins: frozenset[bytes] | None

    @classmethod
    def of(cls, *, hosts: str, origins: str, local_host: str) -> "SitePolicy":
        """Makes it.

        Args:
            hosts: Those allowed, with commas between them, as ``allowed_hosts`` has them; empty for the default.
            origins: Those allowed, as ``cors_origins`` has them.
            local_host: What the server listens on, where other machines do not reach that; else empty.

        Raises:
            ValueError: Where that is no list of hosts.
        """
        names = [name.strip("[]") for part in hosts.lower().split(",") if (name := part.strip().rstrip("."))]
        for name in names:
            if not (_NAME.fullmatch(name) or _is_address(name)):
                raise ValueError("names of hosts without ports, with commas between: a.example,*.b.example")
        own = {local_host.lower()} if local_host else set()
        known = _LOCAL | own | {name for name in names if not name.startswith("*")}
        allowed = {origin.encode("latin-1", "replace") for part in origins.split(",") if (origin := part.strip())}
        return cls(
            hosts=None if "*" in names or not (names or own) else known,
            parents=(".localhost", *(name[1:] for name in names if name.startswith("*."))),
            origins=None if b"*" in allowed else frozenset(allowed),
        )

    def check(self, verb: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuses a request that is for another host, or that another site's page has sent.

        Whoever is no browser sends neither ``Origin`` nor ``Sec-Fetch-Site``; and may send no ``Host``, over HTTP/1.0.

        Args:
            verb: The request's.
            headers: The first of its headers of each name.

        Raises:
            GatewayError: MISDIRECTED or FORBIDDEN.
        """
        host = headers.get(b"host")
        if self.hosts is not None and host and not self._is_allowed(host.decode("latin-1")):
            expected = f"one of {listed(sorted(self.hosts))} (allowed_hosts), or an address"
            raise invalid_input(Violation("Host", expected, shown(host.decode("latin-1"))), kind=ErrorKind.MISDIRECTED)
        if verb in _SAFE or self.origins is None:
            return
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site:
            is_foreign = site not in _OWN_SITE
        else:  # a browser of before 2023, or none
            is_foreign = origin is not None and (not host or origin.partition(b"://")[2].lower() != host.lower())
        if is_foreign and origin not in self.origins:
            page = "" if origin is None else f" ({shown(origin.decode('latin-1'))})"
            raise GatewayError(ErrorKind.FORBIDDEN, f"{_FOREIGN}{page}")

    def _is_allowed(self, host: str) -> bool:
        hosts = self.hosts or frozenset()
        name, _, port = host.partition(":")
        if name in hosts and (not port or port.isdecimal()):
            return True  # nearly always, so at little cost
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = (match[1] or match[2]).rstrip(".")
        # A page's name can be made to point anywhere; an address is nobody's but the server's own. And those who probe
        # a server, load balancers and kubelets, know it by nothing else.
        return name in hosts or name.endswith(self.parents) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
