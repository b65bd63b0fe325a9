"""Requests for the documentation's examples: small, and such that the model that they are made for accepts them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from service.core.model_version import ModelVersion, State
from service.core.tasks import PREDICT, Task
from service.core.tensors import NUMPY_DTYPES, STRING, Signature, Tensor, TensorSpec
from service.core.visibility import SeenModels

KindT = TypeVar("KindT", bound=Task)

MAX_ELEMENTS = 4096
"""Of all tensors of a request together; nobody reads a longer example."""

_TEXT = "text"
_ANY_SHAPE = (3,)
_WRITABLE = {name for name, dtype in NUMPY_DTYPES.items() if dtype.kind != "c"}
"""The dtypes that JSON has a form for: all but complex numbers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that a model that is available should answer.

    Attributes:
        inputs: Tensors by name, for `signature`; integers where it takes floats, texts where it takes strings, so that
            their lists are JSON.
    """

    version: ModelVersion
    signature: Signature
    inputs: Mapping[str, Tensor]


def smallest_sample(models: SeenModels) -> Sample | None:
    """Returns the shortest of the samples of all models; ``None`` where none can be written in JSON."""
    samples = [sample for version in available(models) if (sample := _sample(version)) is not None]
    return min(samples, key=lambda sample: sum(tensor.size for tensor in sample.inputs.values()), default=None)


def available(models: SeenModels) -> list[ModelVersion]:
    """Returns the newest available version of each model that has one."""
    newest = []
    for name in models.names():
        found = [version for version in models.versions(name) if version.state is State.AVAILABLE]
        newest += found[:1]
    return newest


def first_of(models: SeenModels, kind: type[KindT]) -> tuple[str, KindT] | None:
    """Returns the name of the first model for a kind of task, and its task."""
    for version in available(models):
        if isinstance(version.task, kind):
            return version.name, version.task
    return None


def _sample(version: ModelVersion) -> Sample | None:
    signature = version.signatures.get(PREDICT)
    if signature is None or not signature.inputs:
        return None
    specs = (*signature.inputs.values(), *signature.outputs.values())
    elements = sum(math.prod(_shape(spec)) for spec in signature.inputs.values())
    if elements > MAX_ELEMENTS or not all(spec.dtype in _WRITABLE for spec in specs):
        return None
    return Sample(version, signature, {name: _ramp(spec) for name, spec in signature.inputs.items()})


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return _ANY_SHAPE if spec.shape is None else tuple(1 if size is None else size for size in spec.shape)


def _ramp(spec: TensorSpec) -> Tensor:
    """Returns 0, 1, 2 ... in the tensor's shape, from zero again after 9; of texts always the same."""
    shape = _shape(spec)
    if spec.dtype == STRING:
        return np.full(shape, _TEXT, object)
    ramp = (np.arange(math.prod(shape)) % 10).reshape(shape)
    return ramp.astype(bool) if spec.dtype == "bool" else ramp
