"""The settings of whose models are loaded."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class TrustSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    trusted_hashes: Path | None = Field(
        None,
        description="List of the files that versions may have, as `tensorgate trust` writes it (sha256sum's lines, by "
        "<model>/<version>/<path>); versions with any other file are not loaded. For the backend savedmodel.",
    )
    trusted_key: Path | None = Field(
        None,
        description="Public key of minisign: versions that its owner has not signed (`tensorgate trust --sign-key`) "
        "are not loaded. For the backend savedmodel.",
    )
