"""Who sends a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, as far as that is known.

    Attributes:
        name: For rights, limits and logs; empty for anybody.
    """

    name: str = ""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The certificate that a client has shown, signed by who is trusted for that.

    Attributes:
        subject: Its distinguished name as RFC 4514 writes it, such as ``CN=client,O=Example``; may be empty.
        names: Its subject alternative names, each with its kind before it: ``DNS:client.example``,
            ``URI:spiffe://example.org/client``, ``email:client@example.org``, ``IP:10.0.0.1``.
    """

    subject: str
    names: tuple[str, ...] = ()


ANYBODY = Identity()
"""Who has said nothing of itself, or was not asked."""
