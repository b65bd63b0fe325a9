"""One request for inference, in no protocol's terms."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor


@dataclass(slots=True)  # not frozen, as every call has one: that would make it three times as slow to create
class InferenceRequest:
    """What to run: resolved once and checked once, by the engine that made it. Not to be changed.

    Attributes:
        version: The version of the model that answers.
        signature: One of the version's.
        inputs: All inputs of the signature by name, checked against it.
        rows: Their common first dimension; 1 where there is none.
        shape: The shape that the inputs came in, where they were made columns; else ``None``.
        alone: Whether it is never merged or split: its shapes are not those that the signature promises.
        outputs: Names of the outputs that are wanted, in their order; all of them when it is empty.
    """

    version: ModelVersion
    signature: Signature
    inputs: Mapping[str, Tensor]
    rows: int
    outputs: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    alone: bool = False
