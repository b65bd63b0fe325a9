"""Calls a server from Python: ``Client`` here waits for its answers, that of ``tensorgate.client.aio`` is awaited.

It needs grpcio, protobuf and numpy; pandas, Pillow and OpenTelemetry are used where the caller has them.
"""

from tensorgate.client.answers import Classification, Forecast, ModelCard, Prediction, ScoredClass
from tensorgate.client.calls import Limits
from tensorgate.client.connection import Tls
from tensorgate.client.errors import (
    Cancelled,
    FailedPrecondition,
    Forbidden,
    InvalidInput,
    NotFound,
    NotSupported,
    Overloaded,
    RateLimited,
    ServerError,
    TensorgateError,
    Timeout,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Violation,
)
from tensorgate.client.images import PixelRangeWarning
from tensorgate.client.metadata import ModelInfo, ModelVersion, Signature, TensorSpec
from tensorgate.client.model import Model
from tensorgate.client.retries import Retries
from tensorgate.client.sync import Client

__all__ = [
    "Cancelled",
    "Classification",
    "Client",
    "FailedPrecondition",
    "Forbidden",
    "Forecast",
    "InvalidInput",
    "Limits",
    "Model",
    "ModelCard",
    "ModelInfo",
    "ModelVersion",
    "NotFound",
    "NotSupported",
    "Overloaded",
    "PixelRangeWarning",
    "Prediction",
    "RateLimited",
    "Retries",
    "ScoredClass",
    "ServerError",
    "Signature",
    "TensorSpec",
    "TensorgateError",
    "Timeout",
    "Tls",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Violation",
]
