"""Labels of versions put on and taken away, as both transports offer it."""

from service.core.call import Call
from service.core.catalog import ModelRef
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.visibility import Models
from service.errors import shown
from service.protocols.native.models import model_info
from service.schemas import DeleteLabelRequest, ModelInfo, SetLabelRequest


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
        """Puts a label on a version, in place of the one that has it.

        Raises:
            GatewayError: What `ModelControl.set_label` raises.
        """
        self._engine.address(ModelRef(request.model, label=request.label), call)
        call.change = f"label {shown(request.label)} on version {request.version}"
        seen = self._models.of(call)
        await self._control.set_label(request.model, request.label, request.version, seen=seen)
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
