"""The settings of TLS on both ports: the server's certificate, and what is asked of clients."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

_NO_CIPHERS = "PSK-AES128-CBC-SHA"
"""Needs a key that both sides know beforehand, and there is none."""


class TlsSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    tls_certificate: Path | None = Field(
        None,
        description="PEM file of the server's certificate, with those between it and the root after it; with tls_key "
        "both ports speak TLS and nothing else. Followed, like tls_key and tls_client_ca.",
    )
    tls_key: Path | None = Field(None, description="PEM file of the key of that certificate, without a passphrase.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of who signs clients' certificates (mutual TLS); without it none are asked for."
    )
    tls_client_certificates: Literal["required", "optional"] = Field(
        "required",
        description="Whether a client that shows no certificate is turned away or served, where there is a "
        "tls_client_ca; one that is not signed by it is turned away.",
    )
    tls_min_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="Oldest version of TLS that is spoken; 1.3 needs grpc_server grpcio."
    )
    tls_hsts_seconds: int = Field(
        31_536_000,
        ge=0,
        description="Seconds for which browsers are to use nothing but TLS with this host, on any of its ports "
        "(Strict-Transport-Security); 0 to tell them nothing.",
    )

    @model_validator(mode="after")
    def _has_both_of_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key together, or neither")
        if self.tls_certificate is None and self.tls_client_ca is not None:
            raise ValueError("tls_certificate and tls_key beside tls_client_ca")
        return self

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """Makes the oldest version that of grpcio too, which reads it when it is imported, and nowhere else.

        It can be told the ciphers of TLS 1.2 alone, and not to leave that out; so it gets some that nobody can use.
        What this server calls by gRPC, replicas and receivers of traces, has to speak TLS 1.3 then.
        """
        if self.tls_certificate is not None and self.tls_min_version == "1.3":
            environment["GRPC_SSL_CIPHER_SUITES"] = _NO_CIPHERS

    def fitting(self, grpc_server: str) -> Self:
        """Returns these settings, which the server of the gRPC port can do.

        Raises:
            ValueError: When it cannot; the message says what is expected.
        """
        if self.tls_certificate is None:
            return self
        if self.tls_min_version == "1.3" and grpc_server != "grpcio":
            raise ValueError(f"grpc_server grpcio, or tls_min_version 1.2: {grpc_server} always speaks TLS 1.2 too")
        optional = self.tls_client_ca is not None and self.tls_client_certificates == "optional"
        if optional and grpc_server == "grpcio":
            raise ValueError("grpc_server h2corn, or tls_client_certificates required: grpcio knows no optional ones")
        return self
