"""Labels of versions put on and taken away, as both transports offer it."""

from service.core.call import Call
from service.core.catalog import Catalog, ModelRef
from service.core.control import ModelControl
from service.core.engine import Engine
from service.protocols.native.models import model_info
from service.schemas import DeleteLabelRequest, ModelInfo, SetLabelRequest


class ModelLabels:
    """Answers `SetLabelRequest` and `DeleteLabelRequest` with the model as it is then.

    Args:
        engine: Notes the model on the call.
        catalog: Has the models.
        control: Moves the labels, where that is allowed.
    """

    def __init__(self, *, engine: Engine, catalog: Catalog, control: ModelControl) -> None:
        self._engine = engine
        self._catalog = catalog
        self._control = control

    async def set_label(self, request: SetLabelRequest, call: Call) -> ModelInfo:
        """Puts a label on a version, in place of the one that has it.

        Raises:
            GatewayError: What `ModelControl.set_label` raises.
        """
        self._engine.address(ModelRef(request.model, label=request.label), call)
        await self._control.set_label(request.model, request.label, request.version)
        return model_info(self._engine, self._catalog, request.model)

    async def delete_label(self, request: DeleteLabelRequest, call: Call) -> ModelInfo:
        """Takes a label away.

        Raises:
            GatewayError: What `ModelControl.remove_label` raises.
        """
        self._engine.address(ModelRef(request.model, label=request.label), call)
        await self._control.remove_label(request.model, request.label)
        return model_info(self._engine, self._catalog, request.model)
