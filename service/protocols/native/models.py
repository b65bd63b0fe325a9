"""What the server serves, as both transports report it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelVersion, State
from service.core.tasks import Forecaster, ImageClassifier
from service.core.tensors import Signature, TensorSpec
from service.core.traffic_split import Split
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.schemas import (
    ForecasterInfo,
    GetModelRequest,
    ImageClassifierInfo,
    ListModelsResponse,
    ModelInfo,
    ModelVersionInfo,
    SignatureInfo,
    TensorInfo,
    VersionWeights,
)

TaskT = TypeVar("TaskT", ImageClassifier, Forecaster)

_NAMES = {
    ImageClassifier.kind: "an image classifier",
    Forecaster.kind: "a forecaster",
    "generic": "a model that is neither an image classifier nor a forecaster",
}


_FORMS = {
    ImageClassifier.kind: "whose signature serving_default takes images float32 [?, height, width, channels] and gives "
    "scores float32 [?, K] and classes string [?, K]",
    Forecaster.kind: "whose signature serving_default takes history float32 [?, steps] and gives forecast float32 "
    "[?, H], quantiles float32 [?, H, Q] and quantile_levels float32 [?, Q]",
}
"""What models of a kind take and give; `service.core.tasks` finds out whether one does."""


def kind_of(version: ModelVersion) -> str:
    """Returns ``image_classifier``, ``forecaster`` or ``generic``; empty for a version that was never loaded."""
    if version.task is not None:
        return version.task.kind
    return "generic" if version.state is State.AVAILABLE and version.is_described else ""


def require_task(version: ModelVersion, task: type[TaskT]) -> TaskT:
    """Returns the model's task, which must be of that type.

    Raises:
        GatewayError: WRONG_MODEL_KIND.
    """
    if isinstance(version.task, task):
        return version.task
    got = f"{version.name!r}, {_NAMES[kind_of(version)]}"
    if version.doubt:
        got += f": {version.doubt}"
    expected = f"{_NAMES[task.kind]}, {_FORMS[task.kind]}"
    raise invalid_input(Violation("model", expected, got), kind=ErrorKind.WRONG_MODEL_KIND)


def list_models(engine: Engine, models: Models, call: Call) -> ListModelsResponse:
    """Returns every model that may be read, and then what lies beside them and cannot be served."""
    seen = models.of(call)
    infos = [model_info(engine, models, name, call) for name in seen.names()]
    unserved = {name: problem for name, problem in seen.unserved.items() if name not in seen}
    infos += [ModelInfo(name=name, versions=[], labels={}, problem=problem) for name, problem in unserved.items()]
    return ListModelsResponse(models=infos)


def get_model(engine: Engine, models: Models, request: GetModelRequest, call: Call) -> ModelInfo:
    """Returns one model, with all its versions or the requested one.

    Raises:
        GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND or FORBIDDEN; TOO_LARGE for a name that is too long.
        StandbyError: What is asked for was never loaded, so there is nothing to tell yet.
    """
    wanted = request.wanted()
    engine.address(wanted, call)
    if any(not version.is_described for version in models.of(call).versions(request.model)):
        with suppress(GatewayError):  # what cannot answer is told as it is
            engine.resolve(wanted, call)
    info = model_info(engine, models, request.model, call)
    if wanted.version is not None or wanted.label is not None:
        info.versions = [_version(engine, models.of(call).find(wanted))]
    return info


def model_info(engine: Engine, models: Models, name: str, call: Call) -> ModelInfo:
    """Returns a model with all its versions and labels.

    Raises:
        GatewayError: MODEL_NOT_FOUND or FORBIDDEN.
    """
    seen = models.of(call)
    versions = [_version(engine, version) for version in seen.versions(name)]
    targets = seen.targets(name)
    splits = {label: _weights(target) for label, target in targets.items() if isinstance(target, Split)}
    return ModelInfo(name=name, versions=versions, labels=dict(seen.labels(name)), splits=splits)


def _weights(split: Split) -> VersionWeights:
    return VersionWeights(weights={str(version): weight for version, weight in split.weights.items()})


def _version(engine: Engine, version: ModelVersion) -> ModelVersionInfo:
    task = version.task
    return ModelVersionInfo(
        version=version.version,
        state=version.told_state.value,
        error=version.error,
        kind=kind_of(version),
        image_classifier=_image_classifier(task) if isinstance(task, ImageClassifier) else None,
        forecaster=_forecaster(task) if isinstance(task, Forecaster) else None,
        signatures=[_signature(engine, version, signature) for signature in version.signatures.values()],
    )


def _signature(engine: Engine, version: ModelVersion, signature: Signature) -> SignatureInfo:
    reason = engine.reason_against_batching(version, signature)
    return SignatureInfo(
        name=signature.name,
        method_name=signature.method_name,
        inputs=_tensors(signature.inputs),
        outputs=_tensors(signature.outputs),
        batched=not reason,
        unbatched_reason=reason,
    )


def _image_classifier(task: ImageClassifier) -> ImageClassifierInfo:
    return ImageClassifierInfo(
        height=task.height,
        width=task.width,
        channels=task.channels,
        labels=list(task.labels),
        accepts_encoded=task.accepts_encoded,
    )


def _forecaster(task: Forecaster) -> ForecasterInfo:
    return ForecasterInfo(
        window=task.window,
        features=task.features,
        horizon=task.horizon,
        quantile_levels=list(task.quantile_levels),
    )


def _tensors(specs: Mapping[str, TensorSpec]) -> list[TensorInfo]:
    return [
        TensorInfo(
            name=name,
            dtype=spec.dtype,
            shape=None if spec.shape is None else [-1 if size is None else size for size in spec.shape],
        )
        for name, spec in sorted(specs.items())
    ]
