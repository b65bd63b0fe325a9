"""The rollout of a model as both transports report it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelRef
from service.core.rollout_watch import RolloutWatch
from service.core.rollouts import Rollouts
from service.core.visibility import Models, SeenModels
from service.schemas import OfModel

_NONE = "none"
_P99 = 0.99


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class GetRolloutRequest(OfModel):
    """The model whose rollout is reported."""


class RolloutVersion(_Answer):
    """What this server has seen of one version since the step began."""

    version: int
    state: Annotated[str, Field(description="As in the list of models; empty for a version that there is not.")]
    requests: Annotated[int, Field(description="That it ran.")]
    failures: Annotated[int, Field(description="Of them, those that failed.")]
    error_rate: Annotated[float, Field(description="The share that failed, 0 to 1.")]
    p99_seconds: Annotated[float, Field(description="Within which 99 of 100 runs ended; 0 without any.")]


class GetRolloutResponse(_Answer):
    """How the rollout of a model stands, as this server sees it."""

    model: str
    phase: Annotated[
        str,
        Field(description="pending, progressing, waiting, complete or rolled_back; none where there is no rollout."),
    ]
    label: Annotated[
        str, Field(description="Whose requests it is about; empty for those that name neither version nor label.")
    ] = ""
    stable_version: int = 0
    canary_version: int = 0
    canary_weight: Annotated[int, Field(description="Percent of the requests that the canary gets now.")] = 0
    step: Annotated[int, Field(description="From 1 on.")] = 0
    step_weights: Annotated[list[int], Field(description="Percent that the canary gets, step by step.")] = []
    step_seconds: Annotated[float, Field(description="How long a step takes at least.")] = 0.0
    start_time: Annotated[float, Field(description="When it begins, in seconds since 1970.")] = 0.0
    step_time: Annotated[float, Field(description="When its step was reached, in seconds since 1970.")] = 0.0
    waits: Annotated[str, Field(description="What the next step waits for beside its time; empty for nothing.")] = ""
    reason: Annotated[
        str,
        Field(description="Why it was taken back: error_rate, p99, drift, changed, signature or aborted; else empty."),
    ] = ""
    message: Annotated[str, Field(description="The same in words.")] = ""
    written: Annotated[
        bool, Field(description="Whether the model configuration says as much, for other servers to know.")
    ] = True
    versions: Annotated[list[RolloutVersion], Field(description="The stable version, and the canary.")] = []


def get_rollout(
    engine: Engine, models: Models, rollouts: Rollouts, request: GetRolloutRequest, call: Call
) -> GetRolloutResponse:
    """Returns how the rollout of a model stands.

    Raises:
        GatewayError: MODEL_NOT_FOUND or FORBIDDEN; TOO_LARGE for a name that is too long.
    """
    engine.address(ModelRef(request.model), call)
    seen = models.of(call)
    seen.versions(request.model)
    watch = rollouts.watch(request.model)
    if watch is None:
        return GetRolloutResponse(model=request.model, phase=_NONE)
    rollout, back = watch.rollout, watch.rolled_back
    return GetRolloutResponse(
        model=request.model,
        phase=watch.phase.value,
        label=rollout.label,
        stable_version=rollout.stable,
        canary_version=rollout.canary,
        canary_weight=watch.percent,
        step=watch.step + 1,
        step_weights=list(rollout.step_weights),
        step_seconds=rollout.step_seconds,
        start_time=rollout.start_time,
        step_time=watch.since,
        waits=watch.waits,
        reason="" if back is None else back.reason.value,
        message="" if back is None else back.message,
        written=watch.declared == rollout,
        versions=[_version(watch, version, seen) for version in (rollout.stable, rollout.canary)],
    )


def _version(watch: RolloutWatch, version: int, seen: SeenModels) -> RolloutVersion:
    counts = watch.counts[version]
    states = {entry.version: entry.told_state.value for entry in seen.versions(watch.model)}
    return RolloutVersion(
        version=version,
        state=states.get(version, ""),
        requests=counts.requests,
        failures=counts.failures,
        error_rate=counts.error_rate,
        p99_seconds=counts.quantile(_P99),
    )
