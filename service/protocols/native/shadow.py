"""How the answers of a model's shadow agree with those that clients got, as both transports report it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelRef
from service.core.shadow import Outcome, Shadows
from service.core.visibility import Models
from service.schemas import OfModel


class GetShadowRequest(OfModel):
    """The model whose shadow is reported."""


class GetShadowResponse(BaseModel):
    """What became of the copies of a model's requests, on this server, since the shadow was declared."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())

    model: str
    declared: Annotated[bool, Field(description="Whether it has a shadow; nothing else is said where it has none.")]
    version: Annotated[int, Field(description="The version that gets the copies.")] = 0
    share: Annotated[float, Field(description="Part of the requests that is copied, 0 to 1.")] = 0.0
    address: Annotated[str, Field(description="The server that has the version; empty for this one.")] = ""
    compared: Annotated[int, Field(description="Copies that were answered, and compared.")] = 0
    dropped: Annotated[int, Field(description="Copies for which there was no time or room.")] = 0
    failed: Annotated[int, Field(description="Copies that the shadow gave no answer to.")] = 0
    unavailable: Annotated[int, Field(description="Copies while it was not there, or that it does not take.")] = 0
    rows: Annotated[int, Field(description="Rows of compared answers that name a class.")] = 0
    changed: Annotated[int, Field(description="Of them, those that name another class.")] = 0
    largest_difference: Annotated[
        float | None,
        Field(description="Between two numbers, as a part of the larger one; absent where outputs cannot be compared."),
    ] = None
    mean_seconds: Annotated[float, Field(description="Of the runs that clients got the answers of.")] = 0.0
    shadow_mean_seconds: Annotated[float, Field(description="Of the shadow's runs of the same requests.")] = 0.0
    last_error: Annotated[str, Field(description="Why the last copy that failed did; empty for none.")] = ""


def get_shadow(
    engine: Engine, models: Models, shadows: Shadows, request: GetShadowRequest, call: Call
) -> GetShadowResponse:
    """Returns how a model's shadow agrees.

    Raises:
        GatewayError: MODEL_NOT_FOUND or FORBIDDEN; TOO_LARGE for a name that is too long.
    """
    engine.address(ModelRef(request.model), call)
    models.of(call).versions(request.model)
    if (known := shadows.tally(request.model)) is None:
        return GetShadowResponse(model=request.model, declared=False)
    shadow, tally = known
    compared = tally.outcomes[Outcome.COMPARED]
    return GetShadowResponse(
        model=request.model,
        declared=True,
        version=shadow.version,
        share=shadow.share,
        address=shadow.address,
        compared=compared,
        dropped=tally.outcomes[Outcome.DROPPED],
        failed=tally.outcomes[Outcome.FAILED],
        unavailable=tally.outcomes[Outcome.UNAVAILABLE],
        rows=tally.rows,
        changed=tally.changed,
        largest_difference=tally.difference if tally.difference < float("inf") else None,
        mean_seconds=tally.seconds / compared if compared else 0.0,
        shadow_mean_seconds=tally.shadow_seconds / compared if compared else 0.0,
        last_error=tally.error,
    )
