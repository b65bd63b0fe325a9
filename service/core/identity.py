"""Who sends a request, and what it shows of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.core.rights import NO_RIGHTS, Rights
from service.errors import ErrorKind, GatewayError, Violation


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, as far as that is known.

    Attributes:
        name: For limits and logs; empty for anybody. Several keys may share one: they are the same to limits.
        rights: What it may do, where access is controlled.
        shown: What it has shown: the id of its key, ``token`` or ``certificate``; empty for nothing.
    """

    name: str = ""
    rights: Rights = NO_RIGHTS
    shown: str = ""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The certificate that a client has shown, signed by a trusted authority.

    Attributes:
        subject: Its distinguished name as RFC 4514 writes it, such as ``CN=client,O=Example``; may be empty.
        names: Its subject alternative names, each with its kind before it: ``DNS:client.example``,
            ``URI:spiffe://example.org/client``, ``email:client@example.org``, ``IP:10.0.0.1``.
    """

    subject: str
    names: tuple[str, ...] = ()


ANYBODY = Identity()
"""A client that has not identified itself, or was not asked to."""


class UnauthenticatedError(GatewayError):
    """A request does not show who sends it.

    Args:
        violation: Where something else was expected, and of what kind it was; never what came itself.
        challenge: HTTP's challenge, for ``WWW-Authenticate``.
    """

    def __init__(self, violation: Violation, challenge: str) -> None:
        super().__init__(ErrorKind.UNAUTHENTICATED, str(violation), [violation])
        self.challenge = challenge


class Authenticator(Protocol):
    """Finds out who sends a request."""

    async def identify(self, metadata: Mapping[bytes, bytes], certificate: PeerCertificate | None) -> Identity:
        """Returns who it is.

        Args:
            metadata: HTTP's headers, or gRPC's metadata; names are in lower case.
            certificate: The client's, if the connection has one.

        Raises:
            UnauthenticatedError: When it shows nothing, or nothing that can be believed.
            GatewayError: NOT_READY while it cannot be known whether a token is to be believed.
        """
