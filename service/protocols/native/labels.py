"""Labels of versions put on and taken away, as both transports offer it."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.core.call import Call
from service.core.catalog import ModelRef
from service.core.control import ModelControl
from service.core.engine import Engine
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

    version: Annotated[
        int | None, Field(ge=0, lt=2**63, description="Version of the model, one that is available.")
    ] = None
    weights: Annotated[
        dict[str, int] | None,
        Field(
            max_length=MAX_VERSIONS,
            description="In place of a version: weights by version, each of which is available. A version answers its "
            "part of their sum, and the same session or request id always the same one.",
            examples=[{"7": 95, "8": 5}],
        ),
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.version is None and self.weights is None:
            raise as_finding(invalid_input(Violation("version", "a version, or weights", "neither")))
        if self.version is not None and self.weights is not None:
            raise as_finding(invalid_input(Violation("weights", "either version or weights", "both")))
        self.target()
        return self

    def target(self) -> Target:
        """Returns what the label is to stand for."""
        if self.weights is None:
            return self.version or 0
        where = "weights"
        if wrong := [version for version in self.weights if not _VERSION.fullmatch(version)]:
            raise as_finding(invalid_input(Violation(where, "weights by version, a number", shown(wrong[0]))))
        try:
            return checked_split({int(version): weight for version, weight in self.weights.items()})
        except ValueError as error:
            raise as_finding(invalid_input(Violation(where, str(error), shown(self.weights)))) from None


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
