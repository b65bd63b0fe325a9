"""What an operator says of one model: where its versions lie, which of them to serve, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.core.versions import VersionPolicy


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The configuration of one model, as TensorFlow Serving has it.

    Attributes:
        base_path: Folder of its versions; absolute.
        policy: Which of them to serve.
        labels: Versions by label.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, int] = field(default_factory=dict)
