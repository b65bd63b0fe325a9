"""Certificates to the second: an authority in a folder, and what it signs."""

import datetime
import ssl
from pathlib import Path

from reliability import surroundings


def context(folder: Path, name: str) -> ssl.SSLContext:
    """Returns what a server speaks TLS by: for HTTP/2, with one of the certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    context.set_alpn_protocols(["h2"])
    return context


async def make_authority(folder: Path) -> None:
    """Makes what signs them: ``ca.pem`` is its own certificate.

    Raises:
        NotHereError: When openssl is not here; `certify` likewise.
    """
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = own\n[own]\ndir = {folder}\ndatabase = $dir/index.txt\nserial = $dir/serial\n"
        "new_certs_dir = $dir\ncertificate = $dir/ca.pem\nprivate_key = $dir/ca.key\ndefault_md = sha256\n"
        "policy = any\nunique_subject = no\nx509_extensions = names\n[any]\ncommonName = supplied\n"
        "[names]\nsubjectAltName = DNS:replica.test, IP:127.0.0.1\n"
    )
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    await surroundings.command("openssl", "req", "-x509", *new, "-days", "1", "-subj", "/CN=ca")


async def certify(folder: Path, name: str, *, seconds: float) -> None:
    """Writes a key and a certificate for it that is valid for so many seconds."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request)
    await surroundings.command("openssl", "req", *new, "-subj", f"/CN={name}")
    now = datetime.datetime.now(datetime.UTC)
    begin, end = now - datetime.timedelta(days=1), now + datetime.timedelta(seconds=seconds)
    valid = ("-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
    signed = ("-config", folder / "ca.cnf", "-in", request, "-out", folder / f"{name}.pem")
    await surroundings.command("openssl", "ca", "-batch", *signed, *valid)
