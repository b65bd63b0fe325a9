"""Drift of a model as both transports report it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.core.call import Call
from service.core.drift import Drift
from service.core.engine import Engine
from service.core.model_version import ModelVersion
from service.schemas import GetModelRequest


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class GetDriftRequest(GetModelRequest):
    """Which version to report; the newest available unless one is named."""


class StatisticDrift(_Answer):
    """How one statistic of the rows of one tensor stands."""

    signature: str
    side: Annotated[str, Field(description="input or output.")]
    tensor: str
    statistic: Annotated[str, Field(description="mean, deviation, values, changes, largest or argmax.")]
    reference_rows: Annotated[float, Field(description="Rows that the reference is made of.")]
    rows: Annotated[float, Field(description="Rows that were looked at; each counts less the longer ago that was.")]
    psi: Annotated[
        float | None,
        Field(description="Population stability index; absent, as what follows, while there are no rows."),
    ] = None
    test: Annotated[str | None, Field(description="kolmogorov_smirnov, or chi_square for argmax.")] = None
    test_value: Annotated[float | None, Field(description="The test's statistic.")] = None
    p_value: Annotated[
        float | None,
        Field(description="How likely one at least as large is by chance, if rows do not depend on each other."),
    ] = None
    verdict: Annotated[str, Field(description="too_few_rows, stable, shifting or drifted.")]


class GetDriftResponse(_Answer):
    """How far what a version is asked and answers is from what it was when the model was trained."""

    model: str
    version: int
    watched: Annotated[bool, Field(description="Whether it is watched for drift.")]
    unwatched_reason: Annotated[str, Field(description="Why not; empty where it is.")]
    reference: Annotated[str, Field(description="Of which data the reference is made, in words.")]
    share: Annotated[float, Field(description="Share of the requests that are looked at.")]
    half_life: Annotated[float, Field(description="Seconds after which a row counts half.")]
    statistics: list[StatisticDrift]


def get_drift(engine: Engine, request: GetDriftRequest, call: Call) -> GetDriftResponse:
    """Returns how a version of a model stands.

    Raises:
        GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND or NOT_READY; TOO_LARGE for a name that is too long.
    """
    version = engine.resolve(request.wanted(), call)
    monitor = engine.drift
    reason = _reason_against(version, monitor.share)
    return GetDriftResponse(
        model=version.name,
        version=version.version,
        watched=not reason,
        unwatched_reason=reason,
        reference=version.reference.about if version.reference is not None else "",
        share=monitor.share,
        half_life=monitor.half_life,
        statistics=[] if reason else [_statistic(drift) for drift in monitor.report(version)],
    )


def _reason_against(version: ModelVersion, share: float) -> str:
    if not share:
        return "drift_share is 0"
    if version.reference is None:
        return "it has no assets.extra/tensorgate_reference.json that this server can read and that fits it"
    return ""


def _statistic(drift: Drift) -> StatisticDrift:
    apart = drift.distance
    return StatisticDrift(
        signature=drift.signature,
        side=drift.side.value,
        tensor=drift.tensor,
        statistic=drift.statistic.value,
        reference_rows=drift.reference_rows,
        rows=drift.rows,
        psi=None if apart is None else apart.psi,
        test=None if apart is None else apart.test,
        test_value=None if apart is None else apart.value,
        p_value=None if apart is None else apart.p_value,
        verdict=drift.verdict.value,
    )
