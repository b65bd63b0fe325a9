"""The settings of parsing: bounds of what costs more than its bytes."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ParsingSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    max_extended_json_bytes: int = Field(
        4 * 1024 * 1024,
        ge=1024,
        description="Longest JSON body that is not plain JSON, as with NaN in it, which a slower parser reads.",
    )
    max_message_fields: int = Field(
        1_000_000,
        ge=1024,
        description="Most fields of a gRPC message, those of messages in it included; each takes memory.",
    )
