"""The settings of the memory that loaded versions may take."""

from typing import Self

from pydantic import Field
from pydantic_settings import BaseSettings


class MemorySettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    max_loaded_bytes: int = Field(
        0,
        ge=0,
        description="Most bytes that loaded versions may take, by the size of their files; those not asked for the "
        "longest leave memory for others, and are loaded again when they are asked for. 0 for no bound.",
    )
    max_load_wait: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="Seconds that a request waits at most for its version to be loaded, with max_loaded_bytes; then it "
        "is refused, to be tried again.",
    )

    def fitting_memory(self, backend: str) -> Self:
        """Returns these settings, where the backend is one that they go with.

        Raises:
            ValueError: With what was expected.
        """
        if self.max_loaded_bytes and backend == "tfserving":
            raise ValueError(
                "max_loaded_bytes with the backend savedmodel alone: TensorFlow Serving loads what its configuration "
                "says, and keeps it in memory"
            )
        return self
