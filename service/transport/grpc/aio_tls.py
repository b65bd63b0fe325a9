"""TLS for grpcio: which certificate it shows, and which one a client has shown."""

from typing import Any

import grpc
from grpc import aio

from service.core.identity import PeerCertificate
from service.transport.tls import TlsMaterial, peer_certificate

_CERTIFICATE = "x509_pem_cert"


class ServerCertificate:
    """The server's certificate, which it asks for at each handshake.

    Args:
        tls: The first one.
    """

    def __init__(self, tls: TlsMaterial) -> None:
        self._needs_certificate = tls.client_ca is not None
        self._newest: Any = None
        self._first = _configuration(tls)

    def credentials(self) -> grpc.ServerCredentials:
        """Returns the credentials for a port."""
        return grpc.dynamic_ssl_server_credentials(
            self._first, self._changed, require_client_authentication=self._needs_certificate
        )

    def renew(self, tls: TlsMaterial) -> None:
        """Shows this one from now on."""
        self._newest = _configuration(tls)

    def _changed(self) -> Any:
        """Returns a certificate that is to take the place of the last; called by grpcio, on a thread of its own."""
        newest, self._newest = self._newest, None
        return newest


def _configuration(tls: TlsMaterial) -> Any:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.certificate)], tls.client_ca)


def shown_certificate(context: aio.ServicerContext[Any, Any]) -> PeerCertificate | None:
    """Returns the certificate that the client of a call has shown."""
    found = context.auth_context().get(_CERTIFICATE)
    return peer_certificate(next(iter(found)).decode("ascii")) if found else None
