"""What a client of a server with TLS needs: whom it trusts, and the certificate that it shows."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from service.replay.target import TargetError


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Files in PEM.

    Attributes:
        ca: Of who signed the server's certificate; those that are trusted anyway where it is ``None``.
        certificate: Of the client, for servers that ask for one, with those between it and the root.
        key: Of that certificate.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns them for gRPC.

        Raises:
            TargetError: When a file cannot be read, is no PEM file, or one of certificate and key is missing.
        """
        self.context()  # gRPC itself would take anything, and complain at each call
        ca, key, certificate = (
            None if file is None else file.read_bytes() for file in (self.ca, self.key, self.certificate)
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def context(self) -> ssl.SSLContext:
        """Returns them for Python's own TLS.

        Raises:
            TargetError: Likewise.
        """
        if (self.certificate is None) != (self.key is None):
            raise TargetError("expected --tls-certificate and --tls-key together, or neither")
        named = str(self.ca)
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                named = f"{self.certificate} with the key {self.key}"
                context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except OSError as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise TargetError(f"{named} cannot be used for TLS: {reason}") from None
        return context
