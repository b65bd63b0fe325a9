"""What an operator says of one model: where its versions lie, which and how to serve them, what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.core.batch_policy import AS_THE_SERVER, ServingOptions
from service.core.rollout import PLAIN, Traffic
from service.core.versions import VersionPolicy

MAX_LABELS = 100
"""The most labels of one model: every list of models has them all."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The configuration of one model, as TensorFlow Serving has it, and how this server is to serve it.

    Attributes:
        base_path: Folder of its versions; absolute.
        policy: Which of them to serve.
        labels: Versions by label.
        options: How it is served.
        traffic: Which version gets which requests, beyond labels of one version.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, int] = field(default_factory=dict)
    options: ServingOptions = AS_THE_SERVER
    traffic: Traffic = PLAIN
