"""TLS for both ports: its files, and who is at the other end of a connection."""

import logging
import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from service.codecs.x509 import parse_pem
from service.core.identity import PeerCertificate
from service.core.plain_files import read_plain_file
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

CERTIFICATE = "tensorgate.certificate"
"""Member of a scope: the client's `PeerCertificate`, where it has shown one."""
HANDSHAKE_SECONDS = 10.0
"""How long a client has for the TLS handshake."""
_REMEMBERED = 1024
"""Certificates of clients that are not read again for each call."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files, and what is asked of clients.

    Attributes:
        certificate: PEM file of the server's certificate, with those of the authorities between it and the root.
        key: PEM file of its key.
        client_ca: PEM file of the authorities that sign clients' certificates; without it none are asked for.
        needs_certificate: Whether a client without a certificate is turned away.
        newest_only: Whether TLS 1.2 is turned away, and only 1.3 spoken.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    needs_certificate: bool = True
    newest_only: bool = False

    def contents(self) -> tuple[bytes, bytes, bytes | None]:
        """Returns what is in them: the certificate, the key, and who signs clients' certificates.

        Raises:
            GatewayError: MALFORMED when one cannot be read; it names the setting and the file.
        """
        client_ca = None if self.client_ca is None else _read("tls_client_ca", self.client_ca)
        return _read("tls_certificate", self.certificate), _read("tls_key", self.key), client_ca

    def material(self, contents: tuple[bytes, bytes, bytes | None]) -> "TlsMaterial":
        """Returns what is in them, once it is known that it can be used.

        Args:
            contents: The files' contents, as they were read just now.

        Raises:
            GatewayError: MALFORMED when one is not what it has to be, or key and certificate do not fit each other; it
                names the setting and the file.
        """
        certificate, _, client_ca = contents
        try:
            chain = parse_pem(certificate)
        except ValueError as error:
            raise _wrong("tls_certificate", self.certificate, error) from None
        return TlsMaterial(self, *contents, self._context(client_ca), min(one.not_after for one in chain))

    def _context(self, client_ca: bytes | None) -> ssl.SSLContext:
        """Returns what Python's own TLS, that of REST, is made of."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if self.newest_only else ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")  # else it would ask the terminal
        except ssl.SSLError as error:
            raise _wrong("tls_key", self.key, ValueError(_explained(error, self.certificate))) from None
        except OSError as error:  # it has gone since it was read
            raise _wrong("tls_key", self.key, error) from None
        if self.client_ca is not None and client_ca is not None:
            try:
                parse_pem(client_ca)
                context.load_verify_locations(cadata=client_ca.decode())
            except (OSError, ValueError) as error:
                raise _wrong("tls_client_ca", self.client_ca, error) from None
            # What is in the file is trusted, be it a root or not, as both gRPC servers have it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_mode = ssl.CERT_REQUIRED if self.needs_certificate else ssl.CERT_OPTIONAL
            # A session that goes on would outlive the trust in who signed its certificate.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        return context


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What was in the files when they were read, checked.

    Attributes:
        files: The files that were read.
        certificate: In PEM, with those between it and the root.
        key: In PEM.
        client_ca: In PEM; without it clients are not asked for certificates.
        context: The same for Python's own TLS.
        expires: When the first of the certificates does.
    """

    files: TlsFiles
    certificate: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext
    expires: datetime


def _read(setting: str, path: Path) -> bytes:
    try:
        return read_plain_file(path)
    except OSError as error:
        raise _wrong(setting, path, error) from None


def _wrong(setting: str, path: Path, error: OSError | ValueError) -> GatewayError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return GatewayError(ErrorKind.MALFORMED, f"{setting} {path}: {reason}")


def _explained(error: ssl.SSLError, certificate: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"it is not the key of the certificate in {certificate}"
    reason = (error.reason or "").replace("_", " ").lower()
    return f"it is no PEM file of a private key without a passphrase, for the certificate in {certificate} ({reason})"


@lru_cache(_REMEMBERED)
def peer_certificate(pem: str) -> PeerCertificate | None:
    """Returns what a client's certificate says of it; ``None`` where it cannot be read, which is logged.

    Args:
        pem: The certificate, which the handshake has found to be good.
    """
    try:
        found = parse_pem(pem.encode())[0]
    except ValueError:
        logger.warning("a client has shown a certificate that cannot be read, and counts as one without", exc_info=True)
        return None
    return PeerCertificate(found.subject, found.names)
