"""What a server says of its models."""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorgate.v1 import tensorgate_pb2 as pb

CLASSIFIER, FORECASTER = "image_classifier", "forecaster"

_ANSWERS = frozenset({"AVAILABLE", "STANDBY"})


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model takes or gives under one name.

    Attributes:
        name: Of the tensor.
        dtype: TensorFlow's name of the dtype, such as ``float32`` or ``string``.
        shape: ``None`` stands for any size; no shape at all where not even the rank is known.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """What can be called on a model.

    Attributes:
        name: Such as ``serving_default``.
        inputs: By name.
        outputs: By name.
        batched: Whether its rows do not depend on each other.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    batched: bool


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        model: Name of the model.
        version: Its number.
        state: ``START``, ``LOADING``, ``AVAILABLE``, ``STANDBY`` (not in memory, and loaded by the first request for
            it), ``UNLOADING`` or ``END``.
        error: Why it could not be loaded; empty when nothing went wrong.
        kind: ``image_classifier``, ``forecaster`` or ``generic``; empty until it is loaded for the first time.
        labels: Those that it has.
        signatures: By name.
        image_shape: Height, width and channels of the pixels that a classifier takes; empty for others.
        accepts_encoded: Whether a classifier takes image files.
        classes: Of a classifier, in the model's own order.
        window: How many steps a forecaster needs at least; 0 for others.
        features: How many values a step has.
        horizon: How many steps can be forecast at most.
        quantile_levels: That forecasts may have.
    """

    model: str
    version: int
    state: str
    error: str
    kind: str
    labels: tuple[str, ...]
    signatures: Mapping[str, Signature]
    image_shape: tuple[int, ...] = ()
    accepts_encoded: bool = False
    classes: tuple[str, ...] = ()
    window: int = 0
    features: int = 0
    horizon: int = 0
    quantile_levels: tuple[float, ...] = ()

    @property
    def available(self) -> bool:
        """Whether it answers requests."""
        return self.state in _ANSWERS

    def signature(self, name: str | None) -> Signature | None:
        """Returns the signature of that name; without one the default, or the only one; ``None`` if there is none."""
        if name is None and len(self.signatures) == 1:
            return next(iter(self.signatures.values()))
        return self.signatures.get(name or "serving_default")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model.

    Attributes:
        name: Of the model.
        versions: The newest first.
        labels: Versions by label.
        problem: Why there is no version of it, and what to do; empty where there is one.
    """

    name: str
    versions: tuple[ModelVersion, ...]
    labels: Mapping[str, int]
    problem: str


def model_info(model: pb.Model) -> ModelInfo:
    """Returns what a message says of a model."""
    labels = dict(model.labels)
    versions = tuple(_version(model.name, version, labels) for version in model.versions)
    return ModelInfo(model.name, versions, labels, model.problem)


def _version(model: str, version: pb.ModelVersion, labels: Mapping[str, int]) -> ModelVersion:
    classifier, forecaster = version.image_classifier, version.forecaster
    is_classifier = version.HasField("image_classifier")
    return ModelVersion(
        model,
        version.version,
        version.state,
        version.error,
        version.kind,
        tuple(sorted(label for label, number in labels.items() if number == version.version)),
        {signature.name: _signature(signature) for signature in version.signatures},
        (classifier.height, classifier.width, classifier.channels) if is_classifier else (),
        classifier.accepts_encoded,
        tuple(classifier.labels),
        forecaster.window,
        forecaster.features,
        forecaster.horizon,
        tuple(forecaster.quantile_levels),
    )


def _signature(signature: pb.Signature) -> Signature:
    inputs, outputs = (
        {tensor.name: _spec(tensor) for tensor in tensors} for tensors in (signature.inputs, signature.outputs)
    )
    return Signature(signature.name, inputs, outputs, signature.batched)


def _spec(tensor: pb.TensorSpec) -> TensorSpec:
    shape = None if tensor.unknown_rank else tuple(None if size < 0 else size for size in tensor.shape)
    return TensorSpec(tensor.name, tensor.dtype, shape)
