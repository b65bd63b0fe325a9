"""The settings of the request log: which requests are kept in files, and how much of them."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class RequestLogSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    request_log: Path | None = Field(
        None,
        description="Folder in which requests and their answers are recorded; of this server alone, none by default.",
    )
    request_log_share: float = Field(1.0, ge=0, le=1, description="Share of the requests that are recorded.")
    request_log_format: Literal["tfrecord", "jsonl"] = Field(
        "tfrecord",
        description="TensorFlow Serving's PredictionLog in TFRecord files, which are warm-up files too, or JSON lines, "
        "which have failures, times and request ids as well.",
    )
    request_log_redact: str = Field(
        "",
        description="Names of inputs that are not recorded, with commas between them: JSON lines leave them out, "
        "PredictionLogs have zeros and empty strings in their place.",
    )
    request_log_max_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Longest file of records; then the next one is begun."
    )
    request_log_files: int = Field(
        8, ge=1, le=100_000, description="Complete files of records that are kept; the oldest are removed."
    )
