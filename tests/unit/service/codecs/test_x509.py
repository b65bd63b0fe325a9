"""Certificates are read as OpenSSL reads them, whatever is in their names; what is none is refused."""

import random
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from service.codecs.x509 import Certificate, parse_der, parse_pem

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")

SUBJECTS = [
    "/CN=client",
    "/C=DE/ST=Bavaria/L=Munich/O=Example/OU=Models/OU=Serving/CN=client/UID=7/DC=example",
    '/O=Example, Inc. <x>; \\"y\\" \\\\+ z=1/CN= both ends ',
    "/CN=#seven",
    "/CN=Zoë Ünïcode 漢字 😀",
    "/CN=a/emailAddress=me@example.org/serialNumber=12",
    "/CN=back\\\\slash",
    "/OU=a+CN=b/O=Example+L=Munich+ST=Bavaria",
]
NAMES = "DNS:client.example,DNS:*.example,URI:spiffe://example.org/ns/a/sa/b,email:me@example.org,IP:10.0.0.1,IP:::1"


def openssl(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True).stdout.decode()


def made(folder: Path, subject: str, *options: str) -> bytes:
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem")
    openssl(*new, "-utf8", "-multivalue-rdn", "-subj", subject, "-days", "3", "-out", "made.pem", *options, cwd=folder)
    return (folder / "made.pem").read_bytes()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_written_as_openssl_writes_it(tmp_path: Path, subject: str) -> None:
    (found,) = parse_pem(made(tmp_path, subject, "-addext", f"subjectAltName={NAMES}"))
    shown = ("x509", "-in", "made.pem", "-noout", "-subject", "-nameopt", "RFC2253,utf8,-esc_msb")
    assert "subject=" + found.subject == openssl(*shown, cwd=tmp_path).rstrip("\n")
    assert found.names == tuple(NAMES.split(","))
    expires = openssl("x509", "-in", "made.pem", "-noout", "-enddate", "-dateopt", "iso_8601", cwd=tmp_path)
    assert found.not_after == datetime.fromisoformat(expires.strip().removeprefix("notAfter="))


def test_a_certificate_may_have_no_other_names(tmp_path: Path) -> None:
    assert parse_pem(made(tmp_path, "/CN=b"))[0].names == ()


def test_an_attribute_that_nobody_knows_and_a_date_beyond_two_digits(tmp_path: Path) -> None:
    pem = made(tmp_path, "/title=Dr/CN=" + "x" * 60, "-days", "12000")
    (found,) = parse_pem(pem)
    assert found.subject == "CN=" + "x" * 60 + ",2.5.4.12=#0c024472"
    assert found.not_after.year >= 2050


def test_all_certificates_of_a_chain_are_read(tmp_path: Path) -> None:
    chain = b"some words\n" + made(tmp_path, "/CN=one") + made(tmp_path, "/CN=two")
    assert [one.subject for one in parse_pem(chain)] == ["CN=one", "CN=two"]


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        parse_pem(data)


def test_what_is_damaged_is_read_or_refused(tmp_path: Path) -> None:
    made(tmp_path, SUBJECTS[1], "-addext", f"subjectAltName={NAMES}")
    openssl("x509", "-in", "made.pem", "-outform", "DER", "-out", "made.der", cwd=tmp_path)
    whole = (tmp_path / "made.der").read_bytes()
    draw = random.Random(1)
    refused = 0
    for _ in range(3000):
        data = bytearray(whole[: draw.choice((len(whole), draw.randrange(len(whole))))])
        for _ in range(draw.randrange(4)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            assert isinstance(parse_der(bytes(data)), Certificate)
        except ValueError as error:
            assert "certificate" in str(error)
            refused += 1
    assert refused > 1000
