"""The settings of what each client may have: how clients are told apart, and their limits."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class LimitsSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    limits_file: Path | None = Field(
        None,
        description="TOML file of what each client may ask of each model: requests and rows in a time, requests and "
        "bytes in flight; followed while the server runs.",
    )
    clients_by_address: bool = Field(
        False,
        description="Whether clients that do not say who they are are told apart by their address; behind a proxy they "
        "all have the proxy's.",
    )
    max_client_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Of the places and bytes in flight, and of each queue, the share that one client may have of what "
        "others leave; 1 for all. Only where clients are told apart.",
    )
