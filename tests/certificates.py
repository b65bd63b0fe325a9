"""An authority that signs certificates for tests, by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc

LOCAL = "DNS:localhost,IP:127.0.0.1"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, each a PEM file."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates.

    Args:
        folder: Where its files are.
        name: Of it and of its files.
        signer: Signs its own certificate; it does so itself where there is none. Its folder is the same.

    Attributes:
        certificate: Its own, a PEM file.
    """

    def __init__(self, folder: Path, name: str = "ca", signer: "Authority | None" = None) -> None:
        self._folder, self._name = folder, name
        self.certificate = folder / f"{name}.pem"
        if signer is not None:
            signer.issue(name, names=f"DNS:{name}\nbasicConstraints=critical,CA:TRUE")
            return
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )

    def issue(self, name: str, *, subject: str | None = None, names: str = LOCAL, days: int = 30) -> Pair:
        """Returns a new certificate.

        Args:
            name: Of its files, and its common name.
            subject: In place of the common name, as openssl takes it.
            names: Its subject alternative names, as openssl takes them; with ``days`` below 0 it has expired.
            days: That it is valid for.
        """
        request, extensions = f"{name}.csr", f"{name}.ext"
        self._openssl(
            "req", *_NEW_KEY, "-utf8", "-subj", subject or f"/CN={name}", "-keyout", f"{name}.key", "-out", request
        )
        (self._folder / extensions).write_text(f"subjectAltName={names}")
        signed = ("-CA", f"{self._name}.pem", "-CAkey", f"{self._name}.key", "-CAcreateserial", "-extfile", extensions)
        self._openssl("x509", "-req", "-in", request, *signed, "-days", str(days), "-out", f"{name}.pem")
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def channel_credentials(self, client: Pair | None = None) -> grpc.ChannelCredentials:
        """Returns those of a gRPC client that trusts it, and shows a certificate if it is given one."""
        chain = (None, None) if client is None else (client.key.read_bytes(), client.certificate.read_bytes())
        return grpc.ssl_channel_credentials(self.certificate.read_bytes(), *chain)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


def install(pair: Pair, folder: Path) -> Pair:
    """Puts a certificate and its key where a server follows them, each in one step; returns where that is."""
    installed = Pair(folder / "tls.crt", folder / "tls.key")
    for source, target in ((pair.certificate, installed.certificate), (pair.key, installed.key)):
        fresh = target.with_suffix(".new")
        fresh.write_bytes(source.read_bytes())
        fresh.replace(target)
    return installed
