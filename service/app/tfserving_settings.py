"""The settings of the backend ``tfserving``: where the replicas are, how they are watched, what is tried again."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class TfServingSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    tfserving_addresses: str = Field(
        "127.0.0.1:8500",
        description="gRPC addresses of the TensorFlow Serving replicas, with commas between them: host:port, "
        "unix:/path, or dns:///name:port for every address that the name has.",
    )
    tfserving_models: str = Field(
        "",
        description="Names of the models that the replicas serve, with commas between them; by default those of the "
        "model_config_file, else the sub-folders of the models folder.",
    )
    tfserving_ca: Path | None = Field(
        None, description="PEM file of who signed the replicas' certificates; without it there is no TLS to them."
    )
    tfserving_certificate: Path | None = Field(
        None, description="PEM file of this server's certificate for mutual TLS to the replicas, with its key."
    )
    tfserving_key: Path | None = Field(None, description="PEM file of the key of that certificate.")
    tfserving_server_name: str = Field(
        "", description="The name in the replicas' certificates, where that is not their address."
    )
    probe_seconds: float = Field(1.0, ge=0.05, le=3600, description="Seconds between two looks at a replica.")
    probe_timeout: float = Field(1.0, ge=0.05, le=3600, description="Seconds that a replica has to answer them in.")
    max_retries: int = Field(
        2, ge=0, le=10, description="Most other replicas that a run is tried on, when the first gives no answer."
    )
    retry_ratio: float = Field(
        0.2, ge=0, le=1, description="Retries allowed for each run, of all runs together; a few a second always are."
    )

    @model_validator(mode="after")
    def _has_both_of_mutual_tls(self) -> Self:
        if (self.tfserving_certificate is None) != (self.tfserving_key is None):
            raise ValueError("tfserving_certificate and tfserving_key together, or neither")
        if self.tfserving_ca is None and (self.tfserving_certificate is not None or self.tfserving_server_name):
            raise ValueError("tfserving_ca beside tfserving_certificate and tfserving_server_name")
        return self
