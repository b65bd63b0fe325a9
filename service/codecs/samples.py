"""Inputs for the documentation's examples: small, and such that the model that they are made for accepts them."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from service.core.catalog import Catalog, ModelVersion, State
from service.core.tasks import PREDICT, Forecaster, ImageClassifier, Task
from service.core.tensors import NUMPY_DTYPES, STRING, Signature, Tensor, TensorSpec

MAX_ELEMENTS = 4096
"""Of all tensors of a request together; nobody reads a longer example."""

_CYCLE = 11
"""Steps of one cycle of the example's series: sunspots, by the year, have as many."""
_TEXT = b"text"
_ANY_SHAPE = (3,)
_WRITABLE = {name for name, dtype in NUMPY_DTYPES.items() if dtype.kind != "c"}
"""The dtypes that JSON has a form for: all but complex numbers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that a model that is available should answer.

    Attributes:
        inputs: Tensors by name, for `signature`.
    """

    version: ModelVersion
    signature: Signature
    inputs: Mapping[str, Tensor]

    @property
    def is_by_row(self) -> bool:
        """Whether the first dimension of everything that the signature takes and gives counts the rows."""
        specs = (*self.signature.inputs.values(), *self.signature.outputs.values())
        return all(spec.shape is None or spec.shape[:1] == (None,) for spec in specs)


def smallest_sample(catalog: Catalog) -> Sample | None:
    """Returns the shortest of the samples of all models; ``None`` where none can be written in JSON."""
    samples = [sample for version in available(catalog) if (sample := _sample(version)) is not None]
    return min(samples, key=lambda sample: _elements(sample.inputs), default=None)


def available(catalog: Catalog) -> list[ModelVersion]:
    """Returns the newest available version of each model that has one."""
    newest = []
    for name in catalog.names():
        found = [version for version in catalog.versions(name) if version.state is State.AVAILABLE]
        newest += found[:1]
    return newest


def first_of(catalog: Catalog, task: type[Task], signature: str = PREDICT) -> ModelVersion | None:
    """Returns the first model for a task that has a signature of that name."""
    for version in available(catalog):
        if isinstance(version.task, task) and signature in version.signatures:
            return version
    return None


def ring(task: ImageClassifier) -> Image.Image:
    """Returns a white ring on black, which reads as the digit zero, in the model's size and colours."""
    image = Image.new("L" if task.channels == 1 else "RGB", (task.width, task.height))
    box = (task.width // 4, task.height // 16, task.width - 1 - task.width // 4, task.height - 1 - task.height // 16)
    ImageDraw.Draw(image).ellipse(box, outline="white", width=max(1, task.width // 8))
    return image


def ring_file(task: ImageClassifier) -> bytes:
    """Returns the ring as a PNG file."""
    file = io.BytesIO()
    ring(task).save(file, "PNG")
    return file.getvalue()


def cycle(task: Forecaster) -> list[Any]:
    """Returns a series as long as the model's window: numbers, or lists of them where a step has several values."""
    steps = [round(80 + 60 * math.sin(2 * math.pi * step / _CYCLE), 1) for step in range(task.window)]
    return steps if task.features == 1 else [[step] * task.features for step in steps]


def _sample(version: ModelVersion) -> Sample | None:
    signature = version.signatures.get(PREDICT)
    if signature is None or not signature.inputs:
        return None
    specs = (*signature.inputs.values(), *signature.outputs.values())
    elements = sum(math.prod(_shape(spec)) for spec in signature.inputs.values())
    if elements > MAX_ELEMENTS or not all(spec.dtype in _WRITABLE for spec in specs):
        return None
    match version.task:
        case ImageClassifier() as task:
            pixels = np.asarray(ring(task), np.float32).reshape(1, task.height, task.width, task.channels)
            inputs = {"images": pixels}
        case Forecaster() as task:
            shape = (1, task.window) if task.rank == 2 else (1, task.window, task.features)
            inputs = {"history": np.array(cycle(task), np.float32).reshape(shape)}
        case _:
            inputs = {name: _ramp(spec) for name, spec in signature.inputs.items()}
    return Sample(version, signature, inputs)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return _ANY_SHAPE if spec.shape is None else tuple(1 if size is None else size for size in spec.shape)


def _ramp(spec: TensorSpec) -> Tensor:
    """Returns 0, 1, 2 ... in the tensor's shape, from zero again after 9; of texts always the same."""
    shape = _shape(spec)
    if spec.dtype == STRING:
        return np.full(shape, _TEXT, object)
    return (np.arange(math.prod(shape)) % 10).reshape(shape).astype(NUMPY_DTYPES[spec.dtype])


def _elements(inputs: Mapping[str, Tensor]) -> int:
    return sum(tensor.size for tensor in inputs.values())
