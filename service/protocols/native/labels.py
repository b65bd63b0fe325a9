"""Labels of versions put on and taken away, as both transports offer it."""

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from service.core.call import Call
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.model_version import ModelRef
from service.core.traffic_split import MAX_VERSIONS, Split, Target, checked_split
from service.core.visibility import Models
from service.errors import Violation, invalid_input, shown
from service.protocols.native.models import model_info
from service.schemas import ModelInfo, OfModel
from service.validation import as_finding

_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")


class DeleteLabelRequest(OfModel):
    """Which label to take away."""

    label: Annotated[
        str,
        Field(
            description="One character or more; no slash, no colon, no bare number.",
            examples=["stable"],
            # For readers of the schema: what changes labels checks them, also those of a model_config_file.
            json_schema_extra={"pattern": r"^(?!\d+$)[^/:\x00-\x1f\x7f-\x9f]+$"},
        ),
    ]


class SetLabelRequest(DeleteLabelRequest):
    """Which version to put a label on, taken from the one that has it; or what part of it each of several has."""

    weights: Annotated[
        dict[str, int] | None,
        Field(
            max_length=MAX_VERSIONS,
            description="In place of a version: weights by version, each of which is available. A version answers its "
            "part of their sum, and the same session or request id always the same one.",
            examples=[{"7": 95, "8": 5}],
        ),
    ] = None

    version: Annotated[
        int | None,
        Field(ge=0, lt=2**63, validate_default=True, description="Version of the model, one that is available."),
    ] = None

    @field_validator("weights")
    @classmethod
    def _make_a_split(cls, weights: dict[str, int] | None) -> dict[str, int] | None:
        if weights is not None:
            _split(weights)
        return weights

    @field_validator("version")
    @classmethod
    def _one_of_both(cls, version: int | None, info: ValidationInfo) -> int | None:
        if "weights" in info.data and (version is None) is (info.data["weights"] is None):
            got = "neither" if version is None else "both"
            raise as_finding(invalid_input(Violation("", "either version or weights", got)))
        return version

    def target(self) -> Target:
        """Returns what the label is to stand for."""
        return (self.version or 0) if self.weights is None else _split(self.weights)


def _split(weights: dict[str, int]) -> Split:
    if wrong := [version for version in weights if not _VERSION.fullmatch(version)]:
        raise as_finding(invalid_input(Violation("", "weights by version, a number", shown(wrong[0]))))
    try:
        return checked_split({int(version): weight for version, weight in weights.items()})
    except ValueError as error:
        raise as_finding(invalid_input(Violation("", str(error), shown(weights)))) from None


class ModelLabels:
    """Answers `SetLabelRequest` and `DeleteLabelRequest` with the model as it is then.

    Args:
        engine: Notes the model on the call.
        models: Those that there are.
        control: Moves the labels, where that is allowed.
    """

    def __init__(self, *, engine: Engine, models: Models, control: ModelControl) -> None:
        self._engine = engine
        self._models = models
        self._control = control

    async def set_label(self, request: SetLabelRequest, call: Call) -> ModelInfo:
        """Puts a label on a version, in place of the one that has it, or on several.

        Raises:
            GatewayError: What `ModelControl.set_label` raises.
        """
        self._engine.address(ModelRef(request.model, label=request.label), call)
        target = request.target()
        versions = target.weights if isinstance(target, Split) else f"version {target}"
        call.change = f"label {shown(request.label)} on {versions}"
        seen = self._models.of(call)
        await self._control.set_label(request.model, request.label, target, seen=seen)
        return model_info(self._engine, self._models, request.model, call)

    async def delete_label(self, request: DeleteLabelRequest, call: Call) -> ModelInfo:
        """Takes a label away.

        Raises:
            GatewayError: What `ModelControl.remove_label` raises.
        """
        self._engine.address(ModelRef(request.model, label=request.label), call)
        call.change = f"label {shown(request.label)} taken away"
        await self._control.remove_label(request.model, request.label, seen=self._models.of(call))
        return model_info(self._engine, self._models, request.model, call)
