"""The settings of access: who may ask, and how tokens are verified."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class AccessSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    access_file: Path | None = Field(
        None,
        description="File that says who may do what (tensorgate keys); followed like the models folder. Without it "
        "everybody may do everything.",
    )
    jwt_jwks: str = Field(
        "",
        description="File or https:// URL of the public keys (JWKS) that tokens are verified with; without it tokens "
        "are not accepted.",
    )
    jwt_issuer: str = Field("", description="Who must have issued a token: its claim iss.")
    jwt_audience: str = Field("", description="For whom a token must be: its claim aud.")
    jwt_leeway: float = Field(
        30.0, ge=0, le=600, description="Seconds that clocks may differ, the issuer's and this one."
    )
    jwt_name_claim: str = Field(
        "sub", min_length=1, description="Claim that names who holds a token, for logs and limits."
    )
    jwt_refresh_seconds: float = Field(
        300.0, ge=10, le=86_400, description="Seconds between two looks at the URL of the keys."
    )

    @property
    def has_access_control(self) -> bool:
        """Whether those who ask have to show who they are."""
        return self.access_file is not None

    @model_validator(mode="after")
    def _has_all_for_tokens(self) -> Self:
        if self.jwt_jwks and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("jwt_issuer and jwt_audience beside jwt_jwks")
        if self.jwt_jwks and self.access_file is None:
            raise ValueError("access_file beside jwt_jwks: it says what the holders of tokens may do")
        return self
