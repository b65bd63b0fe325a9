"""The file of a version's drift reference, ``tensorgate_reference.json``; docs/drift.md describes it.

It is JSON: ``{"version": 1, "about": "...", "signatures": {name: {"inputs": {tensor: T}, "outputs": {tensor: T}}}}``
with ``T = {"scale": {"power": [...], "mean": [...], "deviation": [...]}, "histograms": [H, ...]}``, where the scale may
be left out, and ``H = {"statistic": "mean", "edges": [...], "counts": [...]}``, without edges for ``argmax``.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core.drift_reference import Histogram, Reference, Scale, Side, Statistic, TensorReference
from service.core.tensors import Signature, TensorSpec

MAX_BYTES = 4 * 2**20
"""A longer file is refused unread."""
_MAX_HISTOGRAMS = 256
"""Of a version: each is three series of metrics."""
_MAX_BINS = 65_536
_NUMBERS = frozenset("biufV")
"""Kinds of dtypes that a histogram can be made of; V is that of bfloat16."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class InvalidReferenceError(ValueError):
    """The file is no reference for this version; the message says where and why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Scale(_Part):
    power: Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=1)]
    mean: Annotated[list[Number], Field(min_length=1)]
    deviation: Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=1)]

    def made(self) -> Scale:
        return Scale(np.array(self.power), np.array(self.mean), np.array(self.deviation))


class _Histogram(_Part):
    statistic: Statistic
    edges: list[Number] = []
    counts: Annotated[list[Annotated[Number, Field(ge=0)]], Field(min_length=2, max_length=_MAX_BINS)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.statistic is Statistic.ARGMAX:
            if self.edges:
                raise ValueError("argmax has no edges: its bins are the classes")
        elif len(self.edges) != len(self.counts) - 1:
            raise ValueError(f"{len(self.counts)} bins have {len(self.counts) - 1} edges, got {len(self.edges)}")
        if any(second <= first for first, second in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges ascend")
        if sum(self.counts) < 1:
            raise ValueError("counts have one row at least")
        return self

    def made(self) -> Histogram:
        return Histogram(self.statistic, np.array(self.edges, np.float64), np.array(self.counts, np.float64))


class _Tensor(_Part):
    scale: _Scale | None = None
    histograms: Annotated[list[_Histogram], Field(min_length=1)]

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        if len({histogram.statistic for histogram in self.histograms}) < len(self.histograms):
            raise ValueError("each statistic once")
        return self

    def made(self, name: str, side: Side) -> TensorReference:
        histograms = tuple(histogram.made() for histogram in self.histograms)
        return TensorReference(name, side, histograms, None if self.scale is None else self.scale.made())


class _Signature(_Part):
    inputs: dict[str, _Tensor] = {}
    outputs: dict[str, _Tensor] = {}


class _File(_Part):
    version: Literal[1]
    about: str = ""
    signatures: dict[str, _Signature]


def decode_reference(data: bytes, signatures: Mapping[str, Signature]) -> Reference:
    """Reads a reference.

    Args:
        data: Content of the file.
        signatures: Those of the version, by name, which the reference must fit.

    Raises:
        InvalidReferenceError: When it is too long, no JSON, or not as it should be.
    """
    if len(data) > MAX_BYTES:
        raise InvalidReferenceError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        file = _File.model_validate_json(data)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, finding["loc"]))
        raise InvalidReferenceError(f"{where}: {finding['msg']}" if where else finding["msg"]) from None
    made: dict[str, tuple[TensorReference, ...]] = {}
    for name, signature in file.signatures.items():
        if name not in signatures:
            raise InvalidReferenceError(f"signatures.{name}: the version has no such signature")
        made[name] = tuple(_tensors(name, signature, signatures[name]))
    count = sum(len(tensor.histograms) for tensors in made.values() for tensor in tensors)
    if count > _MAX_HISTOGRAMS:
        raise InvalidReferenceError(f"expected at most {_MAX_HISTOGRAMS} histograms, got {count}")
    return Reference(file.about, made)


def _tensors(name: str, described: _Signature, signature: Signature) -> Iterator[TensorReference]:
    sides = (
        (Side.INPUT, described.inputs, signature.inputs),
        (Side.OUTPUT, described.outputs, signature.outputs),
    )
    for side, tensors, specs in sides:
        for tensor, reference in tensors.items():
            where = f"signatures.{name}.{side}s.{tensor}"
            if tensor not in specs:
                raise InvalidReferenceError(f"{where}: the signature has no such tensor")
            _check(where, reference, specs[tensor])
            yield reference.made(tensor, side)


def _check(where: str, reference: _Tensor, spec: TensorSpec) -> None:
    """Refuses what cannot be counted: no numbers, scales of another width, classes of another number."""
    if spec.numpy_dtype is None or spec.numpy_dtype.kind not in _NUMBERS:
        raise InvalidReferenceError(f"{where}: expected a tensor of numbers, got {spec}")
    width = spec.shape[-1] if spec.shape else None
    if (scale := reference.scale) is not None:
        widths = {len(values) for values in (scale.power, scale.mean, scale.deviation)}
        allowed = {1} if width is None else {1, width}
        if not widths <= allowed:
            raise InvalidReferenceError(
                f"{where}.scale: expected lists of {' or '.join(map(str, sorted(allowed)))} numbers"
            )
    for histogram in reference.histograms:
        if histogram.statistic is Statistic.ARGMAX and width is not None and len(histogram.counts) != width:
            raise InvalidReferenceError(f"{where}: expected {width} classes, got {len(histogram.counts)}")
        if histogram.statistic is Statistic.CHANGES and spec.shape is not None and len(spec.shape) < 2:
            raise InvalidReferenceError(f"{where}: changes need a second dimension, got {spec}")
