"""The settings of isolation: whether TensorFlow runs in a process of its own, and when that counts as hung."""

from pydantic import Field
from pydantic_settings import BaseSettings


class IsolationSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    isolated: bool = Field(
        False,
        description="Whether the backend savedmodel runs the models in a helper process, which is started again where "
        "TensorFlow ends it; the server lives on.",
    )
    isolated_silence: float = Field(
        10.0,
        ge=2,
        le=86_400,
        description="Seconds without a sign of life after which the helper process is ended and started again.",
    )
