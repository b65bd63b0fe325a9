"""The options by which the client commands speak TLS."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.replay.tls import ClientTls


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options = {
        "--tls-ca": ("TENSORGATE_TLS_CA", "PEM file of who signed the server's certificate; it is then asked with TLS"),
        "--tls-certificate": ("TENSORGATE_CLIENT_CERTIFICATE", "PEM file of a certificate to show to the server"),
        "--tls-key": ("TENSORGATE_CLIENT_KEY", "PEM file of the key of that certificate"),
    }
    for flag, (variable, text) in options.items():
        default = os.environ.get(variable) or None
        parser.add_argument(flag, type=Path, default=default, metavar="FILE", help=f"{text} [{variable}]")


def tls_of(options: argparse.Namespace) -> "ClientTls":
    """Returns what the options say."""
    from service.replay.tls import ClientTls  # noqa: PLC0415  # imports much, and probes need none of it

    return ClientTls(options.tls_ca, options.tls_certificate, options.tls_key)
