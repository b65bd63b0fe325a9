"""The settings of drift: how many requests are looked at, and how soon they are forgotten."""

from pydantic import Field
from pydantic_settings import BaseSettings


class DriftSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    drift_share: float = Field(0.05, ge=0, le=1, description="Share of requests that are watched for drift; 0 for off.")
    drift_half_life: float = Field(
        3600.0, gt=0, le=31_622_400, description="Seconds after which a row that was watched for drift counts half."
    )
